"""What several tests of the harness need: a plugin with a method of its own, and tiny models that score texts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from methods import registry

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture
def plugin(tmp_path_factory, monkeypatch) -> Iterator[str]:
    """Install the method `follower` for this process; gives the search path that installs it for others."""
    site = tmp_path_factory.mktemp("site")
    info = site / "harness_test_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harness-test-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness.methods]\nfollower = harness_test_plugin:Follower\n")
    for path in (PLUGIN, site):
        monkeypatch.syspath_prepend(path)
    registry.origins.cache_clear()
    yield f"{PLUGIN}:{site}"
    monkeypatch.undo()
    registry.origins.cache_clear()
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
