"""What runs in the pod, before and around flytekit: Python 3.9, the standard library alone, none of Causeway."""
