"""The state of a training run, so that a run that was killed continues as if it had never stopped.

A method saves its own state: the optimiser, counters, the results of its stages. The trainable weights and the state of
the random number generators belong to every checkpoint, whatever the method; the harness adds and restores them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from methods.types import State

if TYPE_CHECKING:
    import torch


def pack_states(states: Mapping[str, State]) -> State:
    """Merge several named states into one. The names must not contain slashes."""
    return State(
        {f"{name}/{key}": tensor for name, state in states.items() for key, tensor in state.tensors.items()},
        {name: state.values for name, state in states.items()},
    )


def unpack_states(state: State) -> dict[str, State]:
    """Split a state that `pack_states` merged, in the same order. No tensor is read before it is accessed."""
    return {name: State(_WithoutPrefix(state.tensors, f"{name}/"), values) for name, values in state.values.items()}


class _WithoutPrefix(Mapping[str, "torch.Tensor"]):
    """A view of the tensors whose names start with a prefix, by their names without it."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], prefix: str) -> None:
        self._tensors = tensors
        self._prefix = prefix

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._tensors[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._prefix) for name in self._tensors if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def find_trainable_weights(model: Any) -> dict[str, torch.Tensor]:
    """The trainable weights of a model, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def load_weights(into: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy saved weights into the weights of the same names, which take on the saved number format."""
    for name, tensor in tensors.items():
        weight = into[name]
        if weight.dtype != tensor.dtype:
            weight.data = weight.data.to(tensor.dtype)
        weight.data.copy_(tensor)


def read_optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """An optimiser's state of each weight, such as AdamW's moments. Numbers become tensors with a marked name.

    The state may be nested, as in bitsandbytes. Raises `TypeError` for a value that is neither tensor nor number.
    """
    import torch

    found: dict[str, torch.Tensor] = {}

    def gather(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                gather(f"{name}.{key}", inner)
        elif isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, int | float):
            found[name + _NUMBER] = torch.tensor(value, dtype=torch.int64 if isinstance(value, int) else torch.float64)
        else:
            raise TypeError(f"a checkpoint cannot keep {name} of the optimiser, a {type(value).__name__}")

    for index, state in optimiser.state_dict()["state"].items():
        gather(f"{_OPTIMISER}{index}", state)
    return found


def load_optimiser_state(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load what `read_optimiser_state` returned into a new optimiser of the same weights."""
    remembered: dict[Any, Any] = {}
    for name in tensors:
        if name.startswith(_OPTIMISER):
            index, *path, key = name.removeprefix(_OPTIMISER).removesuffix(_NUMBER).split(".")
            place = remembered.setdefault(int(index), {})
            for step in path:
                place = place.setdefault(step, {})
            place[key] = tensors[name].item() if name.endswith(_NUMBER) else tensors[name].clone()
    optimiser.load_state_dict({**optimiser.state_dict(), "state": remembered})


_OPTIMISER, _NUMBER = "optimiser.", "#"


def read_random_state(device: str) -> State:
    """The state of every random number generator: Python, NumPy, PyTorch, and PyTorch on the device."""
    import numpy
    import torch

    tensors = {"cpu": torch.get_rng_state()}
    if device != "cpu":
        tensors["device"] = torch.get_device_module(device).get_rng_state()
    found: Any = numpy.random.get_state()
    name, keys, *rest = found
    return State(tensors, {"python": random.getstate(), "numpy": [name, keys.tolist(), *rest]})


def restore_random_state(state: State, device: str) -> None:
    """Set every random number generator to a state that `read_random_state` returned."""
    import numpy
    import torch

    torch.set_rng_state(state.tensors["cpu"])
    if device != "cpu":
        torch.get_device_module(device).set_rng_state(state.tensors["device"])
    version, numbers, following = state.values["python"]
    random.setstate((version, tuple(numbers), following))
    name, keys, *rest = state.values["numpy"]
    numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), *rest))
