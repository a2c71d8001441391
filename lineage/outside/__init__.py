"""What other systems tell of their jobs, runs and datasets as OpenLineage events. Everything here is pure."""
