"""A table of PEFT's tuners: what they are, their defaults, which class runs them, and where they do not work.

A tuner that the installed PEFT registers but this table lacks still works, with PEFT's own defaults. Names are PEFT's
types in lower case, and names for certain settings of a type (`dora` is LoRA with `use_dora`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from methods.types import Family

BOTH: tuple[Family, ...] = ("decoder-only", "encoder-decoder")
DECODER: tuple[Family, ...] = ("decoder-only",)
COMPARISON = "PEFT's method comparison"
USUAL = f"the rate of {COMPARISON} for tuners without one of their own"
LINEAR = {"target_modules": "all-linear"}
"""Every linear layer except the output head, as in `lora`, so that tuners differ only in what they add there."""
VIRTUAL = {"num_virtual_tokens": 20}
"""As many as `prefix` has."""

_SOFT = "methods.peft.soft_prompts:"
_LORA = "methods.peft.lora_from_data:LoRA"
_BUDGET = "methods.peft.adalora:"


@dataclass(frozen=True)
class Tuner:
    """One tuner."""

    summary: str
    learning_rate: float = 1e-4
    source: str = USUAL
    """Where the learning rate comes from."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Defaults that differ from PEFT's."""
    auto: Mapping[str, str] = field(default_factory=dict)
    """Knob → function of `methods.peft.derived_knobs` that chooses it from model and data, unless the user sets it."""
    families: tuple[Family, ...] = BOTH
    architectures: tuple[str, ...] = ()
    """The only architectures that PEFT supports it for; empty if PEFT finds the layers itself."""
    needs: tuple[str, ...] = ()
    """Modules that it needs and the harness does not depend on."""
    impossible: str = ""
    """Why it cannot be trained in a trial at all; empty if it can."""
    driver: str = "methods.peft.method:PeftMethod"
    """The class that runs it."""
    type: str = ""
    """PEFT's type, if the name stands for certain settings of a type."""
    full_precision: tuple[str, ...] = ()
    """PEFT's modules that compute in float32 under mixed precision too, since there are no kernels for what they do."""
    mixed: bool = False
    """Whether generation needs mixed precision too, since its float32 outputs do not fit the next 16-bit layer."""
    hidden: tuple[str, ...] = ()
    """Fields that are not knobs: the harness sets them, or they have no effect here."""
    only_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Knob → (another knob, the values of that knob with which the first has an effect)."""
    either: tuple[str, ...] = ()
    """Two knobs that exclude each other: if one is set, the other is 0 instead of PEFT's default."""


PACKAGES: Mapping[str, str] = {"sklearn": "scikit-learn"}
"""Module → name of its package on PyPI."""


_START = "init_lora_weights"
_NEVER = ("use_qalora", "qalora_group_size", "megatron_core", "fan_in_fan_out", "alora_invocation_tokens")
"""Fields of LoRA for layers of other libraries, for quantised bases that the harness does not load, and for prompts
with tokens that no task has; PEFT itself sets `fan_in_fan_out` to what a layer needs."""
_OF_STARTS = {
    "start_examples": (_START, "eva", "corda", "lora_ga"),
    "eva_rho": (_START, "eva"),
    "corda_method": (_START, "corda"),
    "loftq_bits": (_START, "loftq"),
    "loftq_iter": (_START, "loftq"),
}
_OF_TEXT = {"prompt_tuning_init_text": ("prompt_tuning_init", "TEXT")}
_SOURCES = ("AVERAGE_SOURCE_TASKS", "EXACT_SOURCE_TASK", "ONLY_SOURCE_SHARED")


def _lora_tuner(summary: str, learning_rate: float = 2e-4, source: str = "as LoRA", **set: Any) -> Tuner:
    defaults = {**LINEAR, **set}
    return Tuner(
        *(summary, learning_rate, source, defaults), driver=_LORA, type="lora", hidden=_NEVER, only_with=_OF_STARTS
    )


