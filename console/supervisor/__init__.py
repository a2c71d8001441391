"""The embedded set-up: which processes make up Causeway on one machine; how they are started, watched and stopped."""
