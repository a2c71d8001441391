"""What `script/fill` makes up: two months of a company's work, written straight into the tables."""
