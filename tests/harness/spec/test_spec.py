"""The spec: it is built from flags and YAML, and wrong requests are refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError, SpecError
from harness.names import load_yaml, make_file_name, parse_budget, parse_seeds, read_hub_id, split_outside_brackets
from harness.spec.spec import KEYS, build_spec
from methods.base import Budget
from methods.errors import MethodError


def test_flags_as_text_and_yaml_values_build_the_same_spec():
    flags = build_spec(
        {
            "methods": "lora[r=4],full",
            "set": ["lora.alpha=8"],
            "seeds": "0,1",
            "budget": "epochs=2",
            "batch_size": "4",
            "test_examples": "10",
        }
    )
    yaml = build_spec(
        {
            "methods": ["lora[r=4]", "full"],
            "set": {"lora.alpha": 8},
            "seeds": [0, 1],
            "budget": {"epochs": 2},
            "batch_size": 4,
            "test_examples": 10,
        }
    )
    assert flags == yaml
    assert [variant.name for variant in flags.variants] == ["lora[alpha=8,r=4]", "full"]
    assert flags.budget == Budget("epochs", 2)
    assert flags.task.test_examples == 10


def test_preferences_and_reward_are_for_methods_that_learn_from_them(plugin):
    spec = build_spec({"methods": "lora,follower", "preferences": "p.jsonl", "reward": "rouge"})
    assert (spec.preferences, spec.reward) == ("p.jsonl", "rouge")
    with pytest.raises(SpecError, match=r"add one that does: .*follower"):
        build_spec({"methods": "lora", "reward": "rouge"})


def test_a_knob_may_name_a_variant_with_its_own_knobs(plugin):
    spec = build_spec({"methods": "follower[seconds_per_step=1,start=lora[alpha=8,r=4]],lora[r=4,alpha=8]"})
    assert spec.variants[0].changed["start"] == spec.variants[1].name == "lora[alpha=8,r=4]"


def test_defaults_are_the_embedded_model_and_task():
    spec = build_spec({"methods": "lora"})
    assert (spec.model, spec.task.name, spec.seeds) == ("embedded", "embedded", (0,))
    assert str(spec.directory) == "runs/embedded-embedded"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "no methods given"),
        ({"methods": "lroa"}, "did you mean lora"),
        ({"methods": "lora", "modle": "x"}, r"unknown key 'modle'.*did you mean model"),
        ({"methods": "lora", "set": ["lora.rr=1"]}, r"no knob 'rr'"),
        ({"methods": "lora", "set": ["qlora.r=1"]}, "not among the methods"),
        ({"methods": "lora", "set": ["lora"]}, "METHOD.KNOB=VALUE"),
        ({"methods": "lora", "set": ["r=1"]}, "METHOD.KNOB=VALUE"),
        ({"methods": "lora,lora"}, "named twice"),
        ({"methods": "base"}, "leave it out"),
        ({"methods": "lora[r]"}, "NAME"),
        ({"methods": "lora[r=1"}, "NAME"),
        ({"methods": "lora]"}, "NAME"),
        ({"methods": "lora[r]x]"}, "NAME"),
        ({"methods": "lora[r=[1]]"}, "lora.r: must be a whole number"),
        ({"methods": "lora", "seeds": "0,x"}, "whole numbers"),
        ({"methods": "lora", "seeds": "1,1"}, "twice"),
        ({"methods": "lora", "budget": "stepps=1"}, "unknown --budget"),
        ({"methods": "lora", "budget": "steps=0"}, "above 0"),
        ({"methods": "lora", "budget": "steps=1.5"}, "whole number"),
        ({"methods": "lora", "budget": "minutes=nan"}, "above 0"),
        ({"methods": "lora", "batch_size": "many"}, "--batch-size must be a whole number .given: 'many'"),
        ({"methods": "lora", "price_per_hour": "free"}, "--price-per-hour must be a number"),
        ({"methods": "lora", "save_models": "perhaps"}, "--save-models must be true or false"),
        ({"methods": "lora", "target_fields": 3}, "--target-field must be a list"),
        ({"methods": "lora[r=many]"}, "lora.r: must be a whole number .given: 'many'"),
        ({"methods": "prefix[init=zero]"}, "prefix.init: must be 'text' or 'random' .given: 'zero'"),
        ({"methods": "lora", "batch_size": 0}, r"^--batch-size must be at least 1 \(given: 0\)$"),
        ({"methods": "lora", "tries": "0"}, r"^--tries must be at least 1 \(given: '0'\)$"),
        ({"methods": "lora", "tries": True}, "^--tries must be a whole number, not True$"),
        ({"methods": "lora", "price_per_hour": True}, "^--price-per-hour must be a number, not True$"),
        (
            {"methods": "lora", "input_tokens": 0},
            "^--input-tokens must be a whole number above 0 and",
        ),
        (
            {"methods": "lora", "target_tokens": 10**9},
            "^--target-tokens must be a whole number above 0 and below a",
        ),
        ({"methods": "lora", "trial_timeout": "nan"}, "^--trial-timeout must be a number above 0 and below a billion"),
        ({"methods": "lora", "trial_timeout": 0}, "^--trial-timeout must be a number above 0 and below a billion"),
        (
            {"methods": "lora", "rerun": "0123456789abcdef\n"},
            "^--rerun must be failed, all, or the id of a trial",
        ),
        ({"methods": "lora", "rerun": "some"}, r"^--rerun must be failed, .* digits\) \(given: 'some'\)$"),
        ({"methods": "lora", "device": "tpu"}, "device must be 'auto', 'cpu', 'cuda' or 'mps'"),
        ({"methods": "lora", "test_examples": 0}, "test-examples"),
        ({"methods": "lora", "template": "no slot"}, r"\{input\}"),
        ({"methods": 7}, "cannot read the methods"),
        ({"methods": "lora,full", "preferences": "p.jsonl"}, r"--preferences is given, but no .*\(lora, full\); add"),
        ({"methods": "lora", "reward": "rouge"}, "--reward is given, but no method of this run learns from it"),
        ({"methods": "lora", "reward": " "}, "--reward is empty"),
        ({"methods": "lora", "preferences": ["p"]}, "preferences must be text"),
    ],
)
def test_a_wrong_request_gets_one_sentence(request_, message):
    with pytest.raises((HarnessError, MethodError), match=message) as caught:
        build_spec(request_)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [", "line 1"),
        ("- a\n- b", "mapping"),
        ("", "mapping"),
        ("a: 1\nb: {", "line 2"),
        ("seeds: 1\nmodel: x\nseeds: 2", "line 3: .*'seeds' is given twice"),
        ("set:\n  lora.r: 1\n  lora.r: 2", "line 3: .*'lora.r' is given twice"),
    ],
)
def test_a_wrong_yaml_file_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message) as caught:
        load_yaml(path)
    assert "spec.yaml" in str(caught.value)


def test_a_yaml_file_that_is_not_there(tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml does not exist"):
        load_yaml(tmp_path / "none.yaml")


def test_small_parsers():
    assert split_outside_brackets("a[x=1,y=2],b") == ["a[x=1,y=2]", "b"]
    assert split_outside_brackets("a[x=1,y=b[z=2,u=3],v=4],c") == ["a[x=1,y=b[z=2,u=3],v=4]", "c"]
    assert split_outside_brackets("a],b") == ["a]", "b"]
    assert parse_seeds(3) == (3,)
    assert parse_budget("minutes=0.5") == Budget("minutes", 0.5)
    assert make_file_name("google/flan-t5-base@main") == "google-flan-t5-base-main"
    assert make_file_name("../../etc") == "etc"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=8), VALUES, max_size=5))
def test_no_request_ends_in_a_traceback(request_):
    with contextlib.suppress(HarnessError, MethodError):
        build_spec({"methods": "lora", **request_})


@pytest.mark.parametrize(
    ("given", "read"),
    [("steps=5", ("steps", 5)), ("minutes=2.5", ("minutes", 2.5)), ({"steps": 3}, ("steps", 3)), ("never", None)],
    ids=str,
)
def test_checkpoint_intervals(given, read):
    every = build_spec({"methods": "toy", "checkpoint_every": given}).checkpoint_every
    assert every is None if read is None else (every.unit, every.amount) == read


@pytest.mark.parametrize(
    "given", ["steps", "tokens=4", "steps=-1", "steps=1.5", "minutes=nan", True, 5, [], {}], ids=str
)
def test_an_invalid_interval_is_refused(given):
    with pytest.raises(SpecError, match="give steps=N, minutes=N or never"):
        build_spec({"methods": "toy", "checkpoint_every": given})


@pytest.mark.parametrize("rerun", ["failed", "all", "0123456789abcdef"])
def test_the_three_values_of_rerun(rerun):
    assert build_spec({"methods": "lora", "rerun": rerun}).rerun == rerun


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("org/name", ("org/name", None)),
        ("my-org/a.b_c@v2/x", ("my-org/a.b_c", "v2/x")),
        *(
            (text, None)
            for text in ("name", "./name", "../name", "-org/name", "~/name", "/name", "a/b/c", "a/b@", "é/b")
        ),
    ],
)
def test_reading_ids_of_the_hub(text, read):
    assert read_hub_id(text) == read
