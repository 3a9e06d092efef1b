"""Checkpoints: what a training keeps, so that one that was killed goes on as if nothing had happened.

A method keeps what is its own: optimiser, counts, what its stages have made. The weights that train and the random
numbers belong to every checkpoint, whatever the method: who keeps the checkpoint adds and restores them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from methods.types import State

if TYPE_CHECKING:
    import torch


def packed(states: Mapping[str, State]) -> State:
    """Several states in one, by names without slashes."""
    return State(
        {f"{name}/{key}": tensor for name, state in states.items() for key, tensor in state.tensors.items()},
        {name: state.values for name, state in states.items()},
    )


def unpacked(state: State) -> dict[str, State]:
    """The states that `packed` made one of, in the same order; no tensor is read before it is asked for."""
    return {name: State(_Under(state.tensors, f"{name}/"), values) for name, values in state.values.items()}


class _Under(Mapping[str, "torch.Tensor"]):
    """The tensors whose names begin alike, without that beginning."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], prefix: str) -> None:
        self._tensors = tensors
        self._prefix = prefix

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._tensors[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._prefix) for name in self._tensors if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def trainable(model: Any) -> dict[str, torch.Tensor]:
    """The weights of a model that train."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def load_weights(into: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write kept weights into those of the same names, which take on their type where they were loaded in another."""
    for name, tensor in tensors.items():
        weight = into[name]
        if weight.dtype != tensor.dtype:
            weight.data = weight.data.to(tensor.dtype)
        weight.data.copy_(tensor)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What an optimiser remembers of each of its weights, such as AdamW's moments; numbers as tensors, and marked.

    It may be nested, as that of bitsandbytes is. Raises `TypeError` for what is neither.
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


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give a fresh optimiser of the same weights what `optimiser_tensors` kept."""
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


def random_state(device: str) -> State:
    """The state of every source of random numbers: Python, NumPy, PyTorch, and PyTorch on its device."""
    import numpy
    import torch

    tensors = {"cpu": torch.get_rng_state()}
    if device != "cpu":
        tensors["device"] = torch.get_device_module(device).get_rng_state()
    found: Any = numpy.random.get_state()
    name, keys, *rest = found
    return State(tensors, {"python": random.getstate(), "numpy": [name, keys.tolist(), *rest]})


def restore_random(state: State, device: str) -> None:
    """Go on drawing where `random_state` was taken."""
    import numpy
    import torch

    torch.set_rng_state(state.tensors["cpu"])
    if device != "cpu":
        torch.get_device_module(device).set_rng_state(state.tensors["device"])
    version, numbers, following = state.values["python"]
    random.setstate((version, tuple(numbers), following))
    name, keys, *rest = state.values["numpy"]
    numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), *rest))
