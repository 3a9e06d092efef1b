"""Initial LoRA adapters that are computed from the weights: PiSSA, OLoRA and LoftQ.

PiSSA and OLoRA train a part of a weight W: if that part is s·B₀·A₀, the layer computes (W - s·B₀·A₀) + s·B·A. PEFT
changes W itself for that. Here W stays as it is, and a second, frozen adapter `start` holds -B₀·A₀. The sum is the
same, but the base remains the base when adapters are switched off, and what ships, [B, -B₀]·[A; A₀], is plain LoRA of
twice the rank that computes exactly what was trained, also if the weights have 16 bits. The cost is one more low-rank
product for each layer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

TRAINED, START = "default", "start"
"""Names of the adapter that trains and of the frozen one that subtracts its initial value."""


def init_from_weights(model: Any, init: str) -> None:
    """Initialise the adapter of a PEFT model as a part of the weights that it adapts.

    `init` is `pissa`, `pissa_niter_N` or `olora`. Raises `InvalidSettingError` for a rank above a weight's.
    """
    import torch

    model.add_adapter(START, copy.deepcopy(model.peft_config[TRAINED]))
    with torch.no_grad():
        for name, layer in _find_adapted_layers(model):
            _set_factors(
                name, layer, *_factorise(_read_base_weight(layer), layer.r[TRAINED], layer.scaling[TRAINED], init)
            )
            layer.lora_A[START].weight.copy_(layer.lora_A[TRAINED].weight)
            layer.lora_B[START].weight.copy_(-layer.lora_B[TRAINED].weight)
    model.base_model.set_adapter([TRAINED, START])
    for _, layer in _find_adapted_layers(model):
        layer.lora_A[START].requires_grad_(False)
        layer.lora_B[START].requires_grad_(False)


def init_from_quantisation_error(model: Any, original: Any) -> None:
    """Initialise the adapter over a base in 4 bits as the best low-rank approximation of the quantisation error.

    `original` is the model before quantisation. This is LoftQ with one alternating step, PEFT's default, which leaves
    the quantised weights unchanged. PEFT's own function needs a GPU.
    """
    import torch
    from bitsandbytes.functional import dequantize_4bit

    with torch.no_grad():
        for name, layer in _find_adapted_layers(model):
            held = layer.get_base_layer().weight
            if not hasattr(held, "quant_state"):  # layers that are not quantised, such as T5's `wo`, have no error
                continue
            full = original.get_submodule(name).weight.to(held.device, torch.float32)
            lost = full - dequantize_4bit(held.data, held.quant_state).to(torch.float32)
            _set_factors(name, layer, *_factorise(lost, layer.r[TRAINED], layer.scaling[TRAINED], "pissa"))


def save_as_lora(model: Any, directory: Path) -> None:
    """Save the adapter and its initial value as one LoRA adapter of twice the rank, for the unchanged base."""
    import peft
    import torch
    from safetensors.torch import save_file

    own, start = (
        peft.get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        for name in (TRAINED, START)
    )
    # A is (r, in) and B is (out, r): both are concatenated along the rank.
    weights = {name: torch.cat([own[name], start[name]], dim=0 if "lora_A" in name else 1) for name in own}
    config = copy.deepcopy(model.peft_config[TRAINED])
    config.r, config.inference_mode = 2 * config.r, True
    config.lora_alpha *= 2**0.5 if config.use_rslora else 2  # this keeps the scale
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, directory / "adapter_model.safetensors")
    config.save_pretrained(directory)


def _find_adapted_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the adapted linear layers with their names in the base model."""
    for name, module in model.get_base_model().named_modules():
        if TRAINED in getattr(module, "lora_A", ()):
            yield name, module


def _read_base_weight(layer: Any) -> torch.Tensor:
    """The base weight as (out, in) in float32; GPT-2's layers hold it transposed."""
    weight: torch.Tensor = layer.get_base_layer().weight.float()
    return weight.T if layer.fan_in_fan_out else weight


def _factorise(weight: torch.Tensor, rank: int, scale: float, init: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A (rank, in) and B (out, rank) such that scale·B·A is the part of the weight (out, in) that `init` takes.

    OLoRA's authors ignore the scale, and so does PEFT: with `olora` the part is scale·B·A of unscaled factors.
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


def _set_factors(name: str, layer: Any, a: torch.Tensor, b: torch.Tensor) -> None:
    from methods.errors import InvalidSettingError

    if len(a) < layer.r[TRAINED]:
        raise InvalidSettingError(
            f"the rank {layer.r[TRAINED]} is above the rank of {name}, which is {len(a)}; lower r"
        )
    layer.lora_A[TRAINED].weight.copy_(a)
    layer.lora_B[TRAINED].weight.copy_(b)
