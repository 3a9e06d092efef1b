"""The shipped models are what their provenance says, and the build makes the same bytes again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.models.embedded import build
from harness.models.embedded.architectures import ARCHITECTURES, make_model, make_tokenizer
from harness.models.embedded.build import RECIPES, sha256
from harness.models.source import EMBEDDED_FOLDER

ROOT = Path(__file__).resolve().parents[3]
MEGABYTE = 1_000_000


@pytest.fixture(params=ARCHITECTURES)
def shipped(request):
    folder = EMBEDDED_FOLDER / request.param
    return folder, json.loads((folder / "provenance.json").read_text())


def test_weights_and_tokenizer_have_the_recorded_hashes(shipped):
    folder, provenance = shipped
    assert set(provenance["sha256"]) == {"model.safetensors", "tokenizer.json"}
    for name, digest in provenance["sha256"].items():
        assert sha256(folder / name) == digest, name


def test_the_recipe_in_the_code_is_the_one_that_was_used(shipped):
    folder, provenance = shipped
    recipe = RECIPES[folder.name]
    assert provenance["recipe"] == {**vars(recipe)}
    assert provenance["architecture"] == folder.name
    assert f"--architecture {folder.name}" in provenance["command"]
    assert provenance["license"] == "Apache-2.0"


def test_each_model_is_at_most_8_megabytes(shipped):
    folder, _ = shipped
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 8 * MEGABYTE


def test_the_shipped_text_is_the_text_that_the_code_makes(shipped):
    """The corpus is as it was: the tokenizer that is trained on it has the same bytes."""
    folder, provenance = shipped
    tokenizer = make_tokenizer(folder.name, provenance["seed"])
    made = json.loads(tokenizer.backend_tokenizer.to_str())
    kept = json.loads((folder / "tokenizer.json").read_text())
    assert made["model"]["vocab"] == kept["model"]["vocab"]
    assert made["model"]["merges"] == kept["model"]["merges"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_speakers_are_one_token_and_survive_decoding(architecture):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_FOLDER / architecture)
    text = "#Person1#: Hello!\n#Person2# agrees with Zoë."
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert len(tokenizer("#Person2#", add_special_tokens=False)["input_ids"]) == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_planted_heads_copy_before_any_training(architecture):
    """A sequence that comes twice is far likelier with planted heads: below chance is what an untrained model gives."""
    from harness.models.embedded.copying import plant

    class Ids:
        pad_token_id, eos_token_id = 0, 1

        def __len__(self):
            return 1000

    def loss(planted):
        torch.manual_seed(0)
        model = make_model(architecture, Ids()).eval()
        if planted:
            plant(model)
        words = torch.randint(2, 1000, (8, 20))
        ids = torch.cat([words, words], 1) if architecture == "decoder-only" else words
        labels = ids.clone()
        if architecture == "decoder-only":
            labels[:, :21] = -100
        with torch.no_grad():
            return model(input_ids=ids, labels=labels).loss.item()

    assert loss(planted=True) < loss(planted=False) - 0.5


@pytest.mark.own
@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_build_is_deterministic(architecture, tmp_path):
    """In this process, where other models may have been made before, and in a fresh one."""
    digests = []
    for name in ("first", "second"):
        arguments = ["--architecture", architecture, "--out", str(tmp_path / name), "--steps", "3"]
        if name == "first":
            build.main(arguments)
        else:
            command = [sys.executable, "-m", "harness.models.embedded.build", *arguments]
            subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=300)
        provenance = json.loads((tmp_path / name / "provenance.json").read_text())
        digests.append((provenance["sha256"], provenance["pretraining_text_sha256"], provenance["final_loss"]))
    assert digests[0] == digests[1]
