"""The checkpoint of a trial: one file from which an interrupted trial goes on.

The file holds what the method saves, the trained weights, the random state, and what the worker has measured. A file
that is damaged or belongs to another trial is set aside, and the training starts from the beginning; a file that cannot
be written does not end the trial. The record notes both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.request import TrialRequest
from harness.worker import tensor_file
from harness.worker.carried_state import CarriedState
from harness.worker.stop_signal import Interrupted, StopSignal
from methods.engine.training_state import (
    find_trainable_weights,
    load_weights,
    pack_states,
    read_random_state,
    restore_random_state,
    unpack_states,
)
from methods.types import Checkpoint, State
from reports.records import files
from reports.records.decoding import decode
from reports.records.details import CheckpointDetails

FORMAT = 3
"""To be raised when the content of the file changes its meaning; older files are then set aside."""


class TrialCheckpoint(Checkpoint):
    """Saves the state of one trial in its file."""

    def __init__(
        self,
        request: TrialRequest,
        stop: StopSignal,
        *,
        carry: Callable[[], CarriedState],
        note: Callable[[CheckpointDetails], None],
        exclude: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """`carry` returns what the worker has measured, `note` takes what is wrong, and the file is written inside
        `exclude`, so that the time this takes is not measured."""
        self._file = Path(request.places.checkpoint) if request.places else None
        self._every = request.checkpoint_every if self._file else None
        # What decides the order of the data. The same trial may go on with smaller batches and more accumulation.
        self._identity = {
            "format": FORMAT,
            "trial_id": request.trial_id,
            "effective_batch": request.training.effective,
        }
        self._stop = stop
        self._carry = carry
        self._note = note
        self._exclude = exclude
        self._state: State | None = None
        self._model: Any = None
        self._device = request.device
        self._written = False
        self._noted = False
        self._last_step, self._last_time = 0, time.monotonic()
        self.steps = 0
        """Optimiser steps done; whoever is told of a step sets it."""

    def open(self) -> CarriedState | None:
        """Read the file. Returns what the worker had measured by then; `None` where there is no usable file."""
        if self._file is None:
            return None
        with contextlib.suppress(OSError):
            files.make_draft_path(self._file).unlink(missing_ok=True)
        try:
            tensors, values = tensor_file.read(self._file)
            if values.get("identity") != self._identity:
                raise ValueError("it belongs to another trial or another version")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            print(f"warning: the checkpoint is set aside, and training starts from the beginning: {reason}", flush=True)
            self._note(CheckpointDetails(set_aside=reason))
            with contextlib.suppress(OSError):
                self._file.replace(self._file.with_name(f"{self._file.name}.damaged"))
            return None
        self._state = State(tensors, values["state"])
        self._written = True
        self.steps = self._last_step = values["steps"]
        return decode(CarriedState, values["carried"])

    def bind(self, model: Any) -> None:
        """Set the model whose weights are saved. The interval until the first checkpoint starts now."""
        self._model = model
        self._last_time = time.monotonic()

    def kept(self) -> State | None:
        """What the method itself saved."""
        return None if self._state is None else unpack_states(self._state)["method"]

    def resume(self) -> None:
        """Restore weights and random state; the file is not needed any more."""
        assert self._state is not None
        parts = unpack_states(self._state)
        load_weights(dict(self._model.named_parameters()), parts["weights"].tensors)
        restore_random_state(parts["random"], self._device)
        self._state = None

    def step(self, state: Callable[[], State]) -> None:
        """Write the file if it is time to or the trial was asked to end, and then end it."""
        if self._every is None:
            return
        self._stop.deferred = True
        if self._is_due() or self._stop.asked:
            with self._exclude():
                self._write(state())
        if self._stop.asked:
            raise Interrupted

    def ended(self, state: Callable[[], State]) -> None:
        """Write the file if it is time to, or if one was written before, which shows that the trial is long."""
        if self._every is not None:
            self._stop.deferred = True
            if self._written or self._is_due() or self._stop.asked:
                with self._exclude():
                    self._write(state())
        self._stop.deferred = False
        self._stop.check()

    def _is_due(self) -> bool:
        assert self._every is not None
        if self._every.unit == "steps":
            return bool(self.steps - self._last_step >= self._every.amount)
        return bool(time.monotonic() - self._last_time >= 60 * self._every.amount)

    def _write(self, state: State) -> None:
        assert self._file is not None
        parts = {"weights": State(find_trainable_weights(self._model)), "random": read_random_state(self._device)}
        packed = pack_states({**parts, "method": state})
        values = {
            "identity": self._identity,
            "steps": self.steps,
            "carried": dataclasses.asdict(self._carry()),
            "state": packed.values,
        }
        try:
            tensor_file.write(self._file, packed.tensors, values)
            self._written = True
        except OSError as error:
            if not self._noted:
                print(f"warning: no checkpoint can be written: {error.strerror}; training goes on", flush=True)
                self._note(CheckpointDetails(not_written=error.strerror or str(error)))
            self._noted = True
        self._last_step, self._last_time = self.steps, time.monotonic()
