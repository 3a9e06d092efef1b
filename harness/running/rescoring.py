"""Scores finished trials again from their predictions: a metric that was added or changed needs no training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from harness.planning.plan import Trial
from harness.scoring.rouge import Rouge
from harness.scoring.selection import SelectedMetrics, measure
from harness.scoring.summary import Evaluation, add_metric, round_scores
from harness.tasks import Task
from reports.records.details import ScoringDetails, read_details, write_detail
from reports.records.files import write_json_lines
from reports.records.record import Record
from reports.records.store import RunStore


class Rescorer:
    """Brings the scores of finished records up to what a run asks for."""

    def __init__(self, task: Task, metrics: SelectedMetrics, store: RunStore) -> None:
        self.task = task
        self.plugins = {plugin.label: plugin for plugin in (Rouge(), *metrics.plugins)}
        self.store = store

    def rescore(self, record: Record, trial: Trial) -> Record | None:
        """The record with all scores that the trial asks for, stored where something was missing or out of date.

        Other metrics that it has stay. `None` if its predictions are not there, or are not of these examples. Raises
        `MetricError`, which names metric, reason and example.
        """
        wanted = trial.draft.scoring
        stale = [label for label, code in wanted.items() if record.scoring.get(label) != code]
        if not stale:
            return record
        examples = self.task.test if record.split == "test" else self.task.validation
        path = self.store.predictions_path(record.trial_id)
        rows = _read_rows(path)
        if [row.get("id") for row in rows] != [example.id for example in examples]:
            return None
        evaluation = Evaluation(metrics={}, scores={}, rows=rows, cut=0)
        for label in stale:
            result = measure(self.plugins[label], examples, [row["prediction"] for row in rows])
            evaluation = add_metric(evaluation, result)
        kept = {name: values for name, values in record.scores.items() if name not in evaluation.metrics}
        scored = dataclasses.replace(
            record,
            metrics={**record.metrics, **evaluation.metrics},
            scores={**kept, **round_scores(evaluation.scores)},
            declared={**record.declared, **evaluation.declared},
            scoring={**record.scoring, **wanted},
            details=_merge_scoring(record.details, trial.draft.details, wanted.keys()),
        )
        write_json_lines(path, evaluation.rows)
        self.store.add(scored, replace=True)
        return scored


def _merge_scoring(known: Mapping[str, Any], planned: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """A record's details, with what is said of the metrics that are wanted now; what is said of others stays."""
    before, now = (read_details(details).scoring or ScoringDetails() for details in (known, planned))
    merged = ScoringDetails(
        words={**before.words, **now.words},
        blind_spots={
            **{name: said for name, said in before.blind_spots.items() if name not in wanted},
            **now.blind_spots,
        },
    )
    return {**known, "scoring": write_detail(merged)}


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a predictions file; none where it cannot be read."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return rows if all(isinstance(row, dict) and isinstance(row.get("prediction"), str) for row in rows) else []
