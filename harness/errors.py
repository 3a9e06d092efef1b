"""Errors that the user sees as one clear sentence; `--debug` adds the traceback.

    HarnessError              exit code 2: the request was wrong, nothing was started
    ├── SpecError             flags, YAML file or settings
    ├── DataError             a data file: which file, which line or field, and what to do
    ├── ModelError            a model that cannot be found, read or loaded
    ├── MetricError           a metric that cannot be used, or that fails on an example
    └── LauncherError         a launcher that cannot be used

`methods.errors.MethodError` and `reports.errors.ReportError` play the same role in their packages.
"""

from __future__ import annotations


class HarnessError(Exception):
    """The request cannot be carried out; the message is one sentence for the user."""


class SpecError(HarnessError):
    """A flag, a key of the YAML file or a setting is wrong."""


class DataError(HarnessError):
    """The data cannot be used."""


class ModelError(HarnessError):
    """The model cannot be found or loaded."""


class MetricError(HarnessError):
    """A metric cannot be used, or does not give one finite number for each example."""


class LauncherError(HarnessError):
    """A launcher cannot be used."""
