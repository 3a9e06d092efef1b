"""Sequence limits of a run: what the user gave, else what the task wishes, as far as it fits into the model."""

from __future__ import annotations

import dataclasses

from harness.errors import SpecError
from harness.request import ModelSource
from harness.spec.spec import Spec
from harness.tasks import Task
from methods.types import Limits

LEAST_SHARE = 0.5
"""Where the user gave one limit, this share of the task's wish must be left for the other: with less, most inputs or
answers would be cut without a word from the user."""


def fit_limits(spec: Spec, task: Task, model: ModelSource) -> Task:
    """The task with the limits of the run. Its note tells of limits that nobody gave and that had to be lowered.

    Raises `SpecError` for limits that the user gave and that do not fit into the model.
    """
    wish = task.limits
    given = Limits(spec.input_tokens or wish.input_tokens, spec.target_tokens or wish.target_tokens)
    if model.context is None:
        return dataclasses.replace(task, limits=given)
    if model.family == "decoder-only":
        limits = _share_window(spec, wish, given, model)
    else:
        limits = _fit_each(spec, given, model)
    if limits == given:
        return dataclasses.replace(task, limits=given)
    told = (
        f"prompts have {limits.input_tokens} tokens at most and answers {limits.target_tokens}, since {model.name} "
        f"reads {model.context} and the task would like {wish.input_tokens} and {wish.target_tokens}"
    )
    return dataclasses.replace(task, limits=limits, note="; ".join(filter(None, (task.note, told))))


def _share_window(spec: Spec, wish: Limits, given: Limits, model: ModelSource) -> Limits:
    """Prompt and answer stand in one window: what nobody gave takes what is left, or both shrink alike."""
    window = model.context or 0
    if given.input_tokens + given.target_tokens <= window:
        return given
    if spec.input_tokens is None and spec.target_tokens is None:
        target = given.target_tokens
        if window - target < LEAST_SHARE * given.input_tokens:
            target = max(1, window * target // (given.input_tokens + target))
        return Limits(window - target, target)
    if spec.input_tokens is None and window - given.target_tokens >= LEAST_SHARE * wish.input_tokens:
        return Limits(window - given.target_tokens, given.target_tokens)
    if spec.target_tokens is None and window - given.input_tokens >= LEAST_SHARE * wish.target_tokens:
        return Limits(given.input_tokens, window - given.input_tokens)
    raise SpecError(
        f"{given.input_tokens} input and {given.target_tokens} target tokens do not fit into the {window} tokens that "
        f"{model.name} can read; lower --input-tokens or --target-tokens"
    )


def _fit_each(spec: Spec, given: Limits, model: ModelSource) -> Limits:
    """Encoder and decoder have a window each."""
    window = model.context or 0
    for flag, asked in (("--input-tokens", spec.input_tokens), ("--target-tokens", spec.target_tokens)):
        if asked is not None and asked > window:
            raise SpecError(
                f"{flag} {asked} does not fit into the {window} tokens that {model.name} can read; lower it"
            )
    return Limits(min(given.input_tokens, window), min(given.target_tokens, window))
