"""Clocks, memory and energy: all that is measured of a trial, outside the method."""
