"""Our way of starting flytekit in a pod: one process, not two, in the user's image as it is (decisions/runner.md)."""
