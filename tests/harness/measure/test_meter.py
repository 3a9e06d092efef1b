"""The meter under a clock that the test moves: times, rates, sums and the curve are known beforehand."""

from __future__ import annotations

import pytest

from harness.measure.meter import Meter, add_phases
from harness.measure.training_curve import TrainingCurve
from methods.base import StepEvent
from reports.records.metrics import METRICS
from reports.records.record import Phase


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def step(number, *, tokens=50, examples=4, loss=1.0):
    return StepEvent(number, number / 10, loss, 1e-3, tokens, tokens // 2, examples)


@pytest.fixture
def clock():
    return Clock()


def test_phases_are_timed_and_the_total_includes_the_life_before(clock):
    meter = Meter("none", clock, age=2.0)
    with meter.measure_phase("load"):
        clock.now += 3
    clock.now += 1  # between phases
    with meter.measure_phase("train"):
        clock.now += 20
    with meter.measure_phase("evaluate"):
        clock.now += 4
    metrics = meter.compute_metrics(price_per_hour=3600)
    assert (metrics["load_seconds"], metrics["train_seconds"], metrics["evaluate_seconds"]) == (3, 20, 4)
    assert metrics["total_seconds"] == 30
    assert metrics["cost"] == 30


def test_a_phase_that_fails_is_measured_up_to_there(clock):
    meter = Meter("none", clock)

    def fail():
        clock.now += 7
        raise RuntimeError

    with meter.measure_phase("load"), pytest.raises(RuntimeError), meter.measure_phase("train"):
        fail()
    assert meter.phases["train"].seconds == 7


def test_throughput_leaves_the_first_three_steps_out(clock):
    meter = Meter("none", clock)
    with meter.measure_phase("train"):
        for number in range(1, 4):
            clock.now += 100  # warming up
            meter.on_step(step(number, tokens=10_000))
        assert meter.read_live_values().tokens_per_second is None
        for number in range(4, 9):
            clock.now += 2
            meter.on_step(step(number, tokens=50, examples=4))
    metrics = meter.compute_metrics(None)
    assert metrics["train_tokens_per_second"] == 25
    assert metrics["train_examples_per_second"] == 2


def test_what_was_not_measured_is_none_and_every_metric_is_declared(clock):
    metrics = Meter("none", clock).compute_metrics(None)
    assert set(metrics) <= set(METRICS)
    for name in ("cost", "energy_joules", "train_tokens_per_second", "train_seconds", "peak_device_allocated_bytes"):
        assert metrics[name] is None


def test_the_peak_of_a_trial_is_the_largest_of_its_phases():
    torch = pytest.importorskip("torch")
    meter = Meter("cpu")
    with meter.measure_phase("load"):
        kept = torch.zeros(1 << 20)  # 4 MiB
    with meter.measure_phase("train"):
        torch.zeros(3 << 20)  # 12 MiB more, freed at once
    with meter.measure_phase("evaluate"):
        torch.zeros(1 << 18)  # 1 MiB more
    peaks = {name: phase.peak_tensor_bytes for name, phase in meter.phases.items()}
    assert peaks == {"load": 4 << 20, "train": 16 << 20, "evaluate": 5 << 20}
    assert meter.compute_metrics(None)["peak_tensor_bytes"] == 16 << 20
    assert kept.numel() == 1 << 20


def test_a_curve_has_at_most_so_many_points_and_keeps_the_mean_loss():
    curve = TrainingCurve(most_points=10)
    for number in range(1, 101):
        curve.add(step(number, loss=float(number)))
    points = curve.read_points()
    # Ten points became five four times: a point is 16 steps, and the four steps that are left make one more.
    assert [point["step"] for point in points] == [16, 32, 48, 64, 80, 96, 100]
    assert [point["loss"] for point in points] == [8.5, 24.5, 40.5, 56.5, 72.5, 88.5, 98.5]
    assert points[-1]["tokens"] == 5000


def test_a_short_curve_is_whole():
    curve = TrainingCurve()
    for number in range(1, 4):
        curve.add(step(number, loss=number / 2))
    assert [(point["step"], point["loss"]) for point in curve.read_points()] == [(1, 0.5), (2, 1.0), (3, 1.5)]


def test_a_meter_goes_on_from_what_another_process_measured(clock):
    import json

    first = Meter("none", clock, age=1.0)
    with first.measure_phase("load"):
        clock.now += 3
    with first.measure_phase("train"), first.measure_phase("train.warm_start"):
        for number in range(1, 6):
            clock.now += 2
            first.on_step(step(number, loss=float(number)))
        kept = json.loads(json.dumps(first.get_state()))  # 14 s after the start
        clock.now += 500  # lost when the process was killed
    second = Meter("none", clock, age=1.5)
    second.restore(kept)
    with second.measure_phase("load"):
        clock.now += 4
    with second.measure_phase("train"):
        with second.measure_phase("train.warm_start"):
            for number in range(6, 11):
                clock.now += 2
                second.on_step(step(number, loss=float(number)))
        with second.measure_phase("train.policy"):
            clock.now += 7
    metrics = second.compute_metrics(None)
    assert (metrics["load_seconds"], metrics["train_seconds"]) == (7, 27)
    assert second.phases["train.warm_start"].seconds == 20
    assert second.phases["train.policy"].seconds == 7
    assert metrics["total_seconds"] == 14 + 22.5
    assert metrics["train_tokens_per_second"] == 25  # of two steps in either process: each warms up by itself
    assert [(point["step"], point["loss"]) for point in second.curve] == [(i, float(i)) for i in range(1, 11)]
    assert second.curve[-1]["tokens"] == 500


def test_a_phase_in_two_processes_has_the_larger_peaks():
    earlier = Phase(seconds=2.0, peak_host_bytes=10, peak_tensor_bytes=7, energy_joules=3.0)
    later = Phase(seconds=5.0, peak_host_bytes=8, energy_joules=4.0)
    assert add_phases(earlier, later) == Phase(seconds=7.0, peak_host_bytes=10, peak_tensor_bytes=7, energy_joules=7.0)
    assert add_phases(None, later) == later


def test_what_is_done_aside_is_no_training(clock):
    meter = Meter("none", clock)
    with meter.measure_phase("train"), meter.measure_phase("train.warm_start"):
        for number in range(1, 7):
            clock.now += 2
            meter.on_step(step(number, tokens=50))
            with meter.exclude():
                clock.now += 60  # a checkpoint is written
                kept = meter.get_state()
                clock.now += 40
            assert meter.read_clock() == 100 + 2 * number
            assert meter.read_seconds("train") == kept["phases"]["train"]["seconds"] == 2 * number
    metrics = meter.compute_metrics(None)
    assert metrics["train_tokens_per_second"] == 25
    assert metrics["train_seconds"] == meter.phases["train.warm_start"].seconds == 12
    assert metrics["total_seconds"] == 6 * 102


def test_time_aside_ends_with_an_exception_too(clock):
    meter = Meter("none", clock)

    def fail():
        clock.now += 5
        raise RuntimeError

    with meter.measure_phase("train"):
        with pytest.raises(RuntimeError), meter.exclude():
            fail()
        clock.now += 1
    assert meter.phases["train"].seconds == 1


def test_energy_that_is_spent_aside_does_not_count(clock):
    class Counter:
        spent = 7.0

        def read_joules(self):
            return self.spent

    meter = Meter("none", clock)
    meter._energy = counter = Counter()  # of a device that is not here
    with meter.measure_phase("train"):
        counter.spent += 30
        with meter.exclude():
            counter.spent += 500
            meter.get_state()
        counter.spent += 4
    assert meter.phases["train"].energy_joules == 34


def test_no_peak_counts_that_is_reached_aside():
    torch = pytest.importorskip("torch")
    meter = Meter("cpu")
    with meter.measure_phase("train"):
        kept = torch.zeros(1 << 20)  # 4 MiB
        torch.zeros(1 << 19)  # 2 MiB more, freed at once
        with meter.exclude():
            torch.zeros(64 << 20).fill_(1)  # 256 MiB
            resident = meter.read_live_values().host_bytes
            told = meter.get_state()["phases"]["train"]
        torch.zeros(1 << 18)
    found = meter.phases["train"]
    assert found.peak_tensor_bytes == told["peak_tensor_bytes"] == 6 << 20
    assert found.peak_host_bytes < resident + (128 << 20)
    assert kept.numel() == 1 << 20


def test_a_thinned_curve_goes_on_as_if_in_one_process():
    whole, first, second = TrainingCurve(most_points=10), TrainingCurve(most_points=10), TrainingCurve(most_points=10)
    for number in range(1, 101):
        whole.add(step(number, loss=number / 7))
    for number in range(1, 38):
        first.add(step(number, loss=number / 7))
    second.restore(first.get_state())
    for number in range(38, 101):
        second.add(step(number, loss=number / 7))
    assert second.read_points() == whole.read_points()
