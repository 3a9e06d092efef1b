"""A trial's id changes with everything that can change its result, and with nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.models.source import resolve_model
from harness.planning.identity import hash_training_code
from harness.planning.plan import order_variants
from harness.planning.planner import make_plan
from harness.request import TrialRequest
from harness.spec.spec import build_spec
from harness.spec.variants import Variant


def plan_toys(**request):
    return make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy", "device": "cpu", **request}))


def plan_ids(**request):
    return [trial.trial_id for trial in plan_toys(**request).trials]


def test_the_base_comes_first_and_seeds_are_the_outer_loop():
    labels = [trial.label for trial in plan_toys(methods="toy,toy[seconds_per_step=1]", seeds="0,1").trials]
    assert labels == [
        "base",
        "toy seed 0",
        "toy[seconds_per_step=1] seed 0",
        "toy seed 1",
        "toy[seconds_per_step=1] seed 1",
    ]


def test_the_same_request_gives_the_same_ids():
    assert plan_ids() == plan_ids()


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
def test_training_settings_change_the_id_of_the_trial_but_not_of_the_base(change):
    base, toy = plan_ids()
    other_base, other_toy = plan_ids(**change)
    assert other_base == base
    assert other_toy != toy


@pytest.mark.parametrize(
    "change", [{"test_examples": 2}, {"input_tokens": 32}, {"eval_batch_size": 2}, {"template": "Do: {input}"}]
)
def test_evaluation_settings_change_both_ids(change):
    base, toy = plan_ids()
    other_base, other_toy = plan_ids(**change)
    assert other_base != base
    assert other_toy != toy


@pytest.mark.parametrize("change", [{"price_per_hour": 3.0}, {"out": "elsewhere"}, {"trial_timeout": 9.0}])
def test_settings_without_effect_on_results_change_no_id(change):
    assert plan_ids(**change) == plan_ids()


def test_a_draft_is_complete_and_contains_no_path():
    made = plan_toys()
    draft = made.trials[1].draft
    assert draft.variant == "toy"
    assert draft.settings["seconds_per_step"] == 0
    assert draft.task.examples == {"train": 6, "validation": 2, "test": 4}
    assert draft.budget == {"unit": "steps", "amount": 300.0}
    assert TrialRequest.from_json(made.trials[1].request.to_json()) == made.trials[1].request
    embedded = make_plan(build_spec({"methods": "lora", "device": "cpu"}))
    text = json.dumps(dataclasses.asdict(embedded.trials[1].draft))
    assert embedded.model.location not in text


def test_the_users_knobs_override_the_preset():
    embedded = make_plan(build_spec({"methods": "lora,lora[learning_rate=0.5]", "device": "cpu"}))
    rates = [trial.draft.settings["learning_rate"] for trial in embedded.trials[1:]]
    assert rates[0] == embedded.model.settings["lora"]["learning_rate"] != 2e-4
    assert rates[1] == 0.5
    assert embedded.trials[1].draft.variant == "lora"  # the preset's advice is no change of the user's
    assert embedded.dtype == "float32"


def test_a_method_gets_the_preset_of_its_nearest_base_class():
    names = "dora,pissa[learning_rate=0.5],loftq,grpo,instruction"
    trials = make_plan(build_spec({"methods": names, "device": "cpu"})).trials
    found = {trial.draft.method: trial.draft for trial in trials[1:]}
    advised = resolve_model("embedded").settings
    assert found["dora"].settings["learning_rate"] == advised["lora"]["learning_rate"] != 2e-4
    assert found["pissa"].settings["learning_rate"] == 0.5
    assert found["loftq"].settings["learning_rate"] == advised["qlora"]["learning_rate"]
    assert found["grpo"].settings.items() >= {**advised["rlhf"], "algorithm": "grpo"}.items()
    assert not found["grpo"].changed


def test_an_unsupported_model_is_known_before_anything_is_loaded():
    trials = plan_toys(methods="lora,toy").trials
    assert [bool(trial.refused) for trial in trials] == [False, True, False]


def test_limits_that_do_not_fit_the_model_are_refused():
    with pytest.raises(SpecError, match="do not fit into the 512 tokens"):
        make_plan(build_spec({"methods": "lora", "device": "cpu", "input_tokens": 500}))


def plan_ids_by_variant(**request):
    return {trial.draft.variant: trial.trial_id for trial in plan_toys(methods="toy,follower", **request).trials}


def test_pairs_and_rewards_change_only_the_ids_of_trials_that_learn_from_them(plugin, tmp_path):
    def pairs(name, word):
        path = tmp_path / name
        path.write_text("prompt,chosen,rejected\n" + "".join(f"q{i},good,{word}\n" for i in range(9)))
        return str(path)

    plain = plan_ids_by_variant()
    changed = [
        plan_ids_by_variant(preferences=pairs("a.csv", "bad")),
        plan_ids_by_variant(preferences=pairs("b.csv", "worse")),
        plan_ids_by_variant(reward="rouge"),
        plan_ids_by_variant(preferences=pairs("a.csv", "bad"), reward="rouge"),
        plan_ids_by_variant(reward="json:loads"),
    ]
    assert {(found["base"], found["toy"]) for found in changed} == {(plain["base"], plain["toy"])}
    assert len({found["follower"] for found in [plain, *changed]}) == 6
    # A pair whose prompt is a test input is left out, even where that part of the split is not used.
    leaking = tmp_path / "leaking.csv"
    leaking.write_text(Path(pairs("a.csv", "bad")).read_text() + "I would like some lemon.,good,bad\n")
    for amount in (1, 4):
        given = plan_toys(
            methods="follower", preferences=str(leaking), test_examples=amount, allow_unusable=True
        ).given.preferences
        assert given.left_out == ("leaking.csv line 11: its prompt is a test input of the task",)
    # It is the pairs that count, not what their file is called or where it is.
    assert plan_ids_by_variant(preferences=pairs("c.csv", "bad")) == changed[0]


def test_requests_contain_pairs_and_rewards_only_for_methods_that_learn_from_them(plugin):
    of = {trial.draft.variant: trial for trial in plan_toys(methods="toy,follower", reward="rouge").trials}
    assert of["toy"].request.reward is None
    assert of["toy"].draft.details.keys() == {"scoring"}
    assert of["follower"].request.reward.kind == "rouge"
    assert of["follower"].draft.details.keys() == {"scoring", "reward"}
    assert of["follower"].draft.details["reward"] == {"name": "rouge", "revision": None}
    assert TrialRequest.from_json(of["follower"].request.to_json()) == of["follower"].request


def test_a_start_comes_first_and_its_id_is_part_of_the_next(plugin, monkeypatch):
    def plan_start(**more):
        return plan_toys(methods="follower[start=toy],toy", **more).trials

    base, toy, follower = plan_start()
    assert [trial.draft.variant for trial in (base, toy, follower)] == ["base", "toy", "follower[start=toy]"]
    assert (base.start, toy.start, follower.start) == (None, None, toy.trial_id)
    assert toy.trial_id == plan_ids()[1]
    # Other code of the toy makes another follower too, whose own code is the same.
    changed = lambda cls, inputs: "other" if cls.name == "toy" else hash_training_code(cls, inputs)  # noqa: E731
    monkeypatch.setattr("harness.planning.planner.hash_training_code", changed)
    _, other_toy, other_follower = plan_start()
    assert other_toy.trial_id != toy.trial_id
    assert other_follower.trial_id != follower.trial_id


def test_variants_keep_their_order_except_for_starts():
    def order_names(starts):
        made = order_variants([Variant(method=name) for name in starts], starts)
        assert all(starts[variant.method] == start for variant, start in made)
        return "".join(variant.method for variant, _ in made)

    assert order_names({"a": None, "b": None, "c": "a"}) == "abc"
    assert order_names({"a": "c", "b": None, "c": None}) == "cab"
    assert order_names({"a": "b", "b": "d", "c": "d", "d": None}) == "dbac"
    with pytest.raises(SpecError, match="a starts from 'x', which is not among the methods of this run; add x"):
        order_names({"a": "x", "b": None})
    with pytest.raises(
        SpecError, match="a starts from b starts from c starts from a: no variant can start from itself"
    ):
        order_names({"a": "b", "b": "c", "c": "a"})
    with pytest.raises(SpecError, match="c starts from c: no variant"):
        order_names({"a": None, "c": "c"})
