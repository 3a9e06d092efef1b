"""`lora`: low-rank updates beside frozen weights (Hu et al. 2022), through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from methods.adapters.dora_norms import keep_norms_above_zero
from methods.base import Method
from methods.knobs import knob
from methods.types import Setting, TrainingConfig, require

if TYPE_CHECKING:
    import torch

TASK_TYPES = {"decoder-only": "CAUSAL_LM", "encoder-decoder": "SEQ_2_SEQ_LM"}
"""Model family → PEFT's `TaskType`."""

Init = Literal["default", "gaussian", "orthogonal", "pissa", "pissa_niter_16", "olora", "loftq"]
INITS_FROM_WEIGHTS: tuple[Init, ...] = ("pissa", "pissa_niter_16", "olora")
"""Initial adapters that are computed from the base weights."""


@dataclass(frozen=True, kw_only=True)
class LoRAConfig(TrainingConfig):
    """Knobs of LoRA."""

    inits: ClassVar[tuple[Init, ...]] = ("default", "gaussian", "orthogonal", *INITS_FROM_WEIGHTS)
    """Allowed values of `init`; `loftq` is for a base in 4 bits."""

    learning_rate: float = knob(
        2e-4,
        source="2e-4, Dettmers et al. 2023 (QLoRA, table 9) for models up to 13 B parameters.",
    )
    r: int = knob(8, "Rank of the update; PEFT's default.")
    alpha: float = knob(16, "The update is scaled by alpha / r; twice the rank, as in Microsoft's `loralib` examples.")
    dropout: float = knob(0.0, "Dropout of the adapter's input, from 0 to 1; PEFT's default.")
    target_modules: str = knob(
        "all-linear",
        "`all-linear` (every linear layer but the output head; Dettmers et al. 2023), or names joined by `+`.",
    )
    bias: Literal["none", "all", "lora_only"] = knob("none", "Which biases train as well; PEFT's default.")
    use_dora: bool = knob(
        False,
        "Whether magnitude and direction of each weight train separately (DoRA, Liu et al. 2024).",
    )
    use_rslora: bool = knob(
        False,
        "Whether the update is scaled by alpha / √r, so that higher ranks do not learn more slowly (Kalajdzievski "
        "2023).",
    )
    init: Init = knob(
        "default",
        "Initial values of A and B. `default`: A random, B zero, as in `loralib`. `gaussian`: A normally distributed, "
        "as in the paper. `orthogonal`: both random, with product zero (PEFT). `pissa`: the largest singular values "
        "and vectors of the weight (Meng et al. 2024); `pissa_niter_16`: the same by a fast approximation with 16 "
        "iterations. `olora`: the QR decomposition of the weight (Büyükakyüz 2024). With these three, a part of the "
        "weight itself is trained. `loftq`: the error of quantisation (Li et al. 2024), for `qlora` only.",
    )
    lr_ratio: float = knob(
        1.0,
        "Learning rate of B divided by that of A, which is `learning_rate` (LoRA+, Hayou et al. 2024); 1 is LoRA.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.r >= 1, "r", "must be at least 1")
        require(self.alpha > 0, "alpha", "must be above 0")
        require(0 <= self.dropout < 1, "dropout", "must be at least 0 and below 1")
        require(self.lr_ratio > 0, "lr_ratio", "must be above 0")
        require(self.init in self.inits, "init", f"must be one of {', '.join(self.inits)} for this method")
        require(self.init != "orthogonal" or self.r % 2 == 0, "r", "must be even with init=orthogonal")
        if self.init in INITS_FROM_WEIGHTS:
            said = f"with init={self.init}, which trains a part of the base weights"
            require(not self.dropout, "dropout", f"must be 0 {said}")
            require(self.bias == "none", "bias", f"must be none {said}")
            require(not self.use_dora, "use_dora", f"must be false {said}")


class LoRA(Method):
    """Low-rank adapters on the linear layers."""

    name = "lora"
    summary = "low-rank adapters on frozen weights (Hu et al. 2022)"
    Config = LoRAConfig

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Wrap the model with PEFT's LoRA; the base weights are frozen."""
        import peft

        from methods.adapters import lora_init

        targets, init = self.config.target_modules, self.config.init
        config = peft.LoraConfig(
            task_type=TASK_TYPES[setting.facts.family],
            r=self.config.r,
            lora_alpha=self.config.alpha,
            lora_dropout=self.config.dropout,
            bias=self.config.bias,
            target_modules=targets if targets == "all-linear" else targets.split("+"),
            use_dora=self.config.use_dora,
            use_rslora=self.config.use_rslora,
            init_lora_weights=init if init in ("gaussian", "orthogonal") else True,
        )
        try:
            model = peft.get_peft_model(model, config)
        except ValueError as error:
            from methods.errors import InvalidSettingError

            raise InvalidSettingError(f"{self.name}.target_modules: {str(error).splitlines()[0]}") from error
        if init in INITS_FROM_WEIGHTS:
            lora_init.init_from_weights(model, init)
        return keep_norms_above_zero(model, fresh=True)

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """AdamW. With an `lr_ratio`, the rate of B is that many times the rate of A and of everything else that trains.

        PEFT's own LoRA+ is not used: it also gives B's rate to DoRA's magnitudes and to biases, and a fixed rate to
        embeddings.
        """
        if self.config.lr_ratio == 1:
            return super().optimizer(model)
        import torch

        from methods.engine.training import group_by_weight_decay

        b: list[Any] = []
        rest: list[Any] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                (b if "lora_B" in name else rest).append(parameter)
        decay, ratio = self.config.weight_decay, self.config.lr_ratio
        fast = [{**group, "rate_factor": ratio} for group in group_by_weight_decay(b, decay)]
        return torch.optim.AdamW([*group_by_weight_decay(rest, decay), *fast], lr=self.config.learning_rate)

    def load(self, model: Any, directory: Path) -> Any:
        """Load the adapter, with the same protection of DoRA's norms as in training."""
        return keep_norms_above_zero(super().load(model, directory))

    def save(self, model: Any, directory: Path) -> None:
        """Save the adapter. One that was initialised from the weights becomes plain LoRA for the unchanged base."""
        from methods.adapters import lora_init

        if self.config.init in INITS_FROM_WEIGHTS:
            lora_init.save_as_lora(model, directory)
        else:
            super().save(model, directory)
