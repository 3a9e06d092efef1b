"""Every number that is reported: its name, unit, direction, formula and format, declared once.

Names are the keys of `Record.metrics`. `direction` says which way is better; `None` is for numbers that describe
and do not rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from reports.records.decoding import Text

Unit = Literal[
    "score",
    "nats/token",
    "nats",
    "reward",
    "sd",
    "bytes",
    "parameters",
    "%",
    "tokens/s",
    "examples/s",
    "s",
    "J",
    "money",
    "tokens",
]


PRIMARY = "rougeL"
"""The metric that ranks; higher is better."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared number."""

    name: Text
    """Key of the number in a record."""
    title: Text
    """Column head in tables."""
    unit: Unit
    """What it is counted in."""
    direction: Literal["higher", "lower"] | None
    """Which way is better; `null` for numbers that only describe."""
    formula: Text
    """How it is computed, in words; the report shows that of metrics that do not come with the harness."""

    @property
    def range(self) -> tuple[float, float]:
        """Ends between which every value lies, as far as they are known."""
        if self.name.startswith("rouge"):
            return 0.0, 1.0
        amounts = ("bytes", "parameters", "%", "tokens/s", "examples/s", "s", "J", "money", "tokens")
        return 0.0 if self.unit in amounts or self.name in _LOSSES else -math.inf, math.inf


class DeclaresMetrics(Protocol):
    """A record, as far as metrics are concerned."""

    @property
    def declared(self) -> Mapping[str, Metric]:
        """Metrics that do not come with the harness, by name."""


_LOSSES = ("heldout_loss", "general_loss", "general_loss_before")
"""Never below 0; differences of them, which have the same unit, may be."""

_DECLARED = (
    Metric("rouge1", "ROUGE-1", "score", "higher", "mean over examples of the best reference's unigram F1, stemmed"),
    Metric("rouge2", "ROUGE-2", "score", "higher", "mean over examples of the best reference's bigram F1, stemmed"),
    Metric("rougeL", "ROUGE-L", "score", "higher", "mean over examples of the best reference's LCS F1, stemmed"),
    Metric("rougeLsum", "ROUGE-Lsum", "score", "higher", "as ROUGE-L, with union LCS over lines"),
    Metric(
        "heldout_loss",
        "held-out loss",
        "nats/token",
        "lower",
        "summed cross-entropy of the test targets (first reference) over their tokens, end token included",
    ),
    Metric(
        "general_loss",
        "general loss",
        "nats/token",
        "lower",
        "summed cross-entropy of the second halves of general passages over their tokens, after training",
    ),
    Metric("general_loss_before", "general loss before", "nats/token", None, "the same, of the model as it was loaded"),
    Metric("forgetting", "forgetting", "nats/token", "lower", "general loss after − before training"),
    Metric("trainable_parameters", "trainable", "parameters", "lower", "elements of tensors with requires_grad"),
    Metric(
        "total_parameters",
        "total",
        "parameters",
        None,
        "all elements, adapters included; 4-bit weights count as the parameters they stand for",
    ),
    Metric("trainable_percent", "trainable %", "%", "lower", "100 × trainable ÷ total"),
    Metric(
        "shipped_bytes",
        "size to ship",
        "bytes",
        "lower",
        "files that the method must ship, on disk: what is needed to load it, no README",
    ),
    Metric(
        "peak_device_allocated_bytes",
        "peak device",
        "bytes",
        "lower",
        "largest of the phases' peaks of memory allocated by PyTorch on the accelerator",
    ),
    Metric(
        "peak_device_reserved_bytes",
        "peak device reserved",
        "bytes",
        "lower",
        "largest of the phases' peaks of memory that PyTorch's allocator reserved on the accelerator",
    ),
    Metric(
        "peak_host_bytes",
        "peak host",
        "bytes",
        "lower",
        "largest of the phases' peaks of the worker's resident memory (VmHWM)",
    ),
    Metric(
        "peak_tensor_bytes",
        "peak tensors (CPU)",
        "bytes",
        "lower",
        "largest of the phases' peaks of live tensor storage on the CPU",
    ),
    Metric(
        "train_tokens_per_second",
        "train tokens/s",
        "tokens/s",
        "higher",
        "non-padding tokens of the steps after the first three ÷ time of those steps",
    ),
    Metric(
        "train_examples_per_second",
        "train examples/s",
        "examples/s",
        "higher",
        "examples of the steps after the first three ÷ time of those steps",
    ),
    Metric(
        "generated_tokens_per_second",
        "generated tokens/s",
        "tokens/s",
        "higher",
        "tokens generated in evaluation, padding left out, ÷ time of generation",
    ),
    Metric("load_seconds", "load time", "s", "lower", "wall time of the load phase"),
    Metric("train_seconds", "train time", "s", "lower", "wall time of the train phase"),
    Metric("evaluate_seconds", "evaluate time", "s", "lower", "wall time of the evaluate phase"),
    Metric("total_seconds", "total time", "s", "lower", "wall time of the worker, from its start to its record"),
    Metric(
        "energy_joules", "energy", "J", "lower", "NVML energy counter of the device, after minus before every phase"
    ),
    Metric("cost", "cost", "money", "lower", "total time in hours × the given price per hour"),
    Metric("mean_generated_tokens", "output length", "tokens", None, "mean tokens generated per test example"),
    Metric("empty_outputs_percent", "empty outputs", "%", "lower", "test examples whose prediction is blank"),
    Metric(
        "unfinished_outputs_percent",
        "truncated outputs",
        "%",
        "lower",
        "test examples whose generation hit the length limit before an end token",
    ),
    Metric(
        "repeated_outputs_percent",
        "repeated outputs",
        "%",
        "lower",
        "test examples whose prediction repeats a three-word sequence at least three times",
    ),
)

