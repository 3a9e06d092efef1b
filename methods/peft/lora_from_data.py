"""PEFT's LoRA, with initial values that are computed from the weights, from data or from gradients."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from methods.adapters.dora_norms import keep_norms_above_zero
from methods.engine.encoding import IGNORED, Encoder
from methods.errors import InvalidSettingError, explain_missing_package
from methods.knobs import knob
from methods.peft.method import PeftMethod
from methods.types import ModelFacts, Setting, TrainingConfig, require

RESIDUAL_INITS = ("pissa", "olora", "corda", "lora_ga")
"""Initialisations that PEFT subtracts from the base weights, so that the model is unchanged at the start. What ships is
converted to an ordinary adapter of twice the rank, for the unchanged base."""
REQUIRED_WITH_RESIDUAL = {
    "use_dora": False,
    "bias": "none",
    "modules_to_save": "none",
    "trainable_token_indices": "none",
}
"""Settings that this conversion needs: the ordinary adapter holds two low-rank products and nothing else."""
BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class LoRAKnobs(TrainingConfig):
    """Knobs of initialisations, which have configs of their own in PEFT."""

    start_examples: int = knob(
        64,
        "Number of training examples that `eva`, `corda` and `lora_ga` use; 64 as LoRA-GA's authors. CorDA's use 256.",
    )
    eva_rho: float = knob(2.0, "EVA: maximum rank of a layer, as a multiple of r; PEFT's default.")
    corda_method: Literal["ipm", "kpm"] = knob(
        "ipm",
        "CorDA: adapt what the data uses most (`ipm`) or least (`kpm`); PEFT's default.",
    )
    loftq_bits: Literal[4, 8] = knob(4, "LoftQ: bits of the quantised base; PEFT's default.")
    loftq_iter: int = knob(1, "LoftQ: alternating steps; PEFT's default.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.start_examples >= 1, "start_examples", "must be at least 1")
        require(self.eva_rho >= 1, "eva_rho", "must be at least 1")
        require(self.loftq_iter >= 1, "loftq_iter", "must be at least 1")


class LoRA(PeftMethod):
    """LoRA with any of PEFT's initialisations."""

    Knobs = LoRAKnobs

    def __init__(self, config: Any | None = None) -> None:
        super().__init__(config)
        if not self.start.startswith(RESIDUAL_INITS):
            return
        for name, value in REQUIRED_WITH_RESIDUAL.items():
            if name in self.fields and getattr(self.config, name) != value:
                raise InvalidSettingError(
                    f"{self.name}.{name}: must be {str(value).lower()} with init_lora_weights={self.start}, which "
                    "ships as an ordinary adapter for the unchanged base"
                )

    @property
    def start(self) -> str:
        """Name of the initialisation; `true` or `false` if it has no name."""
        return str(self.config.init_lora_weights).lower()

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so if LoftQ lacks CUDA or SciPy, both of which PEFT's implementation needs."""
        if self.start == "loftq":
            if facts.device != "cuda":
                return f"{self.name} quantises on cuda only, in PEFT, and this trial would run on {facts.device}"
            if lacking := explain_missing_package("scipy", "scipy"):
                return f"{self.name} {lacking}"
        return super().unsupported(facts)

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """Add the config of the initialisation, if it has one."""
        import peft

        found = super().arguments(model, setting)
        if self.start == "loftq":
            found["loftq_config"] = peft.LoftQConfig(self.config.loftq_bits, self.config.loftq_iter)
        elif self.start == "eva":
            found["eva_config"] = peft.EvaConfig(rho=self.config.eva_rho)
        elif self.start == "corda":
            from peft.tuners.lora.config import CordaConfig

            found["corda_config"] = CordaConfig(corda_method=self.config.corda_method)
        elif self.start == "lora_ga":
            from peft.tuners.lora.config import LoraGAConfig

            found["lora_ga_config"] = LoraGAConfig()
        return found

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """Wrap and initialise the model. Initialisations from data get the first training examples."""
        if self.start in ("corda", "lora_ga"):
            from peft.tuners.tuners_utils import _maybe_include_all_linear_layers

            # Both search for their layers before PEFT has resolved `all-linear`.
            _maybe_include_all_linear_layers(config, model)
        if self.start == "corda":
            from peft.tuners.lora.corda import preprocess_corda

            preprocess_corda(model, config, run_model=lambda: self._run_forward(model, setting))
        elif self.start == "lora_ga":
            from peft.tuners.lora.loraga import preprocess_loraga

            preprocess_loraga(model, config, lambda: self._run_backward(model, setting))
            model.eval()
        model = keep_norms_above_zero(super().wrap(model, config, setting), fresh=True)
        if self.start == "eva":
            self._initialise_eva(model, setting)
        if self.start.startswith(RESIDUAL_INITS):
            import peft

            first = peft.get_peft_model_state_dict(model)
            model.start_of_adapter = {name: tensor.detach().clone() for name, tensor in first.items()}
        return model

    def load(self, model: Any, directory: Path) -> Any:
        """Load the adapter, with the same protection of DoRA's norms as in training."""
        return keep_norms_above_zero(super().load(model, directory))

    def save(self, model: Any, directory: Path) -> None:
        """Save an adapter for the unchanged base, from which PEFT subtracted the initial value."""
        if not self.start.startswith(RESIDUAL_INITS):
            super().save(model, directory)
            return
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory() as folder:
            first = Path(folder) / "start"
            first.mkdir()
            save_file(
                {name: tensor.contiguous() for name, tensor in model.start_of_adapter.items()},
                first / "adapter_model.safetensors",
            )
            model.save_pretrained(directory, path_initial_model_for_weight_conversion=str(first))

    def _make_batches(self, model: Any, setting: Setting, size: int = BATCH_SIZE) -> Iterator[dict[str, Any]]:
        """Yield the first training examples as batches on the model's device."""
        encoder = Encoder(setting.tokenizer, setting.facts.family, setting.limits)
        chosen = setting.examples[: self.config.start_examples]
        encoded = encoder.encode_all([self.write(example, setting.templates, 0) for example in chosen])
        for start in range(0, len(encoded), size):
            batch = encoder.training_batch(encoded[start : start + size])
            yield {name: tensor.to(model.device) for name, tensor in batch.items()}

    def _run_forward(self, model: Any, setting: Setting) -> None:
        """Run the model on one row at a time without padding: CorDA uses all activations and expects no batches."""
        import torch

        with torch.no_grad():
            for batch in self._make_batches(model, setting, 1):
                real = batch["attention_mask"].bool()
                answer = batch["labels"] != IGNORED if model.config.is_encoder_decoder else real
                model(
                    input_ids=batch["input_ids"][real][None],
                    attention_mask=batch["attention_mask"][real][None],
                    labels=batch["labels"][answer][None],
                )

    def _run_backward(self, model: Any, setting: Setting) -> None:
        from methods.engine.loss import compute_loss

        for batch in self._make_batches(model, setting):
            compute_loss(model, batch).backward()  # type: ignore[no-untyped-call]

    def _initialise_eva(self, model: Any, setting: Setting) -> None:
        """Initialise EVA. PEFT selects inputs of a decoder's layers by the mask of the prompt, which does not fit."""
        import peft

        def real(layer_input: Any, batch: Any, _: str) -> Any:
            rows = layer_input[0] if isinstance(layer_input, tuple | list) else layer_input
            masks = (batch["attention_mask"].bool(), batch["labels"] != IGNORED)
            fitting = [mask for mask in masks if mask.shape == rows.shape[:2]]
            return rows[fitting[0]] if fitting else rows.flatten(0, -2)

        peft.initialize_lora_eva_weights(
            model,
            list(self._make_batches(model, setting)),
            prepare_model_inputs_fn=None,
            prepare_layer_inputs_fn=real,
            show_progress_bar=False,
        )
