"""Methods that train on preference pairs directly, without a reward model."""
