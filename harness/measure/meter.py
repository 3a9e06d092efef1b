"""The meter: time, memory, throughput and energy of a trial, phase by phase, the same for every method.

On a GPU the device's peaks are PyTorch's own; on a CPU the exact peak of live tensors is watched as well. What cannot
be measured is `None`. What the figures mean: docs/measurements.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.measure.energy import EnergyCounter
from harness.measure.memory import DevicePeak, HostPeak, TensorPeak, read_resident_bytes
from harness.measure.throughput import Throughput
from harness.measure.training_curve import Point, TrainingCurve
from methods.types import StepEvent
from reports.records.record import Phase

if TYPE_CHECKING:
    import torch


SUPERVISED = ("", "warm_start")
"""Stages whose loss is cross-entropy; the training curve holds no other."""


@dataclass(frozen=True, kw_only=True)
class LiveValues:
    """What is known while a phase runs."""

    tokens_per_second: float | None
    host_bytes: int | None
    device_bytes: int | None


class Meter:
    """Measures one trial in this process.

    `device` is `cpu`, `cuda` or `mps`, or `none` where there is no torch to watch. `clock` gives monotonic seconds.
    `age` is the number of seconds since the process started; it counts for the total.
    """

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter, age: float = 0.0) -> None:
        self.phases: dict[str, Phase] = {}
        self._device_name = device
        self._clock = clock
        self._started = clock() - age
        self._host = HostPeak()
        self._tensors = TensorPeak() if device == "cpu" else None
        self._device = DevicePeak() if device == "cuda" else None
        self._energy = EnergyCounter() if device == "cuda" else None
        self._throughput = Throughput(self.read_clock)
        self._curve = TrainingCurve()
        self._open: list[_OpenPhase] = []  # the open phases, outermost first
        self._earlier: dict[str, Phase] = {}  # measured by the process that wrote the checkpoint
        self._excluded_seconds = self._excluded_joules = 0.0
        self._stopped_at: tuple[float, float | None] | None = None  # clock and energy counter while they are stopped

    @contextlib.contextmanager
    def measure_phase(self, name: str) -> Iterator[None]:
        """Measure what happens inside; a phase that fails is measured up to there.

        Phases nest: a stage of training, such as `train.policy`, has figures of its own and counts for `train` too.
        """
        self._record_peaks()
        watch = self._tensors if self._tensors is not None and not self._open else contextlib.nullcontext()
        self._open.append(_OpenPhase(name, self.read_clock(), self._read_joules()))
        try:
            with watch:
                yield
        finally:
            self.phases[name] = self._measure_so_far(self._open[-1])
            self._open.pop()

    def _measure_so_far(self, phase: _OpenPhase) -> Phase:
        """What an open phase has measured so far, including earlier processes."""
        seconds, joules = self.read_clock() - phase.started, self._read_joules()
        self._record_peaks()
        spent = None if joules is None or phase.joules is None else joules - phase.joules
        return add_phases(self._earlier.get(phase.name), Phase(seconds=seconds, **phase.peaks, energy_joules=spent))

    def _record_peaks(self) -> None:
        """Add the peaks since the last call to every open phase, and reset them."""
        if self._stopped_at is not None:
            return
        if self._open:
            found: dict[str, int | None] = {"peak_host_bytes": self._host.stop()}
            if self._tensors is not None:
                found["peak_tensor_bytes"] = self._tensors.peak
            if self._device is not None:
                allocated, reserved = self._device.stop()
                found |= {"peak_device_allocated_bytes": allocated, "peak_device_reserved_bytes": reserved}
            for peaks in (phase.peaks for phase in self._open):
                peaks |= {name: max(value, peaks.get(name, 0)) for name, value in found.items() if value is not None}
        self._start_peaks()

    def _start_peaks(self) -> None:
        self._host.start()
        if self._device is not None:
            self._device.start()
        if self._tensors is not None:
            self._tensors.reset_peak()

    def count_model(self, model: torch.nn.Module) -> None:
        """Count the tensors of a model that no watched operation created, such as weights loaded from a file."""
        if self._tensors is not None:
            self._tensors.count_model(model)

    def on_step(self, event: StepEvent) -> None:
        """Record an optimiser step that has just ended."""
        self._throughput.on_step(event)
        if event.stage in SUPERVISED:
            self._curve.add(event)

    @contextlib.contextmanager
    def exclude(self) -> Iterator[None]:
        """Exclude what happens inside from all measurements, such as the writing of a checkpoint.

        For phases, throughput and budgets the clock and the energy counter stop, and peaks are ignored. Only the total
        time goes on: it is the time that the trial takes.
        """
        self._record_peaks()
        began, joules = self._stopped_at = self.read_clock(), self._read_joules()
        try:
            yield
        finally:
            self._stopped_at = None
            self._excluded_seconds += self.read_clock() - began
            after = self._read_joules()
            if joules is not None and after is not None:
                self._excluded_joules += after - joules
            self._start_peaks()

    def read_seconds(self, phase: str) -> float:
        """Seconds that an open phase has taken so far, including those in earlier processes."""
        started = next(held.started for held in self._open if held.name == phase)
        earlier = self._earlier.get(phase)
        return self.read_clock() - started + (earlier.seconds if earlier else 0.0)

    def get_state(self) -> dict[str, Any]:
        """Everything measured so far, as JSON types, for the process that resumes the trial."""
        under_way = {phase.name: self._measure_so_far(phase) for phase in self._open}
        return {
            "phases": {name: dataclasses.asdict(phase) for name, phase in {**self.phases, **under_way}.items()},
            "total_seconds": self._clock() - self._started,
            "throughput": self._throughput.get_state(),
            "curve": self._curve.get_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the measurements of an earlier process: add seconds and joules, and keep the larger peaks."""
        self._earlier = {name: Phase(**phase) for name, phase in state["phases"].items()}
        self.phases = {**self._earlier, **self.phases}
        self._started -= state["total_seconds"]
        self._throughput.restore(state["throughput"])
        self._curve.restore(state["curve"])

    def read_live_values(self) -> LiveValues:
        """What the progress display shows."""
        return LiveValues(
            tokens_per_second=self._throughput.tokens_per_second,
            host_bytes=read_resident_bytes(),
            device_bytes=self._device.read_allocated() if self._device is not None else None,
        )

    @property
    def curve(self) -> list[Point]:
        """The training curve."""
        return self._curve.read_points()

    def compute_metrics(self, price_per_hour: float | None) -> dict[str, float | None]:
        """Every metric of `reports.records.metrics` that is measured here; peaks are the largest of all phases."""
        total = self._clock() - self._started
        joules = [phase.energy_joules for name, phase in self.phases.items() if "." not in name]
        return {
            **{name: self._find_largest(name) for name in _PEAKS},
            "train_tokens_per_second": self._throughput.tokens_per_second,
            "train_examples_per_second": self._throughput.examples_per_second,
            **{f"{name}_seconds": self._find_seconds(name) for name in ("load", "train", "evaluate")},
            "total_seconds": total,
            "energy_joules": sum(filter(None, joules)) if any(value is not None for value in joules) else None,
            "cost": None if price_per_hour is None else compute_cost(total, price_per_hour),
        }

    def read_clock(self) -> float:
        """Monotonic seconds without excluded ones, read after the device has finished its queued work."""
        if self._stopped_at is not None:
            return self._stopped_at[0]
        if self._device_name in ("cuda", "mps"):
            import torch

            getattr(torch, self._device_name).synchronize()
        return self._clock() - self._excluded_seconds

    def _read_joules(self) -> float | None:
        """The energy counter without excluded energy."""
        if self._stopped_at is not None:
            return self._stopped_at[1]
        joules = self._energy.read_joules() if self._energy is not None else None
        return None if joules is None else joules - self._excluded_joules

    def _find_largest(self, name: str) -> Any:
        return max((v for phase in self.phases.values() if (v := getattr(phase, name)) is not None), default=None)

    def _find_seconds(self, phase: str) -> float | None:
        return self.phases[phase].seconds if phase in self.phases else None


