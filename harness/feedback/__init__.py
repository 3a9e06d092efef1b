"""What methods learn from besides examples: preference pairs and rewards that the user gives."""
