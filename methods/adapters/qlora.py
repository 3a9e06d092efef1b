"""`qlora`: LoRA over a base held in 4-bit NF4 with double quantisation (Dettmers et al. 2023), on GPU and on CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from methods.adapters.lora import Init, LoRA, LoRAConfig
from methods.engine.layers import keep_compute_dtype
from methods.errors import missing
from methods.knobs import knob
from methods.types import ModelFacts, Setting

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class QLoRAConfig(LoRAConfig):
    """Knobs of QLoRA; those of LoRA and the quantisation, with the paper's defaults."""

    inits: ClassVar[tuple[Init, ...]] = ("default", "gaussian", "orthogonal", "loftq")
    """What `init` may be. PiSSA and OLoRA take a part of the full weights, and here those are gone."""

    quant_type: Literal["nf4", "fp4"] = knob("nf4", "4-bit data type; NF4 in the paper.")
    double_quant: bool = knob(True, "Whether the quantisation constants are quantised too; on in the paper.")


class QLoRA(LoRA):
    """Low-rank adapters over 4-bit weights. What ships is the adapter, for the same quantised base."""

    name = "qlora"
    summary = "low-rank adapters over a 4-bit NF4 base (Dettmers et al. 2023)"
    Config = QLoRAConfig

    def unsupported(self, facts: ModelFacts) -> str | None:
        """4-bit needs bitsandbytes and a device that it has kernels for."""
        if reason := super().unsupported(facts):
            return reason
        if facts.device not in ("cpu", "cuda"):
            return f"{self.name} needs 4-bit kernels, which bitsandbytes has for cpu and cuda, not for {facts.device}"
        if lacking := missing("bitsandbytes", "bitsandbytes"):
            return f"{self.name} {lacking}"
        return None

    def load_options(self, facts: ModelFacts, dtype: torch.dtype) -> Mapping[str, Any]:
        """Quantise while loading; matrix products run in the compute dtype."""
        from transformers import BitsAndBytesConfig

        return {
            "quantization_config": BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.config.quant_type,
                bnb_4bit_use_double_quant=self.config.double_quant,
                bnb_4bit_compute_dtype=dtype,
            ),
            "device_map": {"": facts.device},
        }

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Freeze the base with its norms in float32, as in the paper, then add the adapters."""
        import peft

        keep_compute_dtype(model)
        kind, place = type(model), model.name_or_path
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        model = super().prepare(model, setting)
        if self.config.init == "loftq":
            from methods.adapters import lora_init

            # Once more, in full: it lies where the quantised one came from, and is gone when this returns.
            lora_init.from_error(model, kind.from_pretrained(place, dtype="auto", local_files_only=True))
        return model
