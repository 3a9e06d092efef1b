"""`lora` against itself: the real command line trains it under other names, and no difference is significant."""

from __future__ import annotations

import csv

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]  # ten trials, and nobody knows what else is running

TWINS = '''"""LoRA under two other names."""

from methods.adapters.lora import LoRA


class Again(LoRA):
    """The very same training."""

    name = "lora-again"


class Reseeded(LoRA):
    """The same method, whose adapters start from other random numbers."""

    name = "lora-reseeded"

    def prepare(self, model, setting):
        import torch

        torch.manual_seed(setting.seed + 1000)
        return super().prepare(model, setting)
'''


@pytest.fixture(scope="module")
def report(run_here, tmp_path_factory):
    """The folder of a run of three methods that are one, with three seeds each."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "twins.py").write_text(TWINS)
    names = ("lora", "lora-again", "lora-reseeded")
    rates = [flag for name in names for flag in ("--set", f"{name}.learning_rate=6e-3")]
    sizes = ["--budget", "steps=20", "--seeds", "0,1,2", "--test-examples", "40", "--general-text", "none"]
    command = ["run", "--plugin", "twins.py", "--methods", ",".join(names), *rates, *sizes, "--out", "run"]
    done = run_here(*command, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_the_same_training_under_another_name_gives_the_same_and_is_not_significantly_different(report):
    same = difference(report, "lora", "lora-again")
    assert (float(same["difference"]), float(same["p"]), same["told_apart"]) == (0.0, 1.0, "False")


def test_another_start_gives_other_scores_and_is_not_significantly_different(report):
    """The harder case: scores differ, as they do between any two seeds, and the method does not."""
    for name in ("lora", "lora-again"):
        found = difference(report, name, "lora-reseeded")
        assert float(found["difference"]) != 0
        assert found["told_apart"] == "False"


def test_the_leaderboard_gives_them_one_rank_and_says_so(report):
    with (report / "leaderboard.csv").open() as file:
        ranks = {row["method"]: row["rank"] for row in csv.DictReader(file) if row["method"] != "base"}
    assert ranks == {"lora": "1", "lora-again": "1", "lora-reseeded": "1"}
    assert (report / "leaderboard.md").read_text().count("are not significantly different") >= 2


def difference(report, *methods):
    """The line of two methods, whose variants have their learning rate in the name."""
    with (report / "differences.csv").open() as file:
        (found,) = (
            row
            for row in csv.DictReader(file)
            if {row[side].partition("[")[0] for side in ("first", "second")} == set(methods)
        )
    return found
