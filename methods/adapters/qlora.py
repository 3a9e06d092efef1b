"""`qlora`: LoRA over a base held in 4-bit NF4 with double quantisation (Dettmers et al. 2023), on GPU and on CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from methods.adapters.lora import Init, LoRA, LoRAConfig
from methods.engine.layers import keep_compute_dtype
from methods.errors import explain_missing_package
from methods.knobs import knob
from methods.types import ModelFacts, Setting

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class QLoRAConfig(LoRAConfig):
    """Knobs of QLoRA: those of LoRA, and the quantisation with the paper's defaults."""

    inits: ClassVar[tuple[Init, ...]] = ("default", "gaussian", "orthogonal", "loftq")
    """Allowed values of `init`. PiSSA and OLoRA need the full weights, which are not kept here."""

    quant_type: Literal["nf4", "fp4"] = knob("nf4", "4-bit data type; NF4 in the paper.")
    double_quant: bool = knob(True, "Whether the quantisation constants are quantised too, as in the paper.")


class QLoRA(LoRA):
    """Low-rank adapters over 4-bit weights. What ships is the adapter, for the same quantised base."""

    name = "qlora"
    summary = "low-rank adapters over a 4-bit NF4 base (Dettmers et al. 2023)"
    Config = QLoRAConfig

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so if bitsandbytes is missing or has no kernels for the device."""
        if reason := super().unsupported(facts):
            return reason
        if facts.device not in ("cpu", "cuda"):
            return f"{self.name} needs 4-bit kernels, which bitsandbytes has for cpu and cuda, not for {facts.device}"
        if lacking := explain_missing_package("bitsandbytes", "bitsandbytes"):
            return f"{self.name} {lacking}"
        return None

    def load_options(self, facts: ModelFacts, dtype: torch.dtype) -> Mapping[str, Any]:
        """Quantise while loading. Matrix products run in the compute dtype."""
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

            # The full model is loaded once more from the same place, and freed when this returns.
            lora_init.init_from_quantisation_error(
                model, kind.from_pretrained(place, dtype="auto", local_files_only=True)
            )
        return model
