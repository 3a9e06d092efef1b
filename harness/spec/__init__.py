"""What the user asks for: flags, YAML and Python build the same `Spec`."""
