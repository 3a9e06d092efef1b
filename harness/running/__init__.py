"""Carries the trials of a plan out, one after another, and searches knobs."""
