"""The base class of metrics: a metric scores each prediction and declares what its numbers mean.

A metric of a trial is the mean of its examples' values, so that it can be resampled and compared in pairs like every
other. This module imports nothing heavy, so that metrics can be listed and their settings checked in milliseconds.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from reports.records.metrics import Metric

References = Sequence[tuple[str, ...]]
"""Of each example one text or more; the best one counts, unless a metric says otherwise."""


@dataclass(frozen=True)
class BlindSpot:
    """That a metric cannot see some references, or all."""

    sentence: str
    """What a reader of its numbers must know, in words, without a full stop."""
    total: bool = False
    """Whether no number of it means anything for these references; then none is given."""


@dataclass(frozen=True)
class NoKnobs:
    """The settings of a metric that has none."""


class MetricPlugin(ABC):
    """One metric, or several that are computed together. Instances hold only their config.

    Imports of anything heavy belong inside `score`.
    """

    name: ClassVar[str]
    """What users type."""
    summary: ClassVar[str]
    """One line for `list metrics`."""
    package: ClassVar[str] = ""
    """What must be importable beside the harness; empty for nothing."""
    install: ClassVar[str] = ""
    """What pip is told to install for it, if that is not called as `package` is."""
    Config: ClassVar[type[Any]] = NoKnobs
    """Frozen dataclass of the metric's knobs, written as `NAME[knob=value]`."""
    light: ClassVar[bool] = True
    """Whether scoring two texts takes no time, so that it is tried before anything runs."""

    def __init__(self, config: Any | None = None) -> None:
        self.config = self.Config() if config is None else config

    @property
    @abstractmethod
    def declares(self) -> tuple[Metric, ...]:
        """The numbers that `score` gives for an example, each with title, unit, direction and formula."""

    @property
    def label(self) -> str:
        """What errors and records call it; no path is part of it."""
        return self.name

    @property
    def revision(self) -> str:
        """What its numbers depend on besides its code and its declarations, such as the content of a model."""
        return ""

    @property
    def words(self) -> str:
        """How it splits texts into words, where it does and that is known; reports say it."""
        return ""

    @classmethod
    def missing(cls) -> str | None:
        """What pip must install before it can be used; `None` where all is there. Imports nothing."""
        if not cls.package or importlib.util.find_spec(cls.package) is not None:
            return None
        return cls.install or cls.package

    def check(self) -> None:  # noqa: B027 - most have nothing to look for
        """Look, before anything runs, whether its settings can be used. Raises `HarnessError` with one sentence."""

    def find_blind_spot(self, references: References) -> BlindSpot | None:
        """Say what its numbers cannot show of references like these, such as a script without blanks between words."""
        return None

    @abstractmethod
    def score(
        self, predictions: Sequence[str], references: References, inputs: Sequence[str]
    ) -> Sequence[Mapping[str, float]]:
        """For each example, in order, one finite number under every declared name."""

    def declaration(self, name: str) -> Metric:
        """What is said of one of its numbers."""
        return next(metric for metric in self.declares if metric.name == name)
