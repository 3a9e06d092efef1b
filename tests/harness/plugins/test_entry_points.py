"""Tasks, metrics, launchers and methods of others, from installed packages and from single files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec
from reports.records.store import read_records

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
WHOLE = '''
from harness.launchers.local import LocalLauncher
from harness.scoring.overlap import ExactMatch
from harness.tasks.splits import build
from methods.base import Example, Limits
from methods.toy import Toy


class Parrot(Toy):
    """A method."""

    name = "parrot"
    summary = "a method of someone else's"
    role = "candidate"


class Shout(ExactMatch):
    """A metric."""

    name = "shout"
    summary = "a metric of someone else's"


class Louder(LocalLauncher):
    """A launcher: the local one, which also leaves a mark."""

    name = "louder"
    summary = "a launcher of someone else's"

    def launch(self, request, log, on_event):
        log.with_name("marked").touch()
        return super().launch(request, log, on_event)


def fruit(request):
    """Names of fruit, as a task of someone else's.

    More of it.
    """
    request.refuse("test", "input_field", "target_fields")
    examples = [Example(f"f{i}", f"fruit {i}", (f"pear {i}",)) for i in range(12)]
    splits = {"train": examples[:6], "validation": examples[6:8], "test": examples[8:]}
    return build(request, splits, templates=("What? {input}",), limits=Limits(64, 8))


TASKS = {"fruit": fruit}
'''
POINTS = {
    "harness.methods": {"parrot": "others_whole:Parrot"},
    "harness.metrics": {"shout": "others_whole:Shout"},
    "harness.launchers": {"louder": "others_whole:Louder"},
    "harness.tasks": {"fruit": "others_whole:fruit"},
}
NO_CHOICE = ["--model", "toy", "--task", "fruit", "--methods", "parrot", "--launcher", "louder", "--budget", "steps=3"]


def harness(*arguments, site=None):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


@pytest.fixture(params=["installed", "file"])
def brought(request, install, tmp_path):
    """(flags, search path) that make all of the above known."""
    if request.param == "installed":
        return [], str(install("others-whole", POINTS, others_whole=WHOLE))
    (tmp_path / "mine.py").write_text(WHOLE)
    return ["--plugin", tmp_path / "mine.py"], None


def test_all_four_kinds_are_listed_and_run(brought, tmp_path):
    flags, site = brought
    for what, line in (
        ("methods", "parrot a method of someone else's"),
        ("metrics", "shout a metric of someone else's"),
        ("launchers", "louder a launcher of someone else's"),
        ("tasks", "fruit Names of fruit, as a task of someone else's."),
    ):
        listed = harness("list", what, *flags, site=site)
        assert listed.returncode == 0, listed.stderr
        assert line.split(maxsplit=1) in [text.split(maxsplit=1) for text in listed.stdout.splitlines()]
        assert "toy" not in [text.split()[0] for text in listed.stdout.splitlines()]
    out = tmp_path / "run"
    done = harness("run", *NO_CHOICE, *flags, "--out", out, site=site)  # the toy has no test of other metrics
    assert done.returncode == 0, done.stderr
    records = {record.variant: record for record in read_records(out)[0]}
    assert records.keys() == {"base", "parrot"}
    assert {record.task.name for record in records.values()} == {"fruit"}
    assert records["parrot"].task.examples == {"train": 6, "validation": 2, "test": 4}
    rows = [json.loads(line) for line in (out / "predictions" / f"{records['parrot'].trial_id}.jsonl").open()]
    assert [row["references"] for row in rows] == [[f"pear {i}"] for i in range(8, 12)]
    assert (out / "logs" / "marked").exists()
    done = harness("run", *NO_CHOICE, *flags, "--out", tmp_path / "scored", "--metrics", "shout", site=site)
    assert done.returncode == 0, done.stderr
    assert all("exact_match" in record.metrics for record in read_records(tmp_path / "scored")[0])


def test_the_launcher_is_no_part_of_what_a_trial_is(install):
    install("others-whole", POINTS, others_whole=WHOLE)
    ids = [
        [
            trial.trial_id
            for trial in make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy", **more})).trials
        ]
        for more in ({}, {"launcher": "local"}, {"launcher": "louder"})
    ]
    assert ids[0] == ids[1] == ids[2]


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command which is refused; gives the sentence."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments):
        assert main(["run", "--model", "toy", "--methods", "toy", *arguments]) == 2
        sentence = capsys.readouterr().err
        assert sentence.startswith("error: ")
        assert sentence.count("\n") == 1
        assert not (tmp_path / "runs").exists()
        return sentence

    return refused


HEAD = """
import dataclasses
from harness.tasks import toy
from harness.request import TaskRequest

def whole(request):
    return dataclasses.replace(toy.load(TaskRequest("toy")), name="mine")

