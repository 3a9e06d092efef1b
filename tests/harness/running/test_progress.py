"""Both progress displays show phases, steps, evaluation and the outcome of a trial."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.events import EvaluationProgress, PhaseEvent, StepProgress
from harness.outcome import Outcome, finish_record
from harness.planning.planner import make_plan
from harness.running.progress import LiveProgress, PlainProgress, choose_progress
from harness.spec.spec import build_spec

EVENTS = [
    PhaseEvent(name="train"),
    *(
        StepProgress(step=n, progress=n / 100, loss=2.5, tokens_per_second=1234.5, host_bytes=2**30)
        for n in range(1, 101)
    ),
    PhaseEvent(name="evaluate"),
    *(EvaluationProgress(progress=n / 16, host_bytes=2**30) for n in range(1, 17)),
]


@pytest.fixture(scope="module")
def trial():
    spec = build_spec({"model": "toy", "task": "toy", "methods": "toy[warmup=0.1]"})
    return make_plan(spec).trials[1]


def test_plain_lines_show_phases_tenths_of_training_and_quarters_of_evaluation(trial):
    lines = []
    progress = PlainProgress(2, lines.append)
    progress.show_start(trial)
    for event in EVENTS:
        progress.show_event(event)
    progress.show_end(finish_record(trial.draft, Outcome(status="ok", metrics={"rougeL": 0.5})), skipped=False)
    assert [line.split()[0] for line in lines[2:12]] == [f"{n}%" for n in range(10, 101, 10)]
    assert "step 10  loss 2.500  1,234 tokens/s  1.00 GiB" in lines[2]
    assert lines[2].endswith("left")
    assert lines[12].strip() == "evaluate"
    assert [line.split()[0] for line in lines[13:17]] == ["25%", "50%", "75%", "100%"]
    assert "step" not in lines[13]
    assert lines[17] == "[1/2] toy[warmup=0.1] seed 0: ok  ROUGE-L 0.500"
    assert len(lines) == 18


@pytest.mark.parametrize("width", [80, 160])
def test_the_live_bar_follows_training_and_evaluation(trial, width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    progress = choose_progress(2, console)
    assert isinstance(progress, LiveProgress)
    with progress:
        progress.show_start(trial)
        for event in EVENTS:
            progress.show_event(event)
            if getattr(event, "step", None) == 50:
                progress.bars.refresh()
        (bar,) = progress.bars.tasks
        assert (bar.completed, bar.total, bar.description) == (1.0, 1.0, "evaluate")
        progress.show_event(PhaseEvent(name="save"))
        (bar,) = progress.bars.tasks
        assert (bar.total, bar.fields["step"]) == (None, "")
        progress.show_end(finish_record(trial.draft, Outcome(status="diverged", message="why")), skipped=False)
        assert not progress.bars.tasks
    shown = console.file.getvalue()
    assert "toy[warmup=0.1] seed 0: diverged: why" in shown
    assert "left" in shown  # what is most wanted is never cut off
    assert "step 50" in shown


def test_output_to_a_file_gets_plain_lines():
    assert isinstance(choose_progress(1, Console(file=io.StringIO())), PlainProgress)
