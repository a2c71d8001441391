"""The executor that runs attempts as pods of a Kubernetes cluster."""
