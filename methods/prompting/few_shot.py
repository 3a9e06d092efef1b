"""`few-shot`: nothing trains; the prompt contains some training examples (Brown et al. 2020, in-context learning)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from methods.engine.encoding import Encoder
from methods.knobs import knob
from methods.prompting.base import Prompting
from methods.types import Example, Limits, Setting, Text, require

SEPARATOR = "\n\n"
"""Follows each example, and ends an answer: what a model writes after it would be a further example."""
MEASURED_INPUTS = 200
"""Number of training inputs that are measured to see whether the examples leave enough room."""
ALLOWED_CUT_SHARE = 0.1
"""At most this share of the inputs that fit without examples may be cut because of the examples."""


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """Knobs of prompting with examples."""

    k: int = knob(
        4,
        "Number of training examples in the prompt, drawn with the trial's seed. Brown et al. 2020 use as many as fit, "
        "10 to 100 in 2,048 tokens; dialogues are longer than their examples.",
    )

    def __post_init__(self) -> None:
        require(self.k >= 1, "k", "must be at least 1")


class FewShot(Prompting):
    """Puts k examples with their answers before the input, all in the task's first phrasing, which `base` uses too."""

    name = "few-shot"
    summary = "trains nothing: the prompt contains k training examples (Brown et al. 2020)"
    Config = FewShotConfig

    def compose(self, model: Any, setting: Setting) -> tuple[str, str]:
        """Return examples and phrasing. Raises `UnsupportedError` if they leave too little room for inputs."""
        from methods.errors import UnsupportedError

        k, limit = self.config.k, setting.limits.input_tokens
        if len(setting.examples) < k:
            raise UnsupportedError(f"{self.name}.k is {k}, and there are {len(setting.examples)} training examples")
        before, after = setting.templates[0].split("{input}")
        shots = random.Random(f"shots/{setting.seed}").sample(setting.examples, k)
        written = [f"{before}{shot.input}{after}{shot.target}{SEPARATOR}" for shot in shots]
        most = _count_fitting_examples(setting, before, after, written)
        if most < k:
            fits = f"the most that fit is {self.name}[k={most}]" if most else "not even one fits"
            raise UnsupportedError(
                f"{self.name}.k is {k}, and the examples leave room in {limit} tokens for too few of the inputs; "
                f"{fits}, or raise --input-tokens"
            )
        if not any(SEPARATOR in example.target for example in setting.examples):
            self._stop = SEPARATOR
        return "".join(written) + before, after

    def generate(self, model: Any, inputs: Mapping[str, Any], *, tokenizer: Any = None, **decoding: Any) -> Any:
        """Generate until the end token or the separator, which is replaced by an end token.

        Raises `ValueError` without the tokenizer, which is needed to detect the separator.
        """
        if (stop := self._stop) is None:
            return super().generate(model, inputs, **decoding)
        if tokenizer is None:
            raise ValueError(f"{self.name} ends an answer at {stop!r}: give generate the tokenizer too")
        import torch
        from transformers import StoppingCriteriaList

        skip = 0 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        ended: dict[int, int] = {}

        def criterion(ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            for i, text in enumerate(tokenizer.batch_decode(ids[:, skip:])):
                if i not in ended and stop in text.lstrip():
                    ended[i] = ids.shape[1]
            return torch.tensor([i in ended for i in range(len(ids))], device=ids.device)

        criteria = StoppingCriteriaList([*decoding.pop("stopping_criteria", ()), criterion])
        ids = super().generate(model, inputs, stopping_criteria=criteria, **decoding)
        pads = ids.new_full((len(ids), 1), tokenizer.pad_token_id)
        ids = torch.cat([ids, pads], dim=1)  # room for the end token of the row that ended last
        for row, length in ended.items():
            ids[row, length] = tokenizer.eos_token_id
        return ids


def _count_fitting_examples(setting: Setting, before: str, after: str, written: Sequence[str]) -> int:
    """Count how many of the examples, from the first on, leave room for nearly all inputs that fit without examples."""
    encoder = Encoder(setting.tokenizer, setting.facts.family, Limits(10**9, 10**9))
    measured: Sequence[Example] = setting.examples[:MEASURED_INPUTS]

    def fitting(shots: int) -> int:
        start = "".join(written[:shots]) + before
        texts = [Text(start, example.input, after, "", chat=True) for example in measured]
        return sum(len(item.prompt) <= setting.limits.input_tokens for item in encoder.encode_all(texts))

    least = (1 - ALLOWED_CUT_SHARE) * fitting(0)
    return next((shots for shots in range(len(written), 0, -1) if fitting(shots) >= max(least, 1)), 0)
