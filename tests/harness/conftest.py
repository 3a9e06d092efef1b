"""What several tests of the harness need: a plugin with a method of its own, tiny models that score texts, and workers
that can be killed."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness.worker.events
from harness.planning.planner import make_plan
from harness.request import Places, TrialRequest
from harness.spec.spec import build_spec
from harness.worker.stop_signal import StopSignal
from harness.worker.trial import Worker

PLUGIN = Path(__file__).parent / "sample_plugins"


@pytest.fixture
def plugin(install, monkeypatch) -> Iterator[str]:
    """Install the method `follower` for this process; gives the search path that installs it for others."""
    site = install("harness-test-plugin", {"harness.methods": {"follower": "harness_test_plugin:Follower"}})
    monkeypatch.syspath_prepend(PLUGIN)
    yield f"{PLUGIN}:{site}"
    sys.modules.pop("harness_test_plugin", None)


@pytest.fixture(scope="module")
def classifier(tokenizer, tmp_path_factory):
    """Return a function that saves a tiny model for sequence classification and gives its directory."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

    def make(family: str, labels: int = 1, chat_template: str | None = None):
        folder = tmp_path_factory.mktemp(family) / "judge"
        common = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 64,
            "num_labels": labels,
            "initializer_range": 0.5,
        }
        torch.manual_seed(0)
        if family == "bert":
            model = BertForSequenceClassification(BertConfig(**common, pad_token_id=tokenizer.pad_token_id))
        else:
            model = LlamaForSequenceClassification(LlamaConfig(**common, bos_token_id=None, eos_token_id=1))
        model.eval().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if chat_template:
            (folder / "chat_template.jinja").write_text(chat_template)
        return folder, model

    return make


class Killed(BaseException):
    """What becomes of a worker whose events nobody takes any more."""


class Dying(io.StringIO):
    """Takes events until that of a step or phase, then kills who writes."""

    def __init__(self, moment=None):
        super().__init__()
        self.moment = moment

    def write(self, text):
        event = json.loads(text)
        if self.moment is not None and self.moment in (event.get("step"), event.get("name")):
            raise Killed
        return super().write(text)


@pytest.fixture
def place():
    """A function that gives a request its places in a folder."""

    def place(request: TrialRequest, folder: Path) -> TrialRequest:
        names = {"artifacts": "artifacts", "predictions": "predictions", "stages": "stages"}
        names["checkpoint"] = "trial.safetensors"
        return dataclasses.replace(request, places=Places(**{key: str(folder / name) for key, name in names.items()}))

    return place


@pytest.fixture
def make_request(tmp_path, place):
    """A function that makes the request of a small trial, with its places in a folder of this name."""

    def make(method="lora", *, name="trial", every="steps=3", budget="steps=8", **changes):
        few = {"train_examples": 60, "validation_examples": 8, "test_examples": 8}
        # Rows are short, and general text is for tests that look at it: a trial takes a third of the time.
        few |= {"input_tokens": 64, "target_tokens": 8, "general_text": "none"}
        asked = {"methods": method, "budget": budget, "checkpoint_every": every, "save_models": True, "device": "cpu"}
        if changes.get("model") == "toy":  # which has a few rows of a word each
            few = {"general_text": "none"}
        request = make_plan(build_spec({**few, **asked, **changes})).trials[1].request
        return place(request, tmp_path / name)

    return make


@pytest.fixture
def work(monkeypatch):
    """Run a request in a worker of this process; gives its outcome, or None where it was killed at the moment."""
    pytest.importorskip("torch")
    monkeypatch.setattr(harness.worker.events, "STEP_EVENT_SECONDS", 0)

    def work(request, moment=None):
        try:
            return Worker(request, Dying(moment), StopSignal()).run()
        except Killed:
            return None

    return work
