"""Starts of LoRA that are taken from the weights: PiSSA, OLoRA and LoftQ.

PiSSA and OLoRA train a part of a weight W: with that part written as s·B₀·A₀, the layer computes (W - s·B₀·A₀) + s·B·A.
PEFT changes W itself for that. Here W stays, and a second, frozen adapter `start` holds -B₀·A₀: the sum is the same,
the base remains the base when adapters are off, and what ships, [B, -B₀]·[A; A₀], is plain LoRA of twice the rank that
computes what was trained, where weights have 16 bits too. The price is one more low-rank product for each layer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

OWN, START = "default", "start"
"""The adapter that trains, and the frozen one that takes its start away."""


def from_weights(model: Any, init: str) -> None:
    """Let the adapter of a PEFT model start as a part of the weights that it is to tune.

    `init` is `pissa`, `pissa_niter_N` or `olora`. Raises `InvalidSettingError` for a rank above a weight's.
    """
    import torch

    model.add_adapter(START, copy.deepcopy(model.peft_config[OWN]))
    with torch.no_grad():
        for name, layer in _layers(model):
            _set(name, layer, *_part(_weight(layer), layer.r[OWN], layer.scaling[OWN], init))
            layer.lora_A[START].weight.copy_(layer.lora_A[OWN].weight)
            layer.lora_B[START].weight.copy_(-layer.lora_B[OWN].weight)
    model.base_model.set_adapter([OWN, START])
    for _, layer in _layers(model):
        layer.lora_A[START].requires_grad_(False)
        layer.lora_B[START].requires_grad_(False)


def from_error(model: Any, original: Any) -> None:
    """Let the adapter over a base in 4 bits start as the best low-rank part of what quantisation took away.

    `original` is the model before quantisation. This is LoftQ with one step of its alternation, PEFT's default, which
    leaves the quantised weights as they are. PEFT's own function wants a GPU.
    """
    import torch
    from bitsandbytes.functional import dequantize_4bit

    with torch.no_grad():
        for name, layer in _layers(model):
            held = layer.get_base_layer().weight
            if not hasattr(held, "quant_state"):  # a layer that is kept in full, as T5's `wo`, has lost nothing
                continue
            full = original.get_submodule(name).weight.to(held.device, torch.float32)
            lost = full - dequantize_4bit(held.data, held.quant_state).to(torch.float32)
            _set(name, layer, *_part(lost, layer.r[OWN], layer.scaling[OWN], "pissa"))


def save_as_lora(model: Any, directory: Path) -> None:
    """Write the adapter and its start as one LoRA adapter of twice the rank, for the base as it is."""
    import peft
    import torch
    from safetensors.torch import save_file

    own, start = (
        peft.get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False) for name in (OWN, START)
    )
    # A is (r, in) and B is (out, r): the ranks are put side by side.
    weights = {name: torch.cat([own[name], start[name]], dim=0 if "lora_A" in name else 1) for name in own}
    config = copy.deepcopy(model.peft_config[OWN])
    config.r, config.inference_mode = 2 * config.r, True
    config.lora_alpha *= 2**0.5 if config.use_rslora else 2  # the scale stays what it was
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, directory / "adapter_model.safetensors")
    config.save_pretrained(directory)


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """The adapted linear layers, by the names that the base model has for them."""
    for name, module in model.get_base_model().named_modules():
        if OWN in getattr(module, "lora_A", ()):
            yield name, module


def _weight(layer: Any) -> torch.Tensor:
    """The base weight as (out, in) in float32; GPT-2's kind holds it the other way round."""
    weight: torch.Tensor = layer.get_base_layer().weight.float()
    return weight.T if layer.fan_in_fan_out else weight


def _part(weight: torch.Tensor, rank: int, scale: float, init: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank, in) and B (out, rank) such that scale·B·A is the wanted part of a weight (out, in).

    OLoRA's authors leave the scale out of account, and so does PEFT: the part is scale times as large there.
    """
    import torch

    if init == "olora":
        q, r = torch.linalg.qr(weight)
        return r[:rank], q[:, :rank]
    if init == "pissa":
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        u, s, vh = u[:, :rank], s[:rank], vh[:rank]
    else:
        u, s, v = torch.svd_lowrank(weight, min(rank, *weight.shape), niter=int(init.removeprefix("pissa_niter_")))
        vh = v.T
    root = (s / scale).sqrt()
    return root[:, None] * vh, u * root


def _set(name: str, layer: Any, a: torch.Tensor, b: torch.Tensor) -> None:
    from methods.errors import InvalidSettingError

    if len(a) < layer.r[OWN]:
        raise InvalidSettingError(f"a rank of {layer.r[OWN]} is more than {name} has, which is {len(a)}; lower r")
    layer.lora_A[OWN].weight.copy_(a)
    layer.lora_B[OWN].weight.copy_(b)
