"""Learning from preferences: warm start → pairs → reward model → policy optimisation, and the cheaper relatives."""
