"""The child side: one process carries out one trial. `python -m harness.worker` is its entry."""
