"""Plots as SVG, written by hand: legible in light and dark."""
