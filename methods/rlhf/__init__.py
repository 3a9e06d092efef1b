"""Reinforcement learning from feedback: warm start → preference pairs → reward model → policy optimisation."""
