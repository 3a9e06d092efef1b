"""`galore`: every weight trains, with AdamW on gradients that are projected to a low rank (Zhao et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from methods.engine.training import group_by_weight_decay
from methods.knobs import knob
from methods.types import require
from methods.whole.full import FullConfig
from methods.whole.optimisers import OptimiserMethod

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class GaLoreConfig(FullConfig):
    """Knobs of GaLore. Defaults of rank, gap and scale are those of Transformers' `Trainer`."""

    learning_rate: float = knob(
        2e-4,
        source="2e-4, which times the scale of 0.25 is full fine-tuning's 5e-5 for the matrices.",
    )
    rank: int = knob(128, "Rank of the projected gradients of linear layers.")
    update_proj_gap: int = knob(
        200,
        "The projection is computed anew every so many steps, by a singular value decomposition of the gradient.",
    )
    scale: float = knob(0.25, "Factor on the projected update; α in the paper.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.rank >= 1, "rank", "must be at least 1")
        require(self.update_proj_gap >= 1, "update_proj_gap", "must be at least 1")
        require(self.scale > 0, "scale", "must be above 0")


class GaLore(OptimiserMethod):
    """Projects the gradients of all linear layers except the output head. Other weights have AdamW's full moments."""

    name = "galore"
    summary = "every weight, AdamW on gradients projected to a low rank (Zhao et al. 2024)"
    Config = GaLoreConfig
    package = ("galore_torch", "galore-torch")

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """GaLore's AdamW, with hooks that let a checkpoint save its projections."""
        from galore_torch import GaLoreAdamW

        from methods.engine.layers import find_linear_layers

        config = self.config
        projected = [layer.weight for layer in find_linear_layers(model).values()]
        known = {id(weight) for weight in projected}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
        galore = {"rank": config.rank, "update_proj_gap": config.update_proj_gap, "scale": config.scale}
        made: torch.optim.Optimizer = GaLoreAdamW(
            [
                {"params": projected, "weight_decay": config.weight_decay, "proj_type": "std", **galore},
                *group_by_weight_decay(rest, config.weight_decay),
            ],
            lr=config.learning_rate,
            no_deprecation_warning=True,
        )
        made.register_step_post_hook(_make_projections_contiguous)
        made.register_state_dict_post_hook(_save_projections)
        made.register_load_state_dict_post_hook(_load_projections)
        return made


def _make_projections_contiguous(optimizer: Any, *_: Any) -> None:
    """Lay the matrices out in memory as a loaded checkpoint does: another layout would round in another order."""
    for state in optimizer.state.values():
        if "projector" in state:
            state["projector"].ortho_matrix = state["projector"].ortho_matrix.contiguous()


def _save_projections(optimizer: Any, told: dict[str, Any]) -> None:
    """Replace each projector object by its matrix."""
    told["state"] = {
        index: {key: value.ortho_matrix if key == "projector" else value for key, value in state.items()}
        for index, state in told["state"].items()
    }


def _load_projections(optimizer: Any) -> None:
    """Rebuild the projector objects from their matrices."""
    from galore_torch.galore_projector import GaLoreProjector

    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "projector" in state:
                told = {key: group[key] for key in ("update_proj_gap", "scale", "proj_type")}
                projector = GaLoreProjector(group["rank"], **told)
                projector.ortho_matrix, state["projector"] = state["projector"], projector