def changed(**fields):
    return dataclasses.replace(whole(None), **fields)
"""


@pytest.mark.parametrize(
    ("loader", "sentence"),
    [
        ("load = 5", "others_task:load is not a function that takes a TaskRequest"),
        ("class load: pass", "others_task:load is not a function"),
        ("def load(): pass", "others_task:load does not take one argument, the TaskRequest"),
        ("def load(a, b): pass", "does not take one argument"),
        (
            "def loaf(request): pass",
            "task 'mine' (others_task:load) cannot be imported: module 'others_task' has no attr",
        ),
        ("1 / 0", "task 'mine' (others_task:load) cannot be imported: division by zero"),
        ("def load(request): raise KeyError('no\\nfile')", "the task 'mine' cannot be loaded: KeyError: 'no"),
        (
            "def load(request): return 5",
            "the task 'mine' is invalid: the loader gave int, not harness.tasks.Task",
        ),
        ("def load(request): return changed(name='other')", "it calls itself 'other'"),
        ("def load(request): return changed(train=[])", "train is not a tuple of examples"),
        ("def load(request): return changed(test=('x',))", "test is not a tuple of examples"),
        ("def load(request): return changed(test=())", "test has no examples"),
        ("def load(request): return changed(train=whole(0).train * 2)", "train has examples with the same id"),
        (
            "def load(request): return changed(train=(dataclasses.replace(whole(0).train[0], references=()),))",
            "the example 'toy-0' of train has no reference",
        ),
        ("def load(request): return changed(templates=('no place',))", "templates are not phrasings with {input} once"),
        ("def load(request): return changed(limits=(3, 4))", "its limits are not two numbers of tokens above 0"),
        ("def load(request): return changed(fingerprint='0' * 64)", "its fingerprint is not that of its examples"),
        ("def load(request): request.refuse('data'); return whole(0)", "task 'mine' takes no --data"),
    ],
)
def test_a_broken_task_gets_one_sentence_and_breaks_nothing_else(install, refused, capsys, loader, sentence):
    install("others-task", {"harness.tasks": {"mine": "others_task:load"}}, others_task=f"{HEAD}\n{loader}\n")
    assert sentence in refused("--task", "mine", "--data", "x")
    assert main(["list", "tasks"]) == 0
    listed = capsys.readouterr().out
    assert "generated dialogues and summaries" in listed
    assert "\nmine " in listed
    make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy"}))


LAUNCHER = """
from harness.launchers.base import Launcher
from harness.launchers.local import LocalLauncher

