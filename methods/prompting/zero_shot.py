"""`zero-shot`: no weight moves; of several phrasings of the task the one is taken that suits the model best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from methods.engine.encoding import IGNORED, Encoder
from methods.knobs import knob
from methods.prompting.base import Prompting
from methods.types import Setting, require

BATCH = 8


@dataclass(frozen=True, kw_only=True)
class ZeroShotConfig:
    """Knobs of prompting without examples."""

    template: str = knob(
        "",
        "The phrasing, with `{input}` once. Empty: of the task's phrasings the one that gives the references of "
        "`examples` training examples the least loss per token. Labelled examples that pick a prompt have to be "
        'counted as used (Perez et al. 2021, "True few-shot learning"); these are of the training split, which all '
        "methods use.",
    )
    examples: int = knob(64, "Training examples by which to pick.")

    def __post_init__(self) -> None:
        require(not self.template or self.template.count("{input}") == 1, "template", "must contain {input} once")
        require(self.examples >= 1, "examples", "must be at least 1")
        picks = not self.template or self.examples == type(self).examples
        require(picks, "examples", "has no effect beside template, where nothing is picked; leave one of them out")


class ZeroShot(Prompting):
    """Differs from `base` in the phrasing alone, which there is the task's first one."""

    name = "zero-shot"
    summary = "trains nothing: the untouched model with the phrasing that suits it best"
    Config = ZeroShotConfig

    def compose(self, model: Any, setting: Setting) -> tuple[str, str]:
        """The user's phrasing, or that of the least loss."""
        templates = [self.config.template] if self.config.template else list(setting.templates)
        best = 0 if len(templates) == 1 else min(range(len(templates)), key=lambda i: self._loss(model, setting, i))
        print(f"{self.name}: phrasing {best + 1} of {len(templates)}: {templates[best]!r}", flush=True)
        before, after = templates[best].split("{input}")
        return before, after

    def _loss(self, model: Any, setting: Setting, choice: int) -> float:
        """Cross-entropy per token of the references in nats, in one of the task's phrasings."""
        import torch

        from methods.engine.loss import row_losses

        encoder = Encoder(setting.tokenizer, setting.facts.family, setting.limits)
        examples = setting.examples[: self.config.examples]
        encoded = encoder.encode_all([self.write(example, setting.templates, choice) for example in examples])
        kind, mixed = model.device.type, setting.dtype != torch.float32
        total = tokens = 0.0
        for start in range(0, len(encoded), BATCH):
            batch = encoder.training_batch(encoded[start : start + BATCH])
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            with torch.no_grad(), torch.autocast(kind, dtype=setting.dtype, enabled=mixed):
                total += row_losses(model, batch).sum().item()
            tokens += (batch["labels"] != IGNORED).sum().item()
        return total / tokens
