"""Our way of starting flytekit in a pod: one process instead of two, in the user's image as it is (docs/decisions/runner.md)."""