CHANGES = {
    "reward": "reward",
    "reference_wins": "reference above sample",
    "reward_agreement": "agreement with ROUGE-L",
    "preference_accuracy": "preference accuracy",
    "heldout_quality": "held-out ROUGE-L",
}
"""What is measured twice, on the warm start (`NAME_start`) and on the final policy (`NAME_final`), and its title."""


def _change(
    name: str, unit: Unit, formula: str, direction: Literal["higher"] | None = "higher"
) -> tuple[Metric, Metric]:
    title = CHANGES[name]
    return (
        Metric(f"{name}_start", f"{title}, warm start", unit, direction, f"{formula}; for the warm start"),
        Metric(f"{name}_final", f"{title}, final", unit, direction, f"{formula}; for the final policy"),
    )


_PREFERENCE_LEARNING = (
    *_change("reward", "reward", "mean reward of responses sampled for held-out prompts, in the reward's own unit"),
    Metric(
        "reward_gain_sd",
        "gain (sd)",
        "sd",
        "higher",
        "(final − warm start's mean reward) ÷ standard deviation of the warm start's rewards",
    ),
    Metric(
        "policy_kl",
        "KL (nats)",
        "nats",
        None,
        "mean over the final policy's samples of the summed log-ratio of final policy to warm start",
    ),
    Metric(
        "policy_entropy",
        "entropy (nats/token)",
        "nats/token",
        None,
        "mean entropy of the policy over its samples' tokens",
    ),
    Metric(
        "policy_response_tokens", "response tokens", "tokens", None, "mean length of the samples, end token counted"
    ),
    Metric("policy_unended_percent", "unended %", "%", "lower", "share of the samples without an end token"),
    Metric(
        "pair_accuracy",
        "pair accuracy",
        "score",
        "higher",
        "share of held-out pairs whose chosen response gets the higher reward from the reward model",
    ),
    Metric("pair_margin", "margin", "reward", None, "mean over held-out pairs of chosen − rejected reward"),
    Metric(
        "pair_calibration_error",
        "calibration error",
        "score",
        "lower",
        "expected calibration error of sigmoid(|margin|) as the probability of ranking a held-out pair right, 10 bins",
    ),
    *_change(
        "reference_wins",
        "score",
        "share of responses sampled for held-out prompts that the reward puts below the reference; ties count half",
        None,
    ),
    *_change(
        "reward_agreement",
        "score",
        "share of pairs of two samples for one held-out prompt whose order reward and ROUGE-L agree on",
    ),
    *_change(
        "preference_accuracy",
        "score",
        "share of held-out pairs whose chosen response gets the higher mean log-probability a token",
    ),
    *_change("heldout_quality", "score", "ROUGE-L of greedy answers to held-out prompts of the validation split"),
    Metric(
        "sampled_tokens_per_second",
        "sampled tokens/s",
        "tokens/s",
        "higher",
        "response tokens sampled in the policy stage ÷ time of sampling",
    ),
    Metric(
        "learned_tokens_per_second",
        "learned tokens/s",
        "tokens/s",
        "higher",
        "prompt and response tokens learned from in the policy stage ÷ time of the updates",
    ),
)

_LEARNING_CURVES = (
    Metric(
        "seconds_to_quality",
        "time to quality",
        "s",
        "lower",
        "training time, evaluations left out, at the first point of the learning curve that reaches the target ROUGE-L",
    ),
    Metric(
        "tokens_to_quality",
        "tokens to quality",
        "tokens",
        "lower",
        "training tokens at the first point of the learning curve that reaches the target ROUGE-L",
    ),
)

LEARNING_CURVES = frozenset(metric.name for metric in _LEARNING_CURVES)
"""Names that are measured only where a learning curve with a target was asked for."""

PREFERENCE_LEARNING = frozenset(metric.name for metric in _PREFERENCE_LEARNING)
"""Names that only methods which learn from preferences or rewards measure; shown only where one did."""

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_DECLARED, *_LEARNING_CURVES, *_PREFERENCE_LEARNING)}
"""Every declared metric by name, in the order in which tables show them."""

RESERVED = frozenset({"gain"})
"""Names that tables have for columns of their own."""


def collect_metrics(records: Iterable[DeclaresMetrics]) -> Mapping[str, Metric]:
    """`METRICS`, and after them what the records declare besides; if two declare the same name, the first counts."""
    found = dict(METRICS)
    for record in records:
        for name, metric in record.declared.items():
            if name not in RESERVED:
                found.setdefault(name, metric)
    return found


def find_contested_metrics(records: Iterable[DeclaresMetrics]) -> list[str]:
    """Names under which records measured different things, such as by other versions of a library."""
    formulas: dict[str, set[str]] = {}
    for record in records:
        for name, metric in record.declared.items():
            formulas.setdefault(name, set()).add(metric.formula)
    return sorted(name for name, told in formulas.items() if len(told) > 1)
