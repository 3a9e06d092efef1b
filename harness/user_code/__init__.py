"""Loads code that the user names on the command line, without making it importable for anything else."""
