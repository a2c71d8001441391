"""Profiles of datasets: what each column holds, computed once for a version; and how two of them differ."""
