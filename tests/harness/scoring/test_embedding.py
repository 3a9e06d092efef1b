"""Embedding similarity: what is refused without loading anything; and real scores where the package is installed."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pytest

from harness.errors import HarnessError, SpecError
from harness.scoring.embedding import EmbeddingConfig, EmbeddingSimilarity
from harness.scoring.selection import select_metrics

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None


@pytest.fixture(scope="module")
def encoder(tokenizer, tmp_path_factory):
    """The directory of a tiny random encoder."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def plugin(model) -> EmbeddingSimilarity:
    return EmbeddingSimilarity(EmbeddingConfig(model=str(model)))


def complaint(model) -> str:
    with pytest.raises(HarnessError) as caught:
        plugin(model).check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.skipif(INSTALLED, reason="sentence-transformers is installed")
def test_without_the_package_the_sentence_says_what_to_install(examples, tmp_path):
    with pytest.raises(SpecError) as caught:
        select_metrics([f"embedding-similarity[model={tmp_path}/x]"], examples)
    assert str(caught.value) == (
        "the metric embedding-similarity[model=x] needs the package sentence_transformers: pip install "
        '"sentence-transformers", or leave it out of --metrics'
    )


def test_directories_that_are_no_model_of_use(encoder, tmp_path):
    assert complaint("") == "embedding-similarity needs a local model: write embedding-similarity[model=DIR]"
    assert complaint("sentence-transformers/all-MiniLM-L6-v2").endswith("nothing is downloaded for a metric")
    (tmp_path / "empty").mkdir()
    assert "the model empty of embedding-similarity: there is no config.json" in complaint(tmp_path / "empty")
    plugin(encoder).check()

    pickled = shutil.copytree(encoder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "could run code" in complaint(pickled)

    deep = shutil.copytree(encoder, tmp_path / "deep")
    (deep / "2_Dense").mkdir()
    (deep / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    assert "pytorch_model.bin could run code" in complaint(deep)

    own = shutil.copytree(encoder, tmp_path / "own")
    (own / "modules.json").write_text(json.dumps([{"type": "own_module.Own"}]))
    assert "the model own of embedding-similarity brings code of its own, which is not run" in complaint(own)
    (own / "modules.json").write_text("{")
    assert "modules.json cannot be read" in complaint(own)
    (own / "modules.json").unlink()
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "own.Own"}}))
    assert "brings code of its own" in complaint(own)


def test_the_files_of_the_model_are_its_revision(encoder, tmp_path):
    copy = shutil.copytree(encoder, tmp_path / "tiny")
    assert plugin(copy).revision == plugin(encoder).revision
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text("{}")
    assert plugin(copy).revision != plugin(encoder).revision
    assert plugin(tmp_path / "gone").revision == ""
    assert str(tmp_path) not in plugin(copy).label


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="sentence-transformers is not installed")
def test_real_scores(encoder, examples, tokenizer):
    import torch
    from transformers import AutoModel

    found = select_metrics([f"embedding-similarity[model={encoder}]"], examples)
    (one,) = found.measure(examples, ["a dog", "", "it is"])
    (metric,) = one.declared.values()
    assert (metric.name, metric.title) == ("embedding_similarity[tiny]", "similarity (tiny)")
    assert "content " + found.plugins[0].revision in metric.formula
    assert str(encoder) not in json.dumps([metric.name, metric.title, metric.formula])

    model = AutoModel.from_pretrained(encoder).eval()

    def vector(text):
        with torch.no_grad():
            return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)

    expected = torch.nn.functional.cosine_similarity(vector("it is"), vector("yes, it is"), dim=0).item()
    assert [row[metric.name] for row in one.rows] == pytest.approx([1.0, 0.0, expected], abs=1e-5)
    assert 0.1 < expected < 0.999
