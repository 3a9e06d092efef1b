"""Searches are fair, seeded, resumable, and never see the test split."""

from __future__ import annotations

import math
import re

import pytest

from harness.errors import SpecError
from harness.running.knob_search import STARTUP, search_knobs
from harness.spec.search_space import Domain, build_search_space, parse_tune
from harness.spec.spec import build_spec
from methods.registry import build
from reports.records.store import read_records

RATE = {"learning_rate": Domain(low=1e-4, high=1e-2, log=True)}


def score_closeness(values):
    """Highest at 4e-3."""
    return -abs(math.log10(values["learning_rate"] / 4e-3))


def list_tried(found, knob="learning_rate"):
    return [one.values[knob] for one in found.tries]


def test_the_first_try_is_the_default_and_the_others_spread_over_the_range():
    found = search_knobs(RATE, {"learning_rate": 1e-3}, 9, seed=0, measure=score_closeness)
    assert list_tried(found)[0] == 1e-3
    fifths = {int((math.log10(value) + 4) / 2 * 5) for value in list_tried(found)[1:]}
    assert fifths == {0, 1, 2, 3, 4}
    assert all(1e-4 <= value <= 1e-2 for value in list_tried(found))


def test_a_longer_search_begins_like_a_shorter_one_and_finds_better_values():
    short = search_knobs(RATE, {"learning_rate": 1e-3}, 4, seed=0, measure=score_closeness)
    long = search_knobs(RATE, {"learning_rate": 1e-3}, STARTUP + 10, seed=0, measure=score_closeness)
    assert list_tried(long)[:4] == list_tried(short)
    assert len(set(list_tried(long))) == STARTUP + 10
    best = max(map(score_closeness, ({"learning_rate": rate} for rate in list_tried(long)[:STARTUP])))
    assert score_closeness(long.best.values) > best  # what TPE proposes is better than what chance had found


def test_another_seed_tries_other_values():
    first, second = (search_knobs(RATE, {"learning_rate": 1e-3}, 5, seed=s, measure=score_closeness) for s in (0, 1))
    assert list_tried(first)[0] == list_tried(second)[0]
    assert not set(list_tried(first)[1:]) & set(list_tried(second)[1:])


def test_failed_tries_count_as_tries_and_are_never_chosen():
    found = search_knobs(
        RATE, {"learning_rate": 1e-3}, 6, 0, lambda v: None if v["learning_rate"] > 1e-3 else score_closeness(v)
    )
    details = found.describe()
    assert details.tries == 6
    assert details.failed == sum(rate > 1e-3 for rate in list_tried(found)) > 0
    assert found.best.values["learning_rate"] == max(rate for rate in list_tried(found) if rate <= 1e-3)
    assert search_knobs(RATE, {"learning_rate": 1e-3}, 3, 0, lambda v: None).best is None


def test_a_small_space_is_tried_completely_and_once():
    small = {"r": Domain(choices=(4, 8, 16)), "bias": Domain(choices=("none", "all"))}
    found = search_knobs(small, {"r": 8, "bias": "none"}, 20, 0, lambda values: values["r"])
    assert len(found.tries) == 6
    assert found.best.values["r"] == 16
    assert found.describe().edge == ("r",)  # two kinds of bias have no edge


def test_a_value_near_an_end_of_its_range_is_at_the_edge():
    domain = RATE["learning_rate"]
    assert [domain.is_at_edge(value) for value in (1e-4, 1.2e-4, 1.5e-4, 1e-3, 7e-3, 9e-3, 1e-2)] == [
        *(True, True, False, False, False, True, True)
    ]
    whole = Domain(low=2, high=32, log=True, whole=True)
    assert [whole.is_at_edge(value) for value in (2, 3, 30, 32)] == [True, False, True, True]


def test_without_a_range_the_domain_follows_from_default_and_type():
    lora = build("lora", {"learning_rate": 1e-3})
    assert {knob: str(domain) for knob, domain in build_search_space(parse_tune("lr,r,bias"), lora, {}).items()} == {
        "learning_rate": "0.0001 to 0.01 (log)",
        "r": "2 to 32 (log)",
        "bias": "none, all, lora_only",
    }


def test_the_search_space_leaves_out_missing_and_fixed_knobs_and_prefers_items_with_a_method():
    wanted = parse_tune("lr,r,lora.r=4|8")
    assert list(build_search_space(wanted, build("full"), {})) == ["learning_rate"]
    assert list(build_search_space(wanted, build("lora"), {"r": 64})) == ["learning_rate"]
    assert str(build_search_space(wanted, build("lora"), {})["r"]) == "4, 8"


