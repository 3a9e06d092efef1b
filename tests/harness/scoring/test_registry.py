"""Finding metrics by name, and what a wrong one gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

import harness.scoring
from harness.errors import MetricError, SpecError
from harness.scoring import registry
from harness.scoring.base import MetricPlugin
from harness.scoring.overlap import ExactMatch
from methods.errors import InvalidSettingError, UnknownKnobError


@pytest.mark.parametrize("name", list(harness.scoring.METRICS))
def test_every_registered_name_is_a_usable_metric(name):
    assert registry.get(name).name == name


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(SpecError, match=r"unknown metric 'exactmatch' \(did you mean exact-match\?\); a function of "):
        registry.build("exactmatch", {})


def test_a_wrong_knob_gets_the_nearest():
    with pytest.raises(UnknownKnobError, match=r"metric 'chrf' has no knob 'order' \(known: none\)"):
        registry.build("chrf", {"order": "3"})
    with pytest.raises(UnknownKnobError, match=r"metric 'embedding-similarity' has no knob 'modle' \(did you mean mod"):
        registry.build("embedding-similarity", {"modle": "x"})
    with pytest.raises(InvalidSettingError, match=r"embedding-similarity\.model: must be text"):
        registry.build("embedding-similarity", {"model": 3})


class Half(MetricPlugin):
    name = "half"
    summary = "x"


class Silent(ExactMatch):
    summary = ""


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (str, "plugin:Thing is not a subclass of harness"),
        (ExactMatch("x"), "plugin:Thing is not a subclass of harness"),
        (Half, "plugin:Thing does not define declares and score"),
        (ExactMatch, "plugin:Thing is registered as 'half' but calls itself 'exact-match'"),
    ],
)
def test_what_is_no_metric_is_refused(found, message):
    with pytest.raises(MetricError, match=message):
        registry.check_metric("half", found, "plugin:Thing")


def test_a_metric_without_a_summary_is_refused():
    with pytest.raises(MetricError, match="plugin:Thing has no summary"):
        registry.check_metric("exact-match", Silent, "plugin:Thing")


def test_a_name_taken_twice_is_refused_with_both_origins(install):
    install("elsewhere", {"harness.metrics": {"chrf": "elsewhere:Chrf"}})
    with pytest.raises(
        MetricError, match=r"taken twice: by harness\.scoring\.sacrebleu_metrics:Chrf and by elsewhere:Chrf"
    ):
        registry.get("chrf")
    assert registry.get("bleu").name == "bleu"


def test_a_plugin_that_cannot_be_imported_breaks_nothing_else(install):
    points = {"gone": "no_such_module_here:Thing", "leaving": "leaves_at_once:Thing"}
    install("bad", {"harness.metrics": points}, leaves_at_once="raise SystemExit(3)")
    found = dict(registry.all_metrics())
    assert "No module named 'no_such_module_here'" in str(found["gone"])
    assert "metric 'leaving' (leaves_at_once:Thing) cannot be imported: 3" in str(found["leaving"])
    assert found["exact-match"] is ExactMatch


def test_the_list_says_what_is_not_installed(install, capsys, monkeypatch):
    from harness.cli import main

    class Absent(ExactMatch):
        name = "absent"
        summary = "needs what is not there"
        package = "no_such_package_here"
        install = "no-such-package"

    monkeypatch.setattr(sys.modules[__name__], "Absent", Absent, raising=False)
    points = {"absent": f"{__name__}:Absent", "gone": "no_such_module_here:Thing"}
    install("absent", {"harness.metrics": points})
    assert main(["list", "metrics"]) == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()}
    assert lines["absent"] == 'needs what is not there (not installed: pip install "no-such-package")'
    assert lines["gone"].startswith("cannot be used: metric 'gone' (no_such_module_here:Thing) cannot be imported: ")
    assert lines["exact-match"] == ExactMatch.summary
    assert lines["rouge"].endswith("always measured, because ROUGE-L ranks")
    assert "MODULE:FUNCTION" in lines


def test_listing_metrics_imports_no_package_of_theirs():
    code = (
        "import sys; from harness.scoring.registry import all_metrics; [found.missing() for _, found in all_metrics()];"
        "print(sorted({'torch', 'sacrebleu', 'rouge_score', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