@dataclass
class _OpenPhase:
    """A phase that has not ended yet."""

    name: str
    started: float
    joules: float | None
    """The counter at its start."""
    peaks: dict[str, int] = field(default_factory=dict)


def add_phases(earlier: Phase | None, later: Phase) -> Phase:
    """One phase of two processes: the sums of seconds and joules, and the larger peaks."""
    if earlier is None:
        return later
    peaks = {name: _combine_known(max, getattr(earlier, name), getattr(later, name)) for name in _PEAKS}
    joules = _combine_known(sum, earlier.energy_joules, later.energy_joules)
    return Phase(seconds=earlier.seconds + later.seconds, **peaks, energy_joules=joules)


def _combine_known(combine: Callable[[list[Any]], Any], *values: Any) -> Any:
    """The values that were measured, combined; `None` where none was."""
    found = [value for value in values if value is not None]
    return combine(found) if found else None


def compute_cost(seconds: float, price_per_hour: float) -> float:
    """The cost of this many seconds, in the currency of the price."""
    return seconds / 3600 * price_per_hour


_PEAKS = ("peak_device_allocated_bytes", "peak_device_reserved_bytes", "peak_host_bytes", "peak_tensor_bytes")


def read_process_age() -> float:
    """Seconds since this process was started."""
    import psutil

    return float(max(0.0, time.time() - psutil.Process().create_time()))
