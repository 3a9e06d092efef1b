"""The metrics of a request: tried before anything runs, checked example by example, and part of what a trial is."""

from __future__ import annotations

import math
import textwrap

import pytest

from harness.errors import HarnessError, MetricError, SpecError
from harness.request import RequestPart
from harness.scoring.overlap import ExactMatch
from harness.scoring.selection import find_planned_metrics, measure, select_metrics
from methods.registry import build
from reports.records.metrics import METRICS, Metric

PREDICTIONS = ["the cat", "no", "maybe"]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module of a new name into the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    count = iter(range(100))

    def make(text):
        name = f"metric_{tmp_path.name.replace('-', '_')}_{next(count)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    return make


def measured(text: str, examples, predictions=PREDICTIONS):
    (found,) = select_metrics([text], examples).measure(examples, predictions)
    return found


def test_rouge_is_left_out_because_it_is_measured_in_any_case(examples):
    found = select_metrics(["rouge"], examples)
    assert found.plugins == ()
    method = build("lora")
    assert (found.identity(method, "test"), found.request(method, "test")) == ({}, RequestPart())
    assert found.scoring("test").keys() == {"rouge"}
    assert [plugin.name for plugin in select_metrics(["rouge", "chrf", "bleu"], examples).plugins] == ["chrf", "bleu"]


def test_a_function_gets_columns_and_gives_numbers(examples, module):
    name = module('''
        def known(predictions, references, inputs):
            """  words of the first reference, and one for each input
            more text"""
            assert inputs == ["one", "two", "three"][:len(inputs)]
            return (len(wanted[0].split()) + bool(text) for wanted, text in zip(references, inputs))

        class Scores:
            @staticmethod
            def two(predictions, references, inputs):
                return {"length": [len(text) for text in predictions], "is-no": [text == "no" for text in predictions]}

        Scores.two.direction = "lower"
    ''')
    one = measured(f"{name}:known", examples)
    assert [row[f"{name}:known"] for row in one.rows] == [4, 2, 4]
    (metric,) = one.declared.values()
    assert (metric.title, metric.unit, metric.direction) == (f"{name}:known", "score", None)
    assert metric.formula.startswith("mean over examples: words of the first reference, and one for each input (file ")

    both = measured(f"{name}:Scores.two", examples)
    assert both.rows[1] == {f"{name}:Scores.two.length": 2, f"{name}:Scores.two.is-no": 1.0}
    assert {metric.direction for metric in both.declared.values()} == {"lower"}


def failure(text, examples, predictions=PREDICTIONS) -> str:
    with pytest.raises(HarnessError) as caught:
        measured(text, examples, predictions)
    assert "\n" not in str(caught.value)
    return str(caught.value)


AT_MAYBE = "for example 3 of 3: prediction 'maybe', input 'three'"
"""The references, on which metrics are tried, don't hold it."""


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[{}['no\\nkey'] if 'maybe' in p else 1 for _ in p]", f"raised KeyError: 'no\\nkey' {AT_MAYBE}"),
        ("[1.0] * (len(p) + ('maybe' in p))", f"returned 2 numbers instead of 1 {AT_MAYBE}"),
        ("[float('nan') if t == 'maybe' else 1 for t in p]", f"returned nan {AT_MAYBE}"),
        ("[float('-inf') if t == 'maybe' else 1 for t in p]", f"returned -inf {AT_MAYBE}"),
        ("['1' if t == 'maybe' else 1 for t in p]", f"returned a value of type str instead of a number {AT_MAYBE}"),
        ("[None if t == 'maybe' else 1 for t in p]", f"returned None instead of a number {AT_MAYBE}"),
        ("None if 'maybe' in p else [1] * len(p)", f"returned None instead of a sequence of numbers {AT_MAYBE}"),
        ("{'a': [1] * len(p), 'b': [1] * (len(p) - ('maybe' in p))}", f"returned 0 numbers instead of 1 {AT_MAYBE}"),
        ("{'a': [1] * len(p), **({3: 1} if 'maybe' in p else {})}", f"a dict whose keys are not names {AT_MAYBE}"),
        ("{'a b': [1] * len(p)}", "give it another name, of letters, digits and ._:-[]"),
        ("exit(3) if 'maybe' in p else [1] * len(p)", f"raised SystemExit: 3 {AT_MAYBE}"),
        (
            "[1] * len(p) if len(p) < 3 else [1]",
            "returned 1 numbers instead of 3 for 3 examples together, though for none of them alone",
        ),
        (
            "{}",
            "returned a dict whose keys are not names for example 1 of 2: prediction 'the cat sat', input 'one' (it ",
        ),
        ("5", "(it was tried on the references of the data)"),
    ],
)
def test_a_function_that_fails_names_the_example(examples, module, body, sentence):
    name = module(f"def f(p, r, i):\n    return {body}\n")
    said = failure(f"{name}:f", examples)
    assert said.startswith(f"the metric {name}:f ")
    assert sentence in said


def test_want_of_memory_is_no_fault_of_the_metric(examples, module):
    name = module("def f(p, r, i):\n    if 'maybe' in p: raise MemoryError\n    return [1] * len(p)\n")
    with pytest.raises(MemoryError):
        measured(f"{name}:f", examples)


