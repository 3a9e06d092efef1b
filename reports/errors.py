"""Errors of the report side; each carries one sentence for the user.

ReportError
├── RecordError     a record file that is not one: truncated, foreign, or of a later schema
└── StoreError      a run directory that cannot be read or written
"""

from __future__ import annotations


class ReportError(Exception):
    """A report cannot be made."""


class RecordError(ReportError):
    """The file is not a readable record."""


class StoreError(ReportError):
    """The run directory cannot be read or written."""