class Mine(Launcher):
    name = "mine"
    summary = "x"
    def __init__(self, timeout=None, interruption=None):
        {begin}
    def launch(self, request, log, on_event):
        {launch}
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Mine = dict", "others_launcher:Mine is not a subclass of harness.launchers.base.Launcher"),
        (LAUNCHER.replace("def launch", "def start").format(begin="pass", launch="pass"), "does not define launch"),
        (LAUNCHER.replace('"mine"', '"other"').format(begin="pass", launch="pass"), "calls itself 'other'"),
        (LAUNCHER.replace('"x"', '""').format(begin="pass", launch="pass"), "others_launcher:Mine has no summary"),
    ],
)
def test_a_class_that_is_no_launcher_gets_one_sentence(install, refused, capsys, text, sentence):
    install("others-launcher", {"harness.launchers": {"mine": "others_launcher:Mine"}}, others_launcher=text)
    assert sentence in refused("--task", "toy", "--launcher", "mine")
    assert main(["list", "launchers"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("local  on this machine")
    assert listed[1].startswith("mine   cannot be used: ")
    assert sentence in listed[1]


def test_a_launcher_that_there_is_not_gets_the_nearest(refused):
    assert "unknown launcher 'locall' (did you mean local?)" in refused("--task", "toy", "--launcher", "locall")


@pytest.mark.parametrize(
    ("begin", "launch", "code", "sentence"),
    [
        ("1 / 0", "pass", 2, "the launcher 'mine' cannot start: ZeroDivisionError: division by zero"),
        ("pass", "1 / 0", 1, "the launcher mine failed: ZeroDivisionError: division by zero"),
        ("pass", "return {'status': 'ok'}", 1, "the launcher mine returned dict, not an outcome"),
    ],
)
def test_a_launcher_that_fails_costs_its_trials_alone(install, tmp_path, begin, launch, code, sentence):
    text = LAUNCHER.format(begin=begin, launch=launch)
    site = install("others-launcher", {"harness.launchers": {"mine": "others_launcher:Mine"}}, others_launcher=text)
    flags = ["--model", "toy", "--task", "toy", "--methods", "toy", "--launcher", "mine", "--out", tmp_path / "run"]
    done = harness("run", *flags, site=str(site))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if code == 2:
        assert sentence in done.stderr
        return
    records = read_records(tmp_path / "run")[0]
    assert [(record.status, record.message) for record in records] == [("error", sentence)] * 2


def test_a_clash_in_one_group_costs_no_name_but_its_own(install, refused, capsys):
    points = {
        group: {name: "others_whole:Parrot"} for group, name in (("harness.methods", "lora"), ("harness.tasks", "file"))
    }
    install("others-whole", points, others_whole=WHOLE)
    clash = "the method name 'lora' is taken twice: by methods.adapters.lora:LoRA and by others_whole:Parrot"
    assert clash in refused("--task", "toy", "--methods", "lora")
    assert "'file' is taken twice: by harness.tasks.file:load and by others_whole:Parrot" in refused("--task", "file")
    for what, name, other in (("methods", "lora", "qlora"), ("tasks", "file", "e2e"), ("metrics", None, "rouge")):
        assert main(["list", what]) == 0
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert "cannot be used" not in lines[other]
        assert name is None or "cannot be used: the " in lines[name]
    make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy"}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("TASKS = 5", "TASKS is not a table of names and functions"),
        ("TASKS = {1: print}", "TASKS is not a table of names and functions"),
        ("TASKS = {'mine': 5}", "mine.py:TASKS is not a function that takes a TaskRequest"),
        ("TASKS = {'file': lambda request: None}", "the task name 'file' is taken twice: by harness.tasks.file:load "),
        ("TASKS = {'a b': lambda request: None}", "is registered as 'a b'; use letters, digits"),
        (WHOLE.replace('"shout"', '"chrf"'), "the metric name 'chrf' is taken twice: by harness.scoring.sacrebleu_"),
        (WHOLE.replace('"louder"', '"local"'), "the launcher name 'local' is taken twice: by harness.launchers.local:"),
        (WHOLE.replace("(Toy)", "(Method)").replace("from methods.base import", "from methods.base import Method,"),
         "mine.py:Parrot does not define prepare"),
    ],
)  # fmt: skip
def test_a_file_that_brings_something_bad_is_refused_as_a_whole(refused, tmp_path, text, sentence):
    (tmp_path / "mine.py").write_text(text)
    assert sentence in refused("--task", "toy", "--plugin", "mine.py")
    assert "unknown method 'parrot'" in refused("--task", "toy", "--methods", "parrot")


COMMON = """
from abc import abstractmethod
from methods.toy import Toy

class Common(Toy):
    role = "candidate"
    @abstractmethod
    def word(self): ...

class Parrot(Common):
    name = "parrot"
    summary = "x"
    word = print
"""


def test_what_the_classes_of_a_file_have_in_common_is_no_plugin(tmp_path):
    (tmp_path / "mine.py").write_text(COMMON)
    listed = harness("list", "methods", "--plugin", tmp_path / "mine.py")
    assert ["parrot", "x"] in [line.split() for line in listed.stdout.splitlines()]
    assert "ommon" not in listed.stdout


def test_a_file_to_list_that_is_no_plugin_is_refused(capsys):
    assert main(["list", "methods", "--plugin", "nowhere.py"]) == 2
    assert capsys.readouterr().err == "error: the plugin file nowhere.py does not exist\n"


def test_a_change_anywhere_in_the_package_of_a_method_makes_other_trials(install):
    site = install("others-package", {"harness.methods": {"parrot": "others_package.parrot:Parrot"}})
    package = site / "others_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "words.py").write_text("WORD = 1\n")
    head = "from methods.toy import Toy\nfrom others_package.words import WORD\n"
    (package / "parrot.py").write_text(f'{head}\nclass Parrot(Toy):\n    name = "parrot"\n    summary = "x"\n')

    def ids():
        spec = build_spec({"model": "toy", "task": "toy", "methods": "parrot,toy"})
        return [trial.trial_id for trial in make_plan(spec).trials]

    before = ids()
    (package / "words.py").write_text("WORD = 2\n")
    base, parrot, toy = ids()
    assert (base, toy) == (before[0], before[2])
    assert parrot != before[1]


def test_the_documented_task_and_launcher_run(tmp_path):
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    flags = []
    for index, code in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)):
        (tmp_path / f"plugin{index}.py").write_text(code)
        flags += ["--plugin", tmp_path / f"plugin{index}.py"]
    assert len(flags) == 4
    chosen = ["--model", "toy", "--task", "capitals", "--methods", "toy", "--launcher", "polite", "--budget", "steps=3"]
    done = harness("run", *chosen, *flags, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    records = read_records(tmp_path / "run")[0]
    assert {record.task.name for record in records} == {"capitals"}
    assert {record.status for record in records} == {"ok"}
