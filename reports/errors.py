"""Errors of the report side; each carries one sentence for the user.

ReportError
├── RecordError     a record file that is not one: truncated, foreign, or of a later schema
├── StoreError      a run directory that cannot be read or written
├── MetricError     a metric that does not exist, or that has no better end where one is needed
└── LimitError      a limit or preference that cannot be read, such as `8GB of RAM`
"""

from __future__ import annotations


class ReportError(Exception):
    """A report cannot be made."""


class RecordError(ReportError):
    """The file is not a readable record."""


class StoreError(ReportError):
    """The run directory cannot be read or written."""


class MetricError(ReportError):
    """The metric does not exist or cannot be used so."""


class LimitError(ReportError):
    """The limit cannot be read."""
