"""Limits that nobody gave fit the model and are said; those that were given and do not fit are refused."""

from __future__ import annotations

import dataclasses

import pytest

from harness.errors import SpecError
from harness.models.source import resolve_model
from harness.planning.limits import fit_limits
from harness.spec.spec import build_spec
from harness.tasks import TaskRequest, load_task
from methods.types import Limits

TOY = load_task(TaskRequest("toy"))


def fit(context, wish=(512, 128), family="decoder-only", **given):
    task = dataclasses.replace(TOY, limits=Limits(*wish))
    model = dataclasses.replace(resolve_model("toy"), context=context, family=family)
    return fit_limits(build_spec({"methods": "toy", "model": "toy", "task": "toy", **given}), task, model)


@pytest.mark.parametrize(
    ("context", "given", "limits"),
    [
        (None, {}, (512, 128)),
        (640, {}, (512, 128)),
        (512, {}, (384, 128)),
        (160, {}, (128, 32)),
        (3, {}, (2, 1)),
        (512, {"target_tokens": 64}, (448, 64)),
        (512, {"target_tokens": 256}, (256, 256)),
        (512, {"input_tokens": 400}, (400, 112)),
        (512, {"input_tokens": 300, "target_tokens": 212}, (300, 212)),
    ],
)
def test_limits_fit_into_the_window_of_a_decoder(context, given, limits):
    task = fit(context, **given)
    assert task.limits == Limits(*limits)
    lowered = context not in (None, 640) and set(given) != {"input_tokens", "target_tokens"}
    assert (f"prompts have {limits[0]} tokens at most and answers {limits[1]}" in (task.note or "")) == lowered


@pytest.mark.parametrize(
    "given", [{"input_tokens": 500}, {"target_tokens": 300}, {"input_tokens": 400, "target_tokens": 113}]
)
def test_limits_that_were_given_and_do_not_fit_are_refused(given):
    with pytest.raises(SpecError, match="do not fit into the 512 tokens"):
        fit(512, **given)


def test_encoder_and_decoder_have_a_window_each():
    assert fit(512, family="encoder-decoder").limits == Limits(512, 128)
    assert fit(100, family="encoder-decoder").limits == Limits(100, 100)
    with pytest.raises(SpecError, match="--input-tokens 600 does not fit into the 512 tokens"):
        fit(512, family="encoder-decoder", input_tokens=600)
