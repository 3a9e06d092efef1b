"""The old name of `harness.scoring.base`."""

from harness.scoring.base import MetricPlugin, NoKnobs, References

__all__ = ["MetricPlugin", "NoKnobs", "References"]
