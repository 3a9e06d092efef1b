"""Pareto fronts against ones worked by hand."""

from __future__ import annotations

import pytest

from reports.analysis import pareto
from reports.analysis.tables import Row
from reports.errors import MetricError
from reports.records.metrics import METRICS


def rows(make, *metrics):
    """A row for each mapping of metrics, named a, b, c …"""
    return [Row(name, (make(name, metrics=held),)) for name, held in zip("abcdefgh", metrics, strict=False)]


def chosen(*names):
    return pareto.choose_metrics(names, METRICS)


def test_a_front_by_hand(make):
    held = [(0.5, 10.0), (0.4, 5.0), (0.4, 12.0), (0.5, 10.0)]
    made = rows(make, *({"rougeL": quality, "train_seconds": seconds} for quality, seconds in held))
    metrics = chosen("rougeL", "train_seconds")
    points = pareto.find_points(made, metrics)
    assert points["a"] == (0.5, 10.0)
    # d equals a: neither beats the other; c is worse than all of them
    assert pareto.find_dominators(points, metrics) == {"a": (), "b": (), "c": ("a", "b", "d"), "d": ()}


def test_a_third_metric_can_bring_a_row_back_to_the_front():
    points = {"a": (0.5, 10.0, 9.0), "b": (0.4, 12.0, 1.0), "c": (0.4, 12.0, 9.0)}
    assert pareto.find_dominators(points, chosen("rougeL", "train_seconds", "shipped_bytes")) == {
        "a": (), "b": (), "c": ("a", "b"),
    }  # fmt: skip


def test_higher_is_better_for_throughput_and_lower_for_loss():
    metrics = chosen("heldout_loss", "train_tokens_per_second")
    assert pareto.find_dominators({"a": (1.0, 500.0), "b": (1.0, 400.0), "c": (0.9, 100.0)}, metrics) == {
        "a": (), "b": ("a",), "c": (),
    }  # fmt: skip


def test_a_row_that_lacks_a_metric_is_left_out(make):
    made = rows(make, {"cost": None}, {"cost": 2.0})
    assert pareto.find_points(made, chosen("rougeL", "cost")) == {"b": (0.4, 2.0)}


def test_a_mean_over_seeds_is_what_counts(make):
    row = Row("a", tuple(make("a", seed=seed, metrics={"train_seconds": 10.0 + seed}) for seed in (0, 1)))
    assert pareto.find_points([row], chosen("rougeL", "train_seconds")) == {"a": (0.4, 10.5)}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["rougel", "cost"], "unknown metric 'rougel' (did you mean rougeL"),
        (["rougeL", "zzz"], "unknown metric 'zzz' (known: rouge1, "),
        (["rougeL", "total_parameters"], "total_parameters only describes"),
        (["rougeL"], "two or more different metrics (given: rougeL)"),
        (["rougeL", "cost", "rougeL"], "two or more different metrics (given: rougeL, cost, rougeL)"),
        ([""], "unknown metric ''"),
    ],
)
def test_what_cannot_be_traded_is_refused_in_one_sentence(names, sentence):
    with pytest.raises(MetricError) as caught:
        chosen(*names)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_memory_is_the_accelerators_where_all_rows_have_it_else_that_of_tensors_else_of_the_process(make, failed):
    gpu = {"peak_device_allocated_bytes": 1e9, "peak_tensor_bytes": None}
    broken = Row("x", (failed("x", "oom", "no"),))
    assert pareto.choose_memory_metric([*rows(make, gpu, gpu), broken]) == "peak_device_allocated_bytes"
    assert pareto.choose_memory_metric(rows(make, {}, {})) == "peak_tensor_bytes"
    assert pareto.choose_memory_metric(rows(make, gpu, {})) == "peak_host_bytes"
    none = {"peak_host_bytes": None, "peak_tensor_bytes": None}
    assert pareto.choose_memory_metric(rows(make, none)) == "peak_host_bytes"
