"""`list methods METHOD`: one method with its knobs, their defaults and their help."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main
from methods import METHODS
from methods.knobs import explain_knobs, knob
from methods.registry import build, get

ROOT = Path(__file__).resolve().parents[3]


def list_methods(capsys, *arguments):
    """The lines of a listing, as left column → right column."""
    assert main(["list", "methods", *arguments]) == 0
    return dict(tuple(line.strip().partition("  ")[::2]) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("name", ["lora", "peft:vera", "zero-shot"])
def test_every_knob_is_listed_as_it_is_typed(capsys, name):
    found = list_methods(capsys, name, "--knobs")
    assert found.pop(name).strip() == get(name).summary
    pairs = [line.removeprefix(f"{name}.").split("=", 1) for line in found if line.startswith(f"{name}.")]
    method = build(name)
    assert [knob for knob, _ in pairs] == list(method.settings())
    assert build(name, dict(pairs)).config == method.config
    assert {line: text.strip() for line, text in list_methods(capsys, name).items()} == {name: method.summary}


def test_the_help_of_a_knob_comes_from_the_nearest_class_that_has_one():
    lora, plus, fused = (explain_knobs(get(name).Config) for name in ("lora", "lora-plus", "lomo"))
    assert lora["r"] == "Rank of the update; PEFT's default."
    assert lora["learning_rate"].startswith("Peak learning rate. Default: 2e-4, Dettmers et al. 2023")
    assert plus["r"] == lora["r"]
    assert plus["learning_rate"].startswith("Peak learning rate. Default: 1e-4 for A: half of LoRA's")
    assert plus["lr_ratio"] != lora["lr_ratio"]
    assert "\n" not in fused["learning_rate"]
    vera = explain_knobs(get("peft:vera").Config)
    assert vera["learning_rate"].startswith("Peak learning rate. Default: ")
    assert vera["r"] == "Vera attention dimension"  # PEFT's own text


def test_a_plain_field_has_a_default_and_no_help():
    @dataclass(frozen=True)
    class Config:
        plain: int = 1
        told: int = knob(2, "What it is.", source="a paper.")

    assert Config() == Config(plain=1, told=2)
    assert explain_knobs(Config) == {"plain": "", "told": "What it is. Default: a paper."}


def test_every_knob_of_the_projects_own_methods_is_explained():
    explained = {name: explain_knobs(get(name).Config) for name in METHODS}
    assert len(explained) > 20
    assert not [f"{name}.{knob}" for name, texts in explained.items() for knob, text in texts.items() if not text]


def test_a_wrong_name_gets_the_nearest_one_and_other_lists_take_no_name(capsys):
    assert main(["list", "methods", "lroa", "--knobs"]) == 2
    assert "unknown method 'lroa' (did you mean lora" in capsys.readouterr().err
    assert main(["list", "tasks", "lora"]) == 2
    assert capsys.readouterr().err == "error: list tasks takes no name; only list methods does\n"


def test_a_closed_pipe_prints_no_error():
    command = f"set -o pipefail; {sys.executable} -m harness list methods --knobs | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (141, "", 1)
