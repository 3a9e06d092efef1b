"""The child process that carries out one trial. `python -m harness.worker` starts it."""
