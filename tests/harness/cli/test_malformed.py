"""Malformed flags and YAML files: exit code 2, one sentence, no traceback, nothing written.

Each property breaks something valid in a known way, and sends it through the command line in this process. The last
two methods of every request are the same, which planning refuses at its very end: a request that turned out to be
valid is known by that sentence, does not count, and starts nothing.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from harness.spec.spec import KEYS

from .malformed import DOCUMENTS, ODD, RUBBISH, TEXT, TOY, TWINS, check_counts, damage, examples

FILE = ("run", "--model=toy", "--task=file", "--input-field=text", "--target-field=label", f"--methods={TWINS}")
AT_LEAST = 1_300

pytestmark = [pytest.mark.slow, pytest.mark.own]

FLAGS = sorted("--" + key.replace("_", "-").replace("target-fields", "target-field") for key in KEYS - {"methods"})
SWITCHES = ("--allow-unusable", "--keep-checkpoints", "--save-models", "--trust-remote-code")


@examples(400)
@given(flags=st.lists(st.tuples(st.sampled_from(FLAGS), TEXT | ODD), min_size=1, max_size=3))
def test_flags(refuse, flags):
    refuse(*TOY, f"--methods={TWINS}", *(f"{flag}={value}" for flag, value in flags))


@examples(60)
@given(name=TEXT, value=st.lists(TEXT, max_size=1))
def test_unknown_flags(refuse, name, value):
    refuse(*TOY, f"--methods={TWINS}", f"--x{name}", *value)


@pytest.mark.parametrize("out", ["a\0b", "\ud800", "x" * 300, "/dev/null/x", "a\n\0b"])
def test_impossible_run_directories(refuse, out):
    assert "--out" in refuse("run", "--model=toy", "--task=toy", "--methods=toy", f"--out={out}")


@examples(60)
@example(flag="--data", path="a\nb.csv")
@example(flag="--model", path="~nobody-here")
@given(flag=st.sampled_from(["--data", "--test", "--config", "--model"]), path=TEXT | ODD)
def test_missing_files(refuse, flag, path):
    refuse(*FILE, f"--data={__file__}" if flag == "--test" else "--data=none.csv", f"{flag}={path}")


PIECE = st.sampled_from(
    ["toy", "lora", "base", "r", "rr", "ending", "warmup", "=", "=x", "[", "]", "|", ",", ".", " ", "1"]
)


@examples(200)
@given(pieces=st.lists(PIECE | TEXT, min_size=1, max_size=8))
def test_methods(refuse, pieces):
    refuse(*TOY, f"--methods={''.join(pieces)},{TWINS}")


@examples(150)
@example(value=[{"lora": []}])
@example(value=[{"toy": {"warmup": []}}])
@given(value=st.lists(st.dictionaries(PIECE | TEXT, RUBBISH, min_size=1, max_size=2), min_size=1, max_size=2))
def test_methods_in_yaml(refuse, tmp_path, value):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.dump({**REQUEST, "methods": [*value, *TWINS.split(",")]}), encoding="utf-8", errors="replace")
    refuse("run", f"--config={path}")


@examples(150)
@given(pieces=st.lists(PIECE | TEXT | ODD, max_size=5))
def test_settings_of_methods(refuse, pieces):
    refuse(*TOY, f"--methods={TWINS}", f"--set={''.join(pieces)}")


# YAML

REQUEST = {
    "model": "toy",
    "task": "toy",
    "methods": TWINS.split(","),
    "seeds": [0, 1],
    "budget": {"steps": 3},
    "batch_size": 4,
    "set": {"toy.learning_rate": 0.1},
    "trial_timeout": 60,
}


@examples(300)
@given(changes=st.dictionaries(st.sampled_from(sorted(KEYS)) | TEXT, RUBBISH, min_size=1, max_size=2))
def test_yaml_of_other_values(refuse, tmp_path, changes):
    path = tmp_path / "spec.yaml"
    # ASCII with escapes: what is half a pair, or no character at all, still reaches the reader.
    path.write_text(yaml.dump({**REQUEST, **changes}, Dumper=yaml.SafeDumper), encoding="utf-8", errors="replace")
    refuse("run", f"--config={path}")


WHOLE = yaml.safe_dump(REQUEST).encode()


@examples(300)
@given(content=damage(WHOLE) | DOCUMENTS | st.binary(max_size=40) | TEXT.map(lambda t: t.encode("utf-8", "ignore")))
def test_damaged_yaml(refuse, tmp_path, content):
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    refuse("run", f"--config={path}", f"--methods={TWINS}", "--model=toy", "--task=toy")


def test_enough_inputs_were_refused_and_none_ended_in_a_traceback(capsys):
    check_counts(globals(), AT_LEAST, capsys)
