"""Variants and grids: how texts and YAML are expanded, their names, and the messages for wrong ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.names import parse_changes
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec
from harness.spec.variants import MOST_VARIANTS, format_variant, parse_variants
from methods.errors import InvalidSettingError, MethodError

ROOT = Path(__file__).resolve().parents[3]


def parse_names(methods, **changes):
    return [variant.name for variant in parse_variants(methods, changes)]


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (
            "lora[r=8],lora[r=64],lora[r=64,target_modules=all-linear]",
            ["lora[r=8]", "lora[r=64]", "lora[r=64,target_modules=all-linear]"],
        ),
        ("lora[r=4|16|64],full", ["lora[r=4]", "lora[r=16]", "lora[r=64]", "full"]),
        (
            "lora[r=4|16,alpha=8|32]",  # the product in the order given, the last knob fastest
            ["lora[alpha=8,r=4]", "lora[alpha=32,r=4]", "lora[alpha=8,r=16]", "lora[alpha=32,r=16]"],
        ),
        (" lora [ r = 4 | 16 ] ", ["lora[r=4]", "lora[r=16]"]),
        ("rlhf[start=lora[r=4|8]]", ["rlhf[start=lora[r=4]]", "rlhf[start=lora[r=8]]"]),
        (
            "rlhf[start=lora|lora[r=4|8],kl=0.1]",
            ["rlhf[kl=0.1,start=lora]", "rlhf[kl=0.1,start=lora[r=4]]", "rlhf[kl=0.1,start=lora[r=8]]"],
        ),
        ("lora[learning_rate=1e-3|0.002]", ["lora[learning_rate=0.001]", "lora[learning_rate=0.002]"]),
    ],
)
def test_expanding_a_text(methods, expected):
    assert parse_names(methods) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[full, 'lora[r=4|16]']", ["full", "lora[r=4]", "lora[r=16]"]),
        ("[full, {lora: {r: [4, 16, 64]}}, prefix]", ["full", "lora[r=4]", "lora[r=16]", "lora[r=64]", "prefix"]),
        ("[lora: {r: 4, alpha: [8, 32]}]", ["lora[alpha=8,r=4]", "lora[alpha=32,r=4]"]),
        ("{full: , lora: {r: [4, 16]}}", ["full", "lora[r=4]", "lora[r=16]"]),
        ("{lora: [{r: 4}, {r: 64, bias: all}, {}]}", ["lora[r=4]", "lora[bias=all,r=64]", "lora"]),
        ("[lora: {target_modules: q|v}]", ["lora[target_modules=q|v]"]),  # there a text is one value, whatever it holds
        ("[rlhf: {start: [lora, 'lora[r=4]']}]", ["rlhf[start=lora]", "rlhf[start=lora[r=4]]"]),
        ("[{qlora: {double_quant: [true, false]}}]", ["qlora[double_quant=true]", "qlora[double_quant=false]"]),
    ],
)
def test_expanding_yaml(text, expected):
    assert parse_names(yaml.safe_load(text)) == expected


def test_settings_of_a_method_apply_to_its_variants_unless_they_override_them():
    assert parse_names("lora[r=4|16],lora[alpha=8]", lora={"r": 2}) == ["lora[r=4]", "lora[r=16]", "lora[alpha=8,r=2]"]


@pytest.mark.parametrize(
    ("methods", "changes"),
    [
        ("rlhf[start=lora],lora", {"lora": {"r": 4}}),
        ("rlhf[start=lora[r=04]],lora[r=4]", {}),
        ("rlhf[start=lora[ r=4 ]],lora[r=4.0]", {}),
    ],
)
def test_a_start_gets_the_name_of_the_variant_that_it_means(methods, changes):
    assert parse_names(methods, **changes) == ["rlhf[start=lora[r=4]]", "lora[r=4]"]
    spec = build_spec(
        {"methods": methods, "set": {f"{m}.{k}": v for m, own in changes.items() for k, v in own.items()}}
    )
    trials = make_plan(spec).trials
    assert [trial.draft.variant for trial in trials] == ["base", "lora[r=4]", "rlhf[start=lora[r=4]]"]
    assert trials[2].start == trials[1].trial_id


def test_another_knob_with_the_same_text_as_the_start_is_not_changed(plugin):
    (variant, _) = parse_variants("follower[start=toy,ending=toy],toy[warmup=0.1]", {"toy": {"warmup": 0.2}})
    assert variant.name == "follower[ending=toy,start=toy[warmup=0.2]]"


def test_a_variants_name_can_be_typed_again():
    (variant,) = parse_variants("bitfit[add=False]", {})
    assert variant.name == "bitfit[add=false]"
    assert parse_variants(variant.name, {}) == (variant,)


def test_a_value_with_a_comma_is_given_by_set_or_in_yaml():
    template = "Summarize, briefly: {input}"
    (one,) = parse_variants("zero-shot", parse_changes([f"zero-shot.template={template}"]))
    assert parse_variants([{"zero-shot": {"template": template}}], {}) == (one,)
    assert one.changed == {"template": template}


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        ("lora[r=8|08]", r"the variant 'lora\[r=8\]' is named twice"),
        ("lora[r=8],lora[r=4|8.0]", r"the variant 'lora\[r=8\]' is named twice"),
        ("lora[r=4,r=8]", "a knob is given twice"),
        (
            "zero-shot[template=Summarize, briefly: {input}]",
            r"write NAME\[knob=value,knob=value\]; give a value that contains a comma by --set or in YAML$",
        ),
        ("lora[r=4|]", r"a value is missing beside a | in 'lora\[r=4|\]'"),
        ("lora[r=|]", "a value is missing"),
        ("lora[r=4||8]", "a value is missing"),
        ("lora[r=4|x]", r"lora\.r: must be a whole number \(given: 'x'\)"),
        ("lora[r=[4|8]]", r"cannot read the method '\[4|8\]'"),
        ("lora|qlora", r"unknown method 'lora|qlora' \(did you mean qlora, lora"),
        ("lora[rr=4|8]", "no knob 'rr'"),
        ([{"lora": {"r": []}}], r"cannot read lora\.r: give it a value, or a list"),
        ([{"lora": {"r": {}}}], r"cannot read lora\.r"),
        ([{"lora": {"r": [[4]]}}], r"cannot read lora\.r"),
        ([{"lora": {"r": None}}], r"cannot read lora\.r"),
        ([{"lora": {"r": True}}], r"lora\.r: must be a number \(given: True\)"),
        ([{"lora": {"r": "4|8"}}], r"must be a whole number \(given: '4|8'\); give a grid in --methods"),
        ([{"lora": []}], "cannot read the method 'lora': give it a mapping of knobs"),
        ([{"lora": 5}], "cannot read the method 'lora'"),
        ([{5: {"r": 4}}], "cannot read the method 5"),
        ([{}], "cannot read the methods"),
        ([["lora"]], "cannot read the methods"),
        ([{"base": None}], "leave it out"),
        ("follower[start=" * 9 + "x[y=1|2]" + "]" * 9, "nested in each other's brackets"),
        ("follower[start=" * 400 + "x" + "]" * 400, "nested in each other's brackets"),
    ],
)
def test_invalid_methods_are_refused_with_one_sentence(plugin, methods, sentence):
    with pytest.raises((SpecError, MethodError), match=sentence):
        parse_variants(methods, {})


def test_a_variant_that_starts_from_itself_by_a_setting_is_refused(plugin):
    with pytest.raises(SpecError, match="follower starts from follower: no variant can start from itself"):
        parse_variants("follower", {"follower": {"start": "follower"}})


def test_a_grid_in_set_is_refused_with_advice():
    with pytest.raises(InvalidSettingError, match=r"lora\.r: must be a whole .*; give a grid in --methods"):
        build_spec({"methods": "lora", "set": ["lora.r=4|8"]})


def test_a_huge_grid_is_refused_before_it_is_expanded():
    ranks = "|".join(map(str, range(1, MOST_VARIANTS + 1)))
    assert len(parse_variants(f"lora[r={ranks}]", {})) == MOST_VARIANTS
    for methods in (
        f"lora[r={ranks}|{MOST_VARIANTS + 1}]",
        f"lora[r={ranks}],full",
        "lora[" + ",".join(f"k{i}=1|2" for i in range(300)) + "]",  # more than there are atoms
        [{"lora": {"r": list(range(1, MOST_VARIANTS + 2))}}],
        f"rlhf[start=lora[r={ranks},alpha=1|2]]",
    ):
        with pytest.raises(SpecError, match=f"for more than {MOST_VARIANTS:,} variants; give fewer values, or search"):
            parse_variants(methods, {})


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2, unique=True))
def test_two_numbers_have_two_names(values):
    one, other = (format_variant("m", {"x": value}) for value in values)
    assert one != other
    assert [float(text[4:-1]) for text in (one, other)] == values


def test_a_grid_is_a_row_for_each_variant_and_no_name_becomes_a_path(run_here, tmp_path):
    config = tmp_path / "spec.yaml"
    config.write_text("{model: toy, task: toy, budget: {steps: 3}, methods: [{toy: {ending: ['../x', '/y']}}]}")
    done = run_here("run", "--config", config, "--save-models", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [json.loads(path.read_text()) for path in (tmp_path / "run" / "records").glob("*.json")]
    assert {record["variant"] for record in told} == {"base", "toy[ending=../x]", "toy[ending=/y]"}
    ids = {record["trial_id"] for record in told}
    for folder in ("records", "predictions", "logs"):
        assert {path.stem for path in (tmp_path / "run" / folder).iterdir()} == ids
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "spec.yaml"]
    assert "toy[ending=../x]" in (tmp_path / "run" / "leaderboard.csv").read_text()


def test_the_documented_spec_expands_as_documented():
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "variants.md").read_text(), re.DOTALL)
    assert parse_names(yaml.safe_load(text)["methods"]) == [
        *("full", "lora[r=64]", "lora[r=4]", "lora[r=16]"),
        *("qlora[alpha=32,r=4]", "qlora[alpha=32,r=16]", "qlora[alpha=32,r=64]"),
        *("prefix[virtual_tokens=10]", "prefix[learning_rate=0.01,virtual_tokens=50]"),
    ]
