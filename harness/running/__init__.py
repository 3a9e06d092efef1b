"""Runs the trials of a plan one after another, and searches knobs."""
