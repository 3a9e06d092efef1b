"""Methods that train nothing: the untouched model, and prompts that are written for it."""