def test_what_cannot_be_had_is_said_before_anything_runs(examples, module):
    name = module("def f(p, r, i):\n    return [1] * len(p)\nf.direction = 'up'\nLIMIT = 3\n")
    assert failure(f"{name}:f", examples) == (
        f"--metrics {name}:f: its direction is 'up'; it may be 'higher' or 'lower'"
    )
    assert failure(f"{name}:LIMIT", examples) == f"--metrics {name}:LIMIT is of type int, not a function"
    assert "has no attribute 'g'" in failure(f"{name}:g", examples)
    assert "the module 'no_such_module_here' cannot be imported" in failure("no_such_module_here:f", examples)
    assert "unknown metric 'a b'" in failure("a b", examples)
    assert failure("chrf[", examples) == ("cannot read the metric 'chrf[': write NAME or NAME[knob=value,knob=value]")


def test_a_metric_that_is_not_installed_says_how_to_get_it(examples, monkeypatch):
    from harness.scoring.sacrebleu_metrics import Chrf

    monkeypatch.setattr(Chrf, "package", "no_such_package_here")
    with pytest.raises(SpecError) as caught:
        select_metrics(["chrf"], examples)
    assert str(caught.value) == (
        'the metric chrf needs the package no_such_package_here: pip install "finetune-harness[metrics]", or leave it '
        "out of --metrics"
    )


def test_one_measure_is_not_asked_for_twice(examples):
    with pytest.raises(SpecError, match="two of the metrics measure chrf"):
        select_metrics(["chrf", "bleu", "chrf"], examples)


GOOD = Metric("mine", "mine", "score", "higher", "x")


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (METRICS["rougeL"], None),  # what a plugin may measure, too, if it means the same
        (Metric("rougeL", "my L", "score", "higher", "x"), "calls a number 'rougeL'; give it another name"),
        (Metric("gain", "my gain", "score", "higher", "x"), "calls a number 'gain'; give it another name"),
        (Metric("=1", "mine", "score", "higher", "x"), "calls a number '=1'; give it another name"),
        (Metric("mine", "ROUGE-L", "score", "higher", "x"), "the title 'ROUGE-L', which is taken or empty"),
        (Metric("mine", " ", "score", "higher", "x"), "the title ' ', which is taken or empty"),
        (Metric("mine", "mine", "miles", "higher", "x"), "no report can show: mine.unit has a value of the wrong kind"),
        (
            Metric("mine", "mine", "score", "up", "x"),
            "no report can show: mine.direction has a value of the wrong kind",
        ),
        (Metric("mine", "mine", "score", "lower", None), "no report can show: mine.formula has a value of the wrong"),
    ],
)
def test_declarations_are_checked_before_anything_runs(examples, monkeypatch, declared, sentence):
    class Mine(ExactMatch):
        declares = (declared,)

    monkeypatch.setattr("harness.scoring.selection._find", lambda text: Mine())
    if sentence is None:
        (one,) = select_metrics(["mine"], examples).measure(examples, PREDICTIONS)
        assert one.rows[1] == {declared.name: 1.0}
        return
    with pytest.raises(MetricError) as caught:
        select_metrics(["mine"], examples)
    assert sentence in str(caught.value)


def test_a_plugin_that_raises_where_nothing_should_is_one_sentence(examples, monkeypatch):
    class Mine(ExactMatch):
        @property
        def declares(self):
            return 1 / 0

    monkeypatch.setattr("harness.scoring.selection._find", lambda text: Mine())
    with pytest.raises(MetricError, match="the metric exact-match cannot be used: ZeroDivisionError: division by zero"):
        select_metrics(["mine"], examples)


@pytest.mark.parametrize("row", [{}, {"mine": 1.0, "more": 2.0}, {"other": 1.0}, {"mine": math.nan}, 1.0])
def test_a_plugin_gives_what_it_declares(examples, row):
    class Mine(ExactMatch):
        declares = (GOOD,)

        def score(self, predictions, references, inputs):
            return [row for _ in predictions]

    with pytest.raises(MetricError, match=r"^the metric exact-match returned .* for example 1 of 3"):
        measure(Mine(), examples, PREDICTIONS)


def test_what_its_numbers_depend_on_stands_beside_the_scores(examples, module, tmp_path):
    name = module("def f(p, r, i):\n    return [1] * len(p)\n")
    found = select_metrics(["chrf", f"{name}:f"], examples)
    assert found.scoring("test") == select_metrics([f"{name}:f", "rouge", "chrf"], examples).scoring("test")
    assert found.scoring("test").keys() == {"rouge", "chrf", f"{name}:f"}
    assert found.scoring("validation").keys() == {"rouge"}  # a search goes by ROUGE-L
    asked = found.request(build("lora"), "test").metrics
    again = find_planned_metrics(asked)
    assert [plugin.label for plugin in again.plugins] == ["chrf", f"{name}:f"]
    with (tmp_path / f"{name}.py").open("a") as stream:
        stream.write("# changed\n")
    with pytest.raises(MetricError, match=f"the metric {name}:f changed after the run was planned; start the run agai"):
        find_planned_metrics(asked)
