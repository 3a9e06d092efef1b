"""The checkpoint of a trial: one file that it goes on from after a crash, and how a SIGTERM ends it in order.

The file holds what the method keeps, the weights that train, the random numbers, and what the worker had measured. One
that is damaged, or of another trial, is set aside and the trial begins at the beginning; one that cannot be written
ends nothing. Both are noted in the record.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.request import TrialRequest
from harness.worker import tensor_file
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

FORMAT = 2
"""Raised when what the file holds gets another meaning; older files are set aside then."""


class Interrupted(BaseException):
    """The trial was asked to end."""


class Stop:
    """Handles SIGTERM: ends the trial where it stands, or after the step under way where that keeps a checkpoint.

    Further ones are not heard: a scheduler signals every process, and the parent passes its own on besides.
    """

    def __init__(self) -> None:
        self.asked = False
        self.deferred = False
        """Whether whoever is at work will look at `asked` by itself."""

    def __call__(self, *_: object) -> None:
        """What the signal does."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.asked = True
        self.check()

    def check(self) -> None:
        """Raise `Interrupted` if that was asked for and is not deferred.

        What the handler raises can be lost in a callback of C code, which is why it is asked for again now and then.
        """
        if self.asked and not self.deferred:
            raise Interrupted


class TrialCheckpoint(Checkpoint):
    """Keeps the trial of a request in its file."""

    def __init__(
        self,
        request: TrialRequest,
        stop: Stop,
        *,
        carry: Callable[[], Mapping[str, Any]],
        note: Callable[[str, str], None],
        aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """`carry` gives what the worker has measured, `note` takes what went wrong and the reason, and `aside` is where
        it is written: time that nobody counts."""
        self._file = Path(request.places.checkpoint) if request.places else None
        self._every = request.checkpoint_every if self._file else None
        # What decides on the order of the data; the batch may be split anew, which the same id allows.
        self._identity = {
            "format": FORMAT,
            "trial_id": request.trial_id,
            "effective_batch": request.training.effective,
        }
        self._stop = stop
        self._carry = carry
        self._note = note
        self._aside = aside
        self._state: State | None = None
        self._model: Any = None
        self._device = request.device
        self._written = False
        self._noted = False
        self._last_step, self._last_time = 0, time.monotonic()
        self.steps = 0
        """Optimiser steps done; to be set by who hears of them."""

    def open(self) -> Mapping[str, Any] | None:
        """What the worker had measured when the checkpoint was written; `None` where there is none to go on from."""
        if self._file is None:
            return None
        with contextlib.suppress(OSError):
            files.draft_of(self._file).unlink(missing_ok=True)
        try:
            tensors, values = tensor_file.read(self._file)
            if values.get("identity") != self._identity:
                raise ValueError("it belongs to another trial or another version")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            print(f"warning: the checkpoint is set aside, and training begins at the beginning: {reason}", flush=True)
            self._note("set_aside", reason)
            with contextlib.suppress(OSError):
                self._file.replace(self._file.with_name(f"{self._file.name}.damaged"))
            return None
        self._state = State(tensors, values["state"])
        self._written = True
        carried: Mapping[str, Any] = values["carried"]
        self.steps = self._last_step = values["steps"]
        return carried

    def bind(self, model: Any) -> None:
        """Name the model whose weights belong to the checkpoint; the time until the first one begins."""
        self._model = model
        self._last_time = time.monotonic()

    def kept(self) -> State | None:
        """The method's own part of the file."""
        return None if self._state is None else unpack_states(self._state)["method"]

    def resume(self) -> None:
        """Weights and random numbers as they were; the file is not needed any more."""
        assert self._state is not None
        parts = unpack_states(self._state)
        load_weights(dict(self._model.named_parameters()), parts["weights"].tensors)
        restore_random_state(parts["random"], self._device)
        self._state = None

    def step(self, state: Callable[[], State]) -> None:
        """Write if it is time to or the trial is to end, and end it then."""
        if self._every is None:
            return
        self._stop.deferred = True
        if self._due() or self._stop.asked:
            with self._aside():
                self._write(state())
        if self._stop.asked:
            raise Interrupted

    def ended(self, state: Callable[[], State]) -> None:
        """Write if it is time to, or if a checkpoint was written before: the trial is a long one then."""
        if self._every is not None:
            self._stop.deferred = True
            if self._written or self._due() or self._stop.asked:
                with self._aside():
                    self._write(state())
        self._stop.deferred = False
        self._stop.check()

    def _due(self) -> bool:
        assert self._every is not None
        if self._every.unit == "steps":
            return bool(self.steps - self._last_step >= self._every.amount)
        return bool(time.monotonic() - self._last_time >= 60 * self._every.amount)

    def _write(self, state: State) -> None:
        assert self._file is not None
        parts = {"weights": State(find_trainable_weights(self._model)), "random": read_random_state(self._device)}
        whole = pack_states({**parts, "method": state})
        values = {"identity": self._identity, "steps": self.steps, "carried": self._carry(), "state": whole.values}
        try:
            tensor_file.write(self._file, whole.tensors, values)
            self._written = True
        except OSError as error:
            if not self._noted:
                print(f"warning: no checkpoint can be written: {error.strerror}; training goes on", flush=True)
                self._note("not_written", error.strerror or str(error))
            self._noted = True
        self._last_step, self._last_time = self.steps, time.monotonic()
