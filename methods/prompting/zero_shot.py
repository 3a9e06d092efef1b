"""`zero-shot`: nothing trains; of several phrasings of the task, the one that suits the model best is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from methods.engine.encoding import IGNORED, Encoder
from methods.knobs import knob
from methods.prompting.base import Prompting
from methods.types import Setting, require

BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class ZeroShotConfig:
    """Knobs of prompting without examples."""

    template: str = knob(
        "",
        "The phrasing, which contains `{input}` once. If empty, that of the task's phrasings with the lowest loss per "
        "token on the references of `examples` training examples. Labelled examples that choose a prompt count as "
        'training data (Perez et al. 2021, "True few-shot learning"); these are from the training split, which all '
        "methods use.",
    )
    examples: int = knob(64, "Number of training examples to choose the phrasing with.")

    def __post_init__(self) -> None:
        require(not self.template or self.template.count("{input}") == 1, "template", "must contain {input} once")
        require(self.examples >= 1, "examples", "must be at least 1")
        picks = not self.template or self.examples == type(self).examples
        require(
            picks,
            "examples",
            "has no effect together with template, since nothing is chosen then; leave one of them out",
        )


class ZeroShot(Prompting):
    """Differs from `base`, which uses the task's first phrasing, only in the phrasing."""

    name = "zero-shot"
    summary = "trains nothing: the untouched model with the phrasing that suits it best"
    Config = ZeroShotConfig

    def compose(self, model: Any, setting: Setting) -> tuple[str, str]:
        """Return the user's phrasing, or the one with the lowest loss."""
        templates = [self.config.template] if self.config.template else list(setting.templates)
        best = (
            0
            if len(templates) == 1
            else min(range(len(templates)), key=lambda i: self._measure_loss(model, setting, i))
        )
        print(f"{self.name}: phrasing {best + 1} of {len(templates)}: {templates[best]!r}", flush=True)
        before, after = templates[best].split("{input}")
        return before, after

    def _measure_loss(self, model: Any, setting: Setting, choice: int) -> float:
        """Cross-entropy per token of the references, in nats, with one of the task's phrasings."""
        import torch

        from methods.engine.loss import compute_row_losses

        encoder = Encoder(setting.tokenizer, setting.facts.family, setting.limits)
        examples = setting.examples[: self.config.examples]
        encoded = encoder.encode_all([self.write(example, setting.templates, choice) for example in examples])
        kind, mixed = model.device.type, setting.dtype != torch.float32
        total = tokens = 0.0
        for start in range(0, len(encoded), BATCH_SIZE):
            batch = encoder.training_batch(encoded[start : start + BATCH_SIZE])
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            with torch.no_grad(), torch.autocast(kind, dtype=setting.dtype, enabled=mixed):
                total += compute_row_losses(model, batch).sum().item()
            tokens += (batch["labels"] != IGNORED).sum().item()
        return total / tokens
