"""Trial ids follow content: what can change a result changes the id, and nothing else does."""

from __future__ import annotations

import dataclasses
import json

import pytest

from harness.errors import SpecError
from harness.plan import make_plan
from harness.spec import build_spec


def plan(**request):
    return make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy", "device": "cpu", **request}))


def ids(**request):
    return [trial.trial_id for trial in plan(**request).trials]


def test_the_base_comes_first_and_once_and_seeds_are_outside():
    labels = [trial.label for trial in plan(methods="toy,toy[seconds_per_step=1]", seeds="0,1").trials]
    assert labels == [
        "base",
        "toy seed 0",
        "toy[seconds_per_step=1] seed 0",
        "toy seed 1",
        "toy[seconds_per_step=1] seed 1",
    ]


def test_the_same_request_gives_the_same_ids():
    assert ids() == ids()


@pytest.mark.parametrize(
    "change",
    [
        {"budget": "steps=7"},
        {"seeds": "3"},
        {"batch_size": 4},
        {"accumulation": 2},
        {"set": {"toy.seconds_per_step": 0.5}},
    ],
)
def test_what_only_training_sees_changes_the_trial_and_not_the_base(change):
    base, toy = ids()
    other_base, other_toy = ids(**change)
    assert other_base == base
    assert other_toy != toy


@pytest.mark.parametrize(
    "change", [{"test_examples": 2}, {"input_tokens": 32}, {"eval_batch_size": 2}, {"template": "Do: {input}"}]
)
def test_what_evaluation_sees_changes_both(change):
    base, toy = ids()
    other_base, other_toy = ids(**change)
    assert other_base != base
    assert other_toy != toy


@pytest.mark.parametrize("change", [{"price_per_hour": 3.0}, {"out": "elsewhere"}, {"trial_timeout": 9.0}])
def test_what_cannot_change_a_result_changes_no_id(change):
    assert ids(**change) == ids()


def test_a_draft_says_all_that_is_known_before_and_holds_no_path():
    made = plan()
    draft = made.trials[1].draft
    assert draft.variant == "toy"
    assert draft.settings["seconds_per_step"] == 0
    assert draft.task.examples == {"train": 6, "validation": 2, "test": 4}
    assert draft.budget == {"unit": "steps", "amount": 300.0}
    json.dumps(made.trials[1].request)  # only JSON crosses to the worker
    embedded = make_plan(build_spec({"methods": "lora", "device": "cpu"}))
    text = json.dumps(dataclasses.asdict(embedded.trials[1].draft))
    assert embedded.model.location not in text


def test_presets_recommend_and_users_decide():
    embedded = make_plan(build_spec({"methods": "lora,lora[learning_rate=0.5]", "device": "cpu"}))
    rates = [trial.draft.settings["learning_rate"] for trial in embedded.trials[1:]]
    assert rates[0] == embedded.model.settings["lora"]["learning_rate"] != 2e-4
    assert rates[1] == 0.5
    assert embedded.trials[1].draft.variant == "lora"  # the preset's advice is no change of the user's
    assert embedded.dtype == "float32"


def test_a_method_that_cannot_serve_the_model_is_known_before_anything_is_loaded():
    trials = plan(methods="lora,toy").trials
    assert [bool(trial.unsupported) for trial in trials] == [False, True, False]


def test_limits_that_do_not_fit_the_model_are_refused():
    with pytest.raises(SpecError, match="do not fit into the 512 tokens"):
        make_plan(build_spec({"methods": "lora", "device": "cpu", "input_tokens": 500}))
