"""Every tuner on both families, held against docs/methods.md, so that the page says what the run says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harness.contract import table, tiny
from methods.peft.introspection import read_version
from methods.peft.tuners import find_tuner

PAGE = Path(__file__).resolve().parents[3] / "docs" / "methods.md"
VERSION, DOCUMENTED = table.read_table(PAGE.read_text(encoding="utf-8"))
OLDER = {
    ("mica", "decoder-only"): "Unknown initialization",
    ("mica", "encoder-decoder"): "Unknown initialization",
    ("p_tuning", "encoder-decoder"): "the loss went from",  # to 0.73 of the first, from another random start
}
"""What does not work with the oldest PEFT that is supported, 0.19.0 with Transformers 5.4.0."""
PAIRS = [(tuner, family) for tuner in table.list_tuners() for family in tiny.FAMILIES]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("tuner", "family"), PAIRS)
def test_it_does_what_the_page_says(tuner, family):
    missing = [module for module in find_tuner(tuner).needs if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"without {missing}, which the page had")
    found = table.check_tuner(tuner, family).text
    documented = DOCUMENTED.get((tuner, family), table.WORKS)
    if read_version() == VERSION:
        assert table.mask_numbers(found) == table.mask_numbers(documented)
    elif documented.startswith(table.WORKS):  # another PEFT may do better, not worse
        assert found.startswith(table.WORKS) or OLDER.get((tuner, family), "\0") in found


def test_the_page_names_all_that_is_registered():
    if read_version() != VERSION:
        pytest.skip(f"the page is of PEFT {VERSION}")
    assert set(DOCUMENTED) == set(PAIRS)


def test_most_tuners_work_on_decoder_only_models():
    working = [
        tuner for (tuner, family), text in DOCUMENTED.items() if family == "decoder-only" and text.startswith("works")
    ]
    assert len(working) >= 35


def test_a_table_is_read_as_it_was_written():
    found = [
        table.TunerResult("lora", "decoder-only", "works (learning rate 0.1)"),
        table.TunerResult("lora", "encoder-decoder", "a | b: off by 0.3"),
    ]
    page = table.replace_table(f"x\n{table.BEGIN}\nold\n{table.END}\ny\n", table.format_table(found))
    assert page.startswith("x\n")
    assert page.endswith("y\n")
    assert "old" not in page
    assert table.read_table(page) == (read_version(), {(one.tuner, one.family): one.text for one in found})


def test_sentences_are_compared_without_their_numbers():
    assert table.mask_numbers("off by 1.2e-05 of 3") == table.mask_numbers("off by 8 of 40")
    assert table.mask_numbers("off by 1") != table.mask_numbers("off at 1")


def test_what_is_unsupported_is_told_without_the_tiny_models_name():
    assert table.check_tuner("cpt", "encoder-decoder").text == "unsupported: works on decoder-only models"
    assert not [pair for pair, text in DOCUMENTED.items() if "tiny" in text]


def test_a_tuner_that_fails_is_written_down_with_the_sentence(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(table, "SETTINGS", {"lora": {"learning_rate": 1e-9}})
    assert table.check_tuner("lora", "decoder-only").text.startswith("the loss went from")
