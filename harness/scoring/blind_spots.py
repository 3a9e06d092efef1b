"""What metrics cannot see of the references of a run, found before anything runs, so that no zero stands in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from harness.errors import MetricError
from harness.request import Split
from harness.scoring.base import MetricPlugin
from harness.scoring.selection import SelectedMetrics, measure
from harness.scoring.words import find_words
from harness.tasks.base import Task
from methods.types import Example
from reports.records.details import ScoringDetails

_TRIED = 8
"""Examples on which a metric of someone else's is tried. Of so many it would be odd if none told right from wrong."""


def describe_references(metrics: SelectedMetrics, task: Task) -> SelectedMetrics:
    """The metrics, with what is to be said of them for the references of each split on which trials are evaluated."""
    splits: dict[Split, tuple[Example, ...]] = {"test": task.test, "validation": task.validation}
    described = {
        split: describe_scoring(metrics.choose(split), examples) for split, examples in splits.items() if examples
    }
    return dataclasses.replace(metrics, described=described)


def describe_scoring(plugins: Iterable[MetricPlugin], examples: Sequence[Example]) -> ScoringDetails:
    """How each metric splits texts into words, and a sentence for each that cannot see some of the references."""
    plugins = list(plugins)
    references = [example.references for example in examples]
    found = {plugin.label: plugin.find_blind_spot(references) for plugin in plugins}
    sentences = {label: spot.sentence for label, spot in found.items() if spot is not None}
    for plugin in plugins:
        if plugin.light and not plugin.words and (said := _try_right_and_wrong(plugin, examples)):
            sentences[plugin.label] = said
    return ScoringDetails(
        words={plugin.label: plugin.words for plugin in plugins if plugin.words}, blind_spots=sentences
    )


def _try_right_and_wrong(plugin: MetricPlugin, examples: Sequence[Example]) -> str | None:
    """A sentence if a metric gives references that are not ASCII the same numbers as answers without a word of them.

    How a function or a script splits texts cannot be known, but this shows whether it sees anything.
    """
    tried = [example for example in examples if any(not word.isascii() for word in find_words(example.target))]
    beside = zip(tried, tried[1:] + tried[:1], strict=True)
    pairs = [(one, other.target) for one, other in beside if _differ(one, other)][:_TRIED]
    if len(pairs) < 2:
        return None
    chosen = [example for example, _ in pairs]
    try:
        right = measure(plugin, chosen, [example.target for example in chosen]).rows
        wrong = measure(plugin, chosen, [text for _, text in pairs]).rows
    except MetricError:  # what it fails on shows when it is used
        return None
    if right != wrong:
        return None
    return (
        f"{plugin.label} gave right answers and wrong ones the same numbers for all {len(pairs)} references with "
        "letters beyond ASCII that were tried: it may not see their script"
    )


def _differ(one: Example, other: Example) -> bool:
    """Whether two examples' references share no word."""
    words = {word for text in one.references for word in find_words(text)}
    return words.isdisjoint(find_words(other.target))