@pytest.mark.parametrize(
    ("tune", "sentence"),
    [
        ("", "write KNOB"),
        ("lr,lr", "names 'learning_rate' twice"),
        ("learning_rat", "no method of this run has such a knob.*learning_rate"),
        ("lora.lr", "'lora' is not among the methods of this run"),
        ("lr=1e-2..1e-4", "first number must be below"),
        ("lr=1e-4..x", "LOW..HIGH"),
        ("lr=1e-4", "at least two different values"),
        ("lr=-1..1", "must be above 0"),
        ("warmup=0..2", "below 1"),
        ("weight_decay", "no range follows from full's default, 0.0"),
        ("schedule=cosine|linea", "schedule"),
        (".lr", "write KNOB"),
    ],
)
def test_an_impossible_search_is_refused_with_one_sentence(tune, sentence):
    def refuse():
        return build_search_space(build_spec({"methods": "full", "tune": tune}).tune, build("full"), {})

    with pytest.raises(SpecError, match=sentence) as refusal:
        refuse()
    assert "\n" not in str(refusal.value)


def test_at_least_one_try_is_required():
    with pytest.raises(SpecError, match="tries must be at least 1"):
        build_spec({"methods": "full", "tune": "lr", "tries": 0})


def test_a_variant_that_starts_from_another_cannot_be_searched():
    with pytest.raises(SpecError, match="starts from another variant"):
        build_spec({"methods": "lora,rlhf[start=lora]", "tune": "lr"})


@pytest.fixture
def toys(run_here):
    """Return a function that runs toys in this process, in a run directory."""
    few = ("run", "--model", "toy", "--task", "toy", "--methods", "toy", "--budget", "steps=5")
    return lambda out, *arguments: run_here(*few, "--out", out, *arguments, cwd=out)


def test_a_search_through_the_command_line(toys, tmp_path):
    tune = ("--tune", "toy.seconds_per_step=0|0.001|0.002", "--seeds", "3,4")
    done = toys(tmp_path, *tune, "--tries", "2")
    assert done.returncode == 0, done.stderr
    records, _ = read_records(tmp_path)
    tries = [record for record in records if record.split == "validation"]
    assert [(record.seed, record.status) for record in tries] == [(3, "ok"), (3, "ok")]
    assert {record.cut.get("test") for record in (r.task for r in tries)} == {None}
    final = {record.seed: record for record in records if record.variant == "toy[seconds_per_step=tuned]"}
    assert sorted(final) == [3, 4]
    for record in final.values():
        told = record.details["tuning"]
        assert (told["tries"], told["failed"], told["split"]) == (2, 0, "validation")
        assert record.split == "test"
        assert record.settings["seconds_per_step"] == told["chosen"]["seconds_per_step"]
    assert {len(record.scores["rougeL"]) for record in tries} == {tries[0].task.examples["validation"]}
    assert {len(record.scores["rougeL"]) for record in final.values()} == {tries[0].task.examples["test"]}

    again = toys(tmp_path, *tune, "--tries", "3")
    assert again.returncode == 0
    assert len(re.findall(r"finished earlier", again.stdout)) == 3  # the base and both tries
    assert len(re.findall(r"\(search\) …", again.stdout)) == 1
    board = (tmp_path / "leaderboard.md").read_text()
    assert "### Tuning" in board
    assert "toy[seconds_per_step=0.001] " not in board  # tries are no rows


def test_a_search_in_which_every_try_fails_is_an_error_of_the_method(toys, tmp_path):
    done = toys(tmp_path, "--tune", "toy.ending=error|oom", "--tries", "2")
    assert done.returncode == 1
    final = [record for record in read_records(tmp_path)[0] if record.split == "test" and record.role != "base"]
    assert [(record.status, record.variant) for record in final] == [("error", "toy[ending=tuned]")]
    assert final[0].message.startswith("none of 2 tries ended ok; the last one: ")


def test_failed_tries_do_not_fail_the_run(toys, tmp_path):
    done = toys(tmp_path, "--tune", "toy.ending=error|ok", "--tries", "2")
    assert done.returncode == 0, done.stdout
    (final,) = [record for record in read_records(tmp_path)[0] if record.split == "test" and record.role != "base"]
    assert (final.status, final.details["tuning"]["failed"]) == ("ok", 1)


def test_rerun_all_cannot_be_combined_with_tune(toys, tmp_path):
    done = toys(tmp_path, "--tune", "toy.ending=ok|error", "--rerun", "all")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--rerun all and --tune" in done.stderr
