"""What carries the inputs and outputs of raw containers: its containers, and what runs in them (pod.py)."""
