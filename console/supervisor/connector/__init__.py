"""A connector service of this machine's own: what it needs, and the program itself (`serve`)."""