TUNERS: Mapping[str, Tuner] = {
    "lora": _lora_tuner("low-rank adapters (Hu et al. 2022)", source="Dettmers et al. 2023, table 9"),
    "dora": _lora_tuner(
        "LoRA with magnitude and direction apart (Liu et al. 2024)",
        source="Liu et al. 2024 for LLaMA-7B",
        use_dora=True,
    ),
    "rslora": _lora_tuner("LoRA scaled by alpha / sqrt(r) (Kalajdzievski 2023)", use_rslora=True),
    "pissa": _lora_tuner("LoRA on the principal singular directions (Meng et al. 2024)", init_lora_weights="pissa"),
    "olora": _lora_tuner("LoRA that starts from a QR decomposition (Büyükakyüz 2024)", init_lora_weights="olora"),
    "mica": _lora_tuner("LoRA on the minor singular directions", init_lora_weights="mica"),
    "eva": _lora_tuner(
        "LoRA on the directions in which activations vary (Paischer et al. 2024)", init_lora_weights="eva"
    ),
    "corda": _lora_tuner(
        "LoRA on directions that the data's covariance weighs (Yang et al. 2024)", init_lora_weights="corda"
    ),
    "lora_ga": _lora_tuner("LoRA that starts along the first gradient (Wang et al. 2024)", init_lora_weights="lora_ga"),
    "loftq": _lora_tuner("LoRA that makes up for a quantised base (Li et al. 2024)", init_lora_weights="loftq"),
    "adalora": Tuner(
        "LoRA whose rank moves to where it matters (Zhang et al. 2023)",
        source=COMPARISON,
        # Of 1,000 parts of the budget; PEFT's method comparison: 200 and 500 of 5,000 steps.
        defaults={**LINEAR, "tinit": 40, "tfinal": 100},
        driver=_BUDGET + "AdaLoRA",
        hidden=(
            *("r", "total_step"),  # PEFT starts at `init_r` and never looks at `r`
            *(_START, "use_rslora", "lora_bias", "trainable_token_indices"),  # of LoRA, whose config it inherits
            *_NEVER,
        ),
    ),
    "adamss": Tuner(
        "low-rank updates within clustered subspaces of each weight",
        defaults=LINEAR,
        needs=("sklearn",),
        driver=_BUDGET + "AdaMSS",
    ),
    "adaption_prompt": Tuner(
        "LLaMA-Adapter: gated prompts in the upper layers' attention (Zhang et al. 2023)",
        9e-3,
        "the paper's base rate",
        {"adapter_len": 10},
        auto={"adapter_layers": "choose_upper_layers"},
        families=DECODER,
        architectures=("GPT2LMHeadModel", "LlamaForCausalLM", "MistralForCausalLM"),
        mixed=True,
    ),
    "beft": Tuner("biases of the value projections alone (arXiv:2509.15974)", source=COMPARISON),
    "boft": Tuner(
        "orthogonal butterfly rotations (Liu et al. 2024)",
        defaults=LINEAR,
        full_precision=("BOFTLayer",),
        either=("boft_block_size", "boft_block_num"),
    ),
    "c3a": Tuner(
        "block-circulant updates (Chen et al. 2024)", 0.3, COMPARISON, LINEAR, auto={"block_size": "choose_block_size"}
    ),
    "cartridge": Tuner(
        "a trained key-value cache before the text (Eyuboglu et al. 2025)",
        5e-3,
        f"{COMPARISON} for prefix tuning",
        VIRTUAL,
        driver=_SOFT + "CachePrompt",
    ),
    "cpt": Tuner(
        "examples as a prompt whose embeddings are refined (Blau et al. 2024)",
        families=DECODER,
        driver=_SOFT + "ContextPrompt",
        hidden=(
            *("cpt_token_ids", "cpt_mask", "cpt_tokens_type_mask", "num_virtual_tokens", "tokenizer_name_or_path"),
            *(
                "opt_weighted_loss_type",
                "opt_loss_decay_factor",
            ),  # of a loss over the context's answers, which is fixed
        ),
    ),
    "deft": Tuner("takes a learned subspace out of the weights and fills it anew", source=COMPARISON, defaults=LINEAR),
    "delora": Tuner("LoRA with strength and direction apart (Bini et al. 2025)", 1e-3, COMPARISON, LINEAR),
    "fourierft": Tuner("a few Fourier coefficients of the update (Gao et al. 2024)", defaults=LINEAR),
    "frod": Tuner(
        "full-rank updates from a shared joint decomposition",
        source=COMPARISON,
        defaults={**LINEAR, "progressbar": False},
    ),
    "glora": Tuner("weights, features and biases adapted at once (Chavan et al. 2023)", defaults=LINEAR),
    "gralora": Tuner("LoRA by blocks of the weight matrix (Jung et al. 2025)", 2e-4, COMPARISON, LINEAR),
    "hira": Tuner(
        "a low-rank factor on each weight: a high-rank update (Huang et al. 2025)", 4.5e-3, COMPARISON, LINEAR
    ),
    "hra": Tuner("a chain of Householder reflections (Yuan et al. 2024)", defaults=LINEAR),
    "ia3": Tuner("one factor per key, value and feed-forward channel (Liu et al. 2022)", 3e-3, "the paper"),
    "lily": Tuner("low-rank adapters whose parts layers share (arXiv:2407.09946)", defaults=LINEAR),
    "ln_tuning": Tuner("layer norms alone (Zhao et al. 2023)", source=COMPARISON, mixed=True),
    "loha": Tuner("Hadamard product of two low-rank updates (Hyeon-Woo et al. 2022)", defaults=LINEAR),
    "lokr": Tuner("Kronecker product as the update (Yeh et al. 2024)", 3e-3, COMPARISON, LINEAR),
    "miss": Tuner(
        "shards of a weight share one trained matrix (arXiv:2409.15371)",
        source=COMPARISON,
        defaults=LINEAR,
        auto={"r": "choose_rank"},
    ),
    "multitask_prompt_tuning": Tuner(
        "a shared prompt times a low-rank one per task (Wang et al. 2023)",
        3e-2,
        "as prompt tuning",
        VIRTUAL,
        driver=_SOFT + "MultitaskPrompt",
        hidden=("tokenizer_name_or_path",),
        only_with={
            **_OF_TEXT,
            "prompt_tuning_init_state_dict_path": ("prompt_tuning_init", *_SOURCES),
            "prompt_tuning_init_task": ("prompt_tuning_init", "EXACT_SOURCE_TASK"),
        },
    ),
    "oft": Tuner(
        "orthogonal rotations by blocks (Qiu et al. 2023)",
        defaults=LINEAR,
        full_precision=("OFTRotationModule",),
        only_with={"eps": ("coft", "true"), "num_cayley_neumann_terms": ("use_cayley_neumann", "true")},
        either=("oft_block_size", "r"),
    ),
    "osf": Tuner("all but each weight's leading singular directions (Nayak et al. 2025)", 5e-5, COMPARISON, LINEAR),
    "p_tuning": Tuner(
        "a prompt that a small network makes (Liu et al. 2021)",
        1e-3,
        "PEFT's guide",
        VIRTUAL,
        driver=_SOFT + "SoftPrompt",
        only_with={
            "encoder_num_layers": ("encoder_reparameterization_type", "LSTM"),
            "encoder_dropout": ("encoder_reparameterization_type", "LSTM"),
        },
    ),
    "peanut": Tuner(
        "updates that a small network makes of the weights (arXiv:2410.01870)", source=COMPARISON, defaults=LINEAR
    ),
    "poly": Tuner(
        "a routed mixture of low-rank skills (Ponti et al. 2023)",
        defaults=LINEAR,
        driver="methods.peft.method:SingleTaskMethod",
    ),
    "prefix_tuning": Tuner(
        "trained keys and values before every layer's own (Li & Liang 2021)",
        5e-3,
        COMPARISON,
        VIRTUAL,
        driver=_SOFT + "CachePrompt",
        only_with={"encoder_hidden_size": ("prefix_projection", "true")},
    ),
    "prompt_tuning": Tuner(
        "trained embeddings before the text (Lester et al. 2021)",
        3e-2,
        "PEFT's examples",
        # Lester et al. 2021, section 3.2: sampled vocabulary is the better start than random numbers.
        {**VIRTUAL, "prompt_tuning_init": "SAMPLE_VOCAB"},
        driver=_SOFT + "SoftPrompt",
        hidden=("tokenizer_name_or_path",),
        only_with=_OF_TEXT,
    ),
    "psoft": Tuner(
        "a rotation within each weight's principal subspace",
        source=COMPARISON,
        defaults=LINEAR,
        full_precision=("OrthLayer",),
    ),
    "pvera": Tuner("VeRA with a learned distribution (arXiv:2512.07703)", 3e-3, COMPARISON, LINEAR),
    "randlora": Tuner("full-rank sums of scaled random bases (Albert et al. 2025)", defaults=LINEAR),
    "road": Tuner(
        "rotations of pairs of outputs (Liao & Monz 2024)",
        1e-3,
        COMPARISON,
        LINEAR,
        auto={"group_size": "choose_block_size"},
    ),
    "shadow": Tuner(
        "a small network beside the frozen one corrects its states",
        families=DECODER,
        hidden=("auxiliary_loss_weight",),  # of a second loss, which the engine does not compute
    ),
    "shira": Tuner(
        "a sparse random set of each weight's entries (Bhardwaj et al. 2024)",
        3e-4,
        COMPARISON,
        LINEAR,
        auto={"r": "choose_sparse_rank"},
    ),
    "supertuning": Tuner("the largest entries of each weight alone (arXiv:2607.09287)", defaults=LINEAR),
    "tinylora": Tuner("a handful of numbers through fixed projections (arXiv:2602.04118)", 1e-3, COMPARISON, LINEAR),
    "trainable_tokens": Tuner(
        "embeddings of chosen tokens; by default those of the task's instructions",
        0.2,
        COMPARISON,
        auto={"token_indices": "choose_instruction_tokens"},
    ),
    "unilora": Tuner("one shared vector, projected into every LoRA (arXiv:2506.00799)", defaults=LINEAR),
    "vblora": Tuner(
        "LoRA from a shared bank of vectors (Li et al. 2024)",
        source=COMPARISON,
        defaults=LINEAR,
        auto={"vector_length": "choose_block_size"},
    ),
    "vera": Tuner(
        "trained scales on shared random projections (Kopiczko et al. 2024)", 4e-3, "the paper, for LLaMA", LINEAR
    ),
    "waveft": Tuner(
        "a few wavelet coefficients of the update", defaults=LINEAR, auto={"n_frequency": "choose_coefficients"}
    ),
    "xlora": Tuner(
        "a gate over LoRA adapters (Buehler & Buehler 2024)",
        impossible="mixes LoRA adapters that were trained before, and a trial begins at the base model",
    ),
}
"""Name → the tuner."""

UNKNOWN = Tuner("a tuner of PEFT that the harness has no further information about")


def find_tuner(name: str) -> Tuner:
    """Return the table's entry, or `UNKNOWN` for a tuner that it lacks."""
    return TUNERS.get(name, UNKNOWN)
