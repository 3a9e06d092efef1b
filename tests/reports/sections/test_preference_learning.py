"""What reports say of methods that learn from preferences or rewards, against known numbers and golden files."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import random
import re
from pathlib import Path

import pytest

from reports.leaderboard import compare, render, write
from reports.records.metrics import LEARNING_CURVES, METRICS, PREFERENCE_LEARNING
from reports.records.record import Phase, dump, load
from reports.records.store import RunStore
from reports.sections.page import build_sections

GOLDEN = Path(__file__).parents[1] / "golden" / "rlhf"
MIB = 1 << 20
REWARDED = {
    "reward_start": -0.4, "reward_final": 0.8, "reward_gain_sd": 1.25, "policy_kl": 7.5, "policy_entropy": 0.41,
    "policy_response_tokens": 21.5, "policy_unended_percent": 1.5, "pair_accuracy": 0.87, "pair_margin": 1.9,
    "pair_calibration_error": 0.04,
    "reference_wins_start": 0.81, "reference_wins_final": 0.7,
    "reward_agreement_start": 0.66, "reward_agreement_final": 0.65,
    "preference_accuracy_start": 0.61, "preference_accuracy_final": 0.7, "heldout_quality_start": 0.55,
    "heldout_quality_final": 0.56, "sampled_tokens_per_second": 3120.0, "learned_tokens_per_second": 8700.0,
}  # fmt: skip
TUNED = {name: REWARDED[name] for name in REWARDED if name.startswith(("preference_accuracy", "heldout_quality"))}
CURVE = [{"step": step, "reward": step / 10 - 0.4, "kl": step / 2, "loss": 0.1} for step in range(1, 13)]
BENT = [{**point, "reward": 0.7 - (12 - point["step"]) ** 2 / 100} for point in CURVE]


def phases(*stages):
    inner = {
        f"train.{name}": Phase(seconds=10.0 * number, peak_host_bytes=700 * MIB, peak_tensor_bytes=(100 + number) * MIB)
        for number, name in enumerate(stages, start=1)
    }
    return {"load": Phase(seconds=2.5), "train": Phase(seconds=61.5, peak_host_bytes=700 * MIB), **inner}


@pytest.fixture
def rlhf(make):
    """A function that makes a record of `rlhf`; `metrics` and `details` are merged over sensible ones."""

    def make_rlhf(variant="rlhf", *, metrics=None, details=None, **fields):
        told = {
            "preferences": {"derived": True, "train": {"cut": 3}, "heldout": {"cut": 1}},
            "warm_start": {"from": "its own, 50% of the budget"},
            "reward": {"name": "reward model", "curve": CURVE[:2]},
            "policy": {"algorithm": "rloo", "curve": CURVE},
        }
        fields = {"phases": phases("warm_start", "preferences", "reward_model", "policy"), **fields}
        return make(variant, metrics={**REWARDED, **(metrics or {})}, details={**told, **(details or {})}, **fields)

    return make_rlhf


@pytest.fixture
def records(make, rlhf):
    """Base, LoRA, RLHF of two seeds that began with it, a hacked variant with a hostile name, and DPO of two seeds."""
    tuned = {"preferences": {"derived": True}, "warm_start": {"from": "its own, 50% of the budget"},
             "preference_tuning": {"loss": "dpo", "curve": CURVE[:3]}}  # fmt: skip
    dpo = {"details": tuned, "phases": phases("warm_start", "preferences", "preference_tuning")}
    hacked = {"heldout_quality_final": 0.5, "reward_agreement_final": 0.5, "pair_accuracy": 0.58}
    given = {"preferences": {"derived": False}, "reward": {"name": "<b>module</b>:function"}}
    return [
        make("base", metrics={"rougeL": 0.1}),
        *(make("lora", seed=seed, metrics={"rougeL": 0.5 + seed / 50}) for seed in (0, 1)),
        *(
            rlhf(seed=seed, metrics={"rougeL": 0.55, "policy_kl": 7.0 + seed},
                 details={"warm_start": {"from": f"lora seed {seed}"}, "policy": {"curve": BENT if seed else CURVE}})
            for seed in (0, 1)
        ),
        rlhf("rlhf[<i>|kl=0]", metrics={"rougeL": 0.45, **hacked}, details=given),
        *(make("dpo", seed=seed, metrics={"rougeL": 0.56, **TUNED}, **dpo) for seed in (0, 1)),
    ]  # fmt: skip


def part(text, heading):
    """The lines of a Markdown table below a heading, as cells."""
    block = text.split(f"{heading}\n\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]


def warned(*trials):
    (section,) = build_sections(compare(trials))
    return [warning for warning in section.warnings if "cut to" not in warning]


def test_the_reports_are_the_golden_files(records, request):
    files = render(records)
    assert set(files) == {"leaderboard.md", "leaderboard.html", "leaderboard.csv", "records.csv", "reward-kl.svg",
                          "trade-offs.svg", "differences.csv"}  # fmt: skip
    for name, text in files.items():
        if request.config.getoption("--update-golden", default=False):
            (GOLDEN / name).write_text(text, encoding="utf-8", newline="")
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), f"{name} differs; --update-golden writes it anew"


def test_the_reports_are_the_same_every_time_and_from_files(records):
    wanted = render(records)
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert render([load(dump(record)) for record in records]) == wanted


def test_rows_without_any_of_it_bring_no_part_and_no_columns(make):
    files = render([make("base"), make("lora", phases=phases("warm_start"), details={"adapter": {"r": 8}})])
    assert set(files) == {"leaderboard.md", "leaderboard.html", "leaderboard.csv", "differences.csv", "records.csv"}
    assert "Preference learning" not in files["leaderboard.md"] + files["leaderboard.html"]
    assert "<svg" not in files["leaderboard.html"]
    columns = {name.removeprefix("metrics.") for f in ("leaderboard.csv", "records.csv") for name in header(files[f])}
    assert not columns & PREFERENCE_LEARNING


def header(text):
    return next(csv.reader(io.StringIO(text)))


def test_the_grids_hold_means_over_seeds(records):
    text = render(records)["leaderboard.md"]
    head, _, dpo, rlhf, other = part(text, "#### Reward and policy")
    assert head == ["method", "reward from", "warm start", "reward", "gain (sd)", "KL (nats)", "entropy (nats/token)",
                    "response tokens", "unended %"]  # fmt: skip
    assert dpo == ["dpo", "", "its own, 50% of the budget", *[""] * 6]
    assert rlhf == ["rlhf", "reward model", "lora seed 0; lora seed 1", "-0.400 → 0.800", "+1.25", "7.50", "0.410",
                    "21.5", "1.50"]  # fmt: skip
    assert other[1] == "\\<b>module\\</b>:function"
    head, _, dpo, rlhf, other = part(text, "#### What the judge is worth")
    assert dpo == ["dpo", "", "", "", "", "", "0.610 → 0.700", "0.550 → 0.560"]
    assert rlhf == [
        *("rlhf", "0.870", "1.900", "0.040", "0.810 → 0.700"),
        *("0.660 → 0.650", "0.610 → 0.700", "0.550 → 0.560"),
    ]


def test_columns_that_nobody_measured_are_left_out(make):
    record = make("dpo", metrics=TUNED, details={"warm_start": {"from": "lora seed 0"}})
    text = render([record])["leaderboard.md"]
    assert part(text, "#### What the judge is worth")[0] == ["method", "preference accuracy", "held-out ROUGE-L"]
    assert part(text, "#### Reward and policy")[0] == ["method", "warm start"]
    assert "#### Stages of training" not in text


def test_a_change_is_over_the_seeds_that_measured_both_ends(rlhf):
    both = rlhf(seed=0, metrics={"reward_start": 1.0, "reward_final": 2.0})
    half = rlhf(seed=1, metrics={"reward_start": 9.0, "reward_final": None})
    assert "| 1.000 → 2.000 |" in render([both, half])["leaderboard.md"]
    assert "| 9.000 → |" in re.sub(" +", " ", render([half])["leaderboard.md"])


def test_stages_stand_in_the_order_of_the_pipeline(rlhf):
    first = rlhf(seed=0, phases=phases("warm_start", "preferences", "reward_model", "policy", "aftermath"))
    second = rlhf(seed=1, phases={**first.phases, "train.policy": Phase(seconds=50.0, peak_host_bytes=900 * MIB)})
    head, _, *lines = part(render([first, second])["leaderboard.md"], "#### Stages of training")
    assert head == ["method", "stage", "time", "peak tensors (CPU)", "peak host", "sampled tokens/s",
                    "learned tokens/s"]  # fmt: skip
    assert [line[1] for line in lines] == ["warm start", "preferences", "reward model", "policy", "aftermath"]
    assert lines[3] == ["rlhf", "policy", "45 s", "104 MiB", "800 MiB", "3,120", "8,700"]
    assert lines[0] == ["rlhf", "warm start", "10 s", "101 MiB", "700 MiB", "", ""]


def test_stages_count_in_training_and_not_twice(rlhf):
    text = render([rlhf()])["leaderboard.md"]
    assert part(text, "### Ranking")[2][-2] == "1 min 02 s"
    (row,) = csv.DictReader(io.StringIO(render([rlhf()])["leaderboard.csv"]))
    assert row["train_seconds"] == "61.5"


def test_derived_preferences_are_said_at_the_top(records):
    text = render(records)["leaderboard.md"]
    said = "> dpo, rlhf: derived preferences, no human judged them."
    assert said in text[: text.index("### What was compared")]
    assert "derived preferences" not in render(records[5:6])["leaderboard.md"]


@pytest.mark.parametrize(
    ("metrics", "fall"),
    [
        ({"heldout_quality_final": 0.5}, "held-out ROUGE-L falls from 0.550 to 0.500"),
        ({"preference_accuracy_final": 0.5}, "preference accuracy falls from 0.610 to 0.500"),
        ({"reward_agreement_final": 0.4}, "agreement with ROUGE-L falls from 0.660 to 0.400"),
        (
            {"heldout_quality_final": 0.5, "reward_agreement_final": 0.4},
            "held-out ROUGE-L falls from 0.550 to 0.500 and agreement with ROUGE-L falls from 0.660 to 0.400",
        ),
    ],
)
def test_a_reward_that_rises_while_the_answers_get_worse_is_warned_of(rlhf, metrics, fall):
    end = "the policy may be exploiting the reward (reward hacking)."
    assert warned(rlhf(metrics=metrics)) == [f"rlhf: reward rises from -0.400 to 0.800 while {fall}; {end}"]


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"heldout_quality_final": 0.53},  # by 0.02, which is tolerated
        {"preference_accuracy_final": 0.56, "reward_agreement_final": 0.51},  # by 0.05 and 0.15
        {"heldout_quality_final": 0.2, "reward_final": -0.4},  # no reward gained
        {"heldout_quality_final": 0.2, "reward_final": -0.9},
        {"heldout_quality_final": 0.2, "reward_final": None},
        {"heldout_quality_final": 0.2, "heldout_quality_start": None},
    ],
)
def test_no_warning_where_nothing_falls_or_no_reward_rises(rlhf, metrics):
    assert warned(rlhf(metrics=metrics)) == []


def test_a_warning_is_of_means_over_seeds(rlhf):
    falling, rising = {"heldout_quality_final": 0.5}, {"heldout_quality_final": 0.6}
    assert warned(rlhf(seed=0, metrics=falling), rlhf(seed=1, metrics=rising)) == []
    assert len(warned(rlhf(seed=0, metrics=falling), rlhf(seed=1, metrics={"heldout_quality_final": 0.55}))) == 1


def test_a_reward_model_close_to_chance_is_warned_of(rlhf):
    assert warned(rlhf(metrics={"pair_accuracy": 0.6})) == []
    assert warned(rlhf(metrics={"pair_accuracy": 0.59})) == [
        "rlhf: the reward model ranks only 0.590 of the held-out pairs right (chance is 0.5); a reward from it says "
        "little."
    ]


def test_html_and_markdown_say_the_same(records):
    files = render(records)
    page = html.unescape(files["leaderboard.html"]).replace("ROUGE‑", "ROUGE-")
    (section,) = build_sections(compare(records))
    shown = next(part for part in section.chapters if part.heading == "Preference learning")
    texts = [
        *section.notes,
        *shown.footnotes,
        shown.figures[0].caption,
        shown.figures[0].plot.description,
        *section.warnings,
    ]
    for heading, grid in shown.grids:
        texts += [heading, *grid.header, *(text for row in grid.rows for text in row)]
    assert [text for text in texts if text not in page] == []
    plain = re.sub(r"\\(?=[<|\[\]])", "", files["leaderboard.md"])
    assert [text for text in texts if text not in plain] == []


def test_the_page_loads_nothing_and_names_break_out_of_nothing(records):
    files = render(records)
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?:", files["leaderboard.html"])
    for name in ("leaderboard.html", "reward-kl.svg"):
        assert "<i>" not in files[name]
        assert "<b>module" not in files[name]
    images = re.findall(r"!\[((?:[^\]\\]|\\.)*)\]\(([^)]*)\)", files["leaderboard.md"])
    assert [file for _, file in images] == ["trade-offs.svg", "reward-kl.svg"]
    assert "rlhf seed 1: from -0.510 at 0.50 nats to 0.700 at 6.00 nats." in images[1][0]
    assert "rlhf\\[\\<i>|kl=0\\] seed 0: from" in images[1][0]


def test_the_plot_is_linked_only_where_it_is_and_an_old_one_goes(make, rlhf, tmp_path):
    store = RunStore(tmp_path)
    store.add(make("lora"))
    (tmp_path / "reward-kl-mine.svg").write_text("kept")
    assert "reward-kl.svg" not in {path.name for path in write([tmp_path], tmp_path).paths}
    store.add(rlhf())
    assert (tmp_path / "reward-kl.svg") in write([tmp_path], tmp_path).paths
    assert (tmp_path / "reward-kl.svg").read_text(encoding="utf-8").startswith("<svg ")
    (tmp_path / "reward-kl-2.svg").write_text("stale")
    store.add(rlhf(details={"policy": {}}), replace=True)
    paths = write([tmp_path], tmp_path).paths
    assert sorted(path.name for path in tmp_path.glob("reward*.svg")) == ["reward-kl-mine.svg"]
    assert all(path.is_file() for path in paths)
    assert "reward-kl" not in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_every_table_has_a_plot_of_its_own(rlhf, make):
    trials = [rlhf(), rlhf("ppo", budget={"unit": "steps", "amount": 9.0}), make("full", budget={"unit": "minutes"})]
    files = render(trials)
    plots = sorted(name for name in files if name.endswith(".svg"))
    assert len(plots) == 2
    assert re.findall(r"\]\((reward-kl-\d\.svg)\)", files["leaderboard.md"]) == plots
    assert [">ppo<" in files[name] for name in plots].count(True) == 1


@pytest.mark.parametrize(
    "details",
    [
        {"policy": None, "reward": "rouge", "warm_start": 3, "preferences": []},
        {"policy": {"curve": None}, "reward": {"name": None}, "warm_start": {"from": ["x"]}, "preferences": {}},
        {"policy": {"curve": {"step": 1}}, "reward": {"name": 3, "curve": "x"}, "preferences": {"derived": "yes"}},
        {"policy": {"curve": [None, 1, "x", [], {}, {"kl": 1.0}, {"kl": "1", "reward": 2}]}},
        {
            "policy": {
                "curve": [{"kl": True, "reward": 1.0}, {"kl": 10**400, "reward": 1.0}, {"kl": 1, "reward": 1e300}]
            }
        },
        {"policy": [{"kl": 1.0, "reward": 1.0}]},
    ],
)
def test_details_of_another_shape_are_not_read_and_break_nothing(rlhf, details):
    files = render([load(dump(rlhf(details=details)))])
    assert not [name for name in files if name.endswith(".svg")]
    assert "-0.400 → 0.800" in files["leaderboard.md"]
    if "preferences" in details:
        assert "no human judged" not in files["leaderboard.md"]


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ([{"kl": 1, "reward": 2}], "from 2.000 at 1.00 nats to 2.000 at 1.00 nats"),
        ([{"kl": 0.0, "reward": 0.5}] * 3, "from 0.500 at 0.00 nats to 0.500 at 0.00 nats"),
        (
            [
                {"kl": 0.0, "reward": None},
                {"kl": 1.0, "reward": 0.5},
                {"kl": None, "reward": 9.0},
                {"kl": 2, "reward": 1},
            ],
            "from 0.500 at 1.00 nats to 1.000 at 2.00 nats",
        ),
    ],
)
def test_short_level_and_broken_curves_are_drawn(rlhf, curve, said):
    assert said in render([rlhf(details={"policy": {"curve": curve}})])["leaderboard.md"]


def test_a_curve_alone_is_shown(make):
    files = render([make("plugin", details={"policy": {"curve": CURVE}})])
    assert "](reward-kl.svg)" in files["leaderboard.md"]
    assert "#### Reward and policy" not in files["leaderboard.md"]


def test_a_failed_trial_has_no_numbers_here(rlhf, make):
    trial = dataclasses.replace(rlhf(), status="error", message="pair accuracy 0.52 is below 0.55", phase="train")
    files = render([trial, make("lora")])
    assert "Preference learning" not in files["leaderboard.md"]
    assert "pair accuracy 0.52 is below 0.55" in files["leaderboard.md"]


def test_csv_has_the_metrics_and_the_lengths_of_curves(records):
    files = render(records)
    rows = {row["variant"]: row for row in csv.DictReader(io.StringIO(files["leaderboard.csv"]))}
    assert set(METRICS) - LEARNING_CURVES <= set(rows["rlhf"])
    assert (rows["rlhf"]["policy_kl"], rows["dpo"]["policy_kl"], rows["lora"]["policy_kl"]) == ("7.5", "", "")
    trials = [row for row in csv.DictReader(io.StringIO(files["records.csv"])) if row["variant"] == "rlhf"]
    assert {row["details.policy.curve"] for row in trials} == {"12"}
    assert {row["details.reward.curve"] for row in trials} == {"2"}
    assert {row["phases.train.policy.seconds"] for row in trials} == {"40.0"}
    assert {row["details.warm_start.from"] for row in trials} == {"lora seed 0", "lora seed 1"}
    assert {row["metrics.policy_kl"] for row in trials} == {"7.0", "8.0"}
