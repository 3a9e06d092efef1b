"""Forgetting against losses that are worked out another way, and that measuring it leaves a trial as it was."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy
import pytest

from harness.launchers.local import LocalLauncher
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec
from harness.worker.forgetting import GeneralLoss, compare_losses, split_in_half
from methods.base import Limits, ModelFacts

FAMILIES = ("decoder-only", "encoder-decoder")
PASSAGES = (
    "The quick brown fox jumps over the lazy dog.",
    "A dog that is lazy does not jump over any fox, brown or not, quick or not.",
    "Foxes are brown and dogs are lazy, more or less.",
    "Over the dog, the quick one, jumps a fox that nobody has called lazy.",
    "The end of the dog is far from the end of the fox.",
)


def facts(family: str) -> ModelFacts:
    return ModelFacts("tiny", family, "Tiny", "cpu")


@pytest.fixture
def measure(tokenizer):
    import torch

    def measure(family, limits=Limits(100, 100), size=2):  # noqa: B008 — frozen
        return GeneralLoss(PASSAGES, tokenizer, facts(family), limits, batch_size=size, dtype=torch.float32)

    return measure


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_second_halves_alone(measure, tiny_model, tokenizer, family):
    """Against the model called by hand, one passage at a time, the log-probabilities summed."""
    import torch

    model = tiny_model(family)
    total = count = 0
    for passage in PASSAGES:
        first, second = (tokenizer(half, add_special_tokens=False)["input_ids"] for half in split_in_half(passage))
        with torch.no_grad():
            if family == "decoder-only":
                logits = model(torch.tensor([first + second])).logits[0, len(first) - 1 : -1]
            else:
                before = torch.tensor([[tokenizer.pad_token_id, *second[:-1]]])
                logits = model(torch.tensor([first]), decoder_input_ids=before).logits[0]
        chosen = logits.log_softmax(-1)[range(len(second)), second]
        total, count = total - chosen.sum().item(), count + len(second)
    found = measure(family).measure(model)
    assert len(found) == len(PASSAGES)
    assert sum(found) / len(found) == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_within_the_limits_the_second_half_still_follows_on_the_first(measure, tokenizer, family):
    for limits in (Limits(100, 100), Limits(12, 100), Limits(100, 9), Limits(5, 7), Limits(3, 1)):
        for item, passage in zip(measure(family, limits).encoded, PASSAGES, strict=True):
            assert 1 <= len(item.prompt) <= limits.input_tokens
            assert 1 <= len(item.response) <= limits.target_tokens
            assert passage.startswith(tokenizer.decode([*item.prompt, *item.response]))
            assert tokenizer.eos_token_id not in item.response


def test_what_does_not_change_forgets_nothing_and_what_changes_forgets_the_difference(measure, tiny_model):
    import torch

    model, general = tiny_model("decoder-only"), measure("decoder-only")
    before = general.measure(model)
    metrics, scores = compare_losses(before, general.measure(model))
    assert metrics["forgetting"] == 0
    assert scores["forgetting"] == [0] * len(PASSAGES)
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    after = general.measure(model)
    metrics, scores = compare_losses(before, after)
    assert abs(metrics["forgetting"]) > 0.1
    assert metrics["forgetting"] == pytest.approx(metrics["general_loss"] - metrics["general_loss_before"])
    for name in ("general_loss", "forgetting"):  # so that an interval of the scores is one of the metric
        assert sum(scores[name]) / len(scores[name]) == pytest.approx(metrics[name])
    assert scores["general_loss"] == after
    assert compare_losses(None, after) == ({"general_loss": metrics["general_loss"]}, {"general_loss": after})


def test_batches_do_not_matter(measure, tiny_model):
    model = tiny_model("decoder-only")
    assert measure("decoder-only", size=5).measure(model) == pytest.approx(
        measure("decoder-only", size=1).measure(model)
    )


def test_random_numbers_go_on_as_if_nothing_had_been_measured(measure, tiny_model):
    import torch

    model = tiny_model("decoder-only").train()
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5  # so that the model itself draws numbers
    general = measure("decoder-only")

    def drawn(measured: bool):
        torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
        losses = general.measure(model) if measured else None
        return losses, (torch.rand(3).tolist(), random.random(), numpy.random.rand())

    losses, numbers = drawn(True)
    assert numbers == drawn(False)[1]
    torch.manual_seed(2)
    assert general.measure(model) != losses  # it does draw


def shipped(request) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(request.places.artifacts).glob("*.safetensors")}


@pytest.mark.parametrize("method", ["lora[dropout=0.2]", "qlora", "prefix[init=random]", "full"])
def test_training_is_the_same_with_and_without_it(make_request, work, method):
    """The start of an adapter, the order of data, dropout: all of it ends in the weights."""
    few = {"budget": "steps=2", "test_examples": 2}
    with_it, without = (make_request(method, name=text, general_text=text, **few) for text in ("embedded", "none"))
    found, plain = work(with_it), work(without)
    assert (found.status, plain.status) == ("ok", "ok"), (found.message, plain.message)
    assert shipped(with_it) == shipped(without) != {}
    assert Path(with_it.places.predictions).read_bytes() == Path(without.places.predictions).read_bytes()
    assert found.metrics["heldout_loss"] == plain.metrics["heldout_loss"]
    assert set(found.phases) == set(plain.phases) == {"load", "train", "save", "evaluate"}
    assert len(found.scores["forgetting"]) == len(found.scores["general_loss"]) == 76
    assert not {"general_loss", "general_loss_before", "forgetting"} & {*plain.metrics, *plain.scores}


@pytest.mark.parametrize("model", ["embedded", "embedded-seq2seq"])
def test_a_trial_that_learns_nothing_forgets_nothing(tmp_path, make_request, place, work, model):
    few = {"budget": "steps=1", "test_examples": 2, "model": model, "general_text": "embedded"}
    lora = work(make_request("lora[learning_rate=1e-12]", **few))
    assert lora.status == "ok", lora.message
    assert lora.metrics["forgetting"] == pytest.approx(0, abs=1e-6)
    short = {"train_examples": 60, "validation_examples": 8, "input_tokens": 64, "target_tokens": 8}
    plan = make_plan(build_spec({"methods": "lora", "device": "cpu", **few, **short}))
    request = place(plan.trials[0].request, tmp_path / "base")
    base = LocalLauncher().launch(request, tmp_path / "log", lambda event: None)
    assert base.status == "ok", base.message
    assert base.metrics["general_loss"] == lora.metrics["general_loss_before"]
    assert not {"general_loss_before", "forgetting"} & {*base.metrics, *base.scores}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["embedded", pytest.param("embedded-seq2seq", marks=pytest.mark.own)])
def test_through_the_command_line(run_here, tmp_path, model):
    """The user's text and the real thing: a column, a direction, an interval; the report names the text."""
    text = tmp_path / "mine.txt"
    text.write_text("\n\n".join(PASSAGES))
    done = run_here(
        *["run", "--methods", "full,lora", "--budget", "steps=8", "--model", model],
        *["--train-examples", "64", "--validation-examples", "8", "--test-examples", "8", "--input-tokens", "64"],
        *["--target-tokens", "8", "--general-text", str(text), "--out", "out"],
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = {r["variant"]: r for r in (json.loads(p.read_text()) for p in (tmp_path / "out" / "records").glob("*"))}
    before = found["base"]["metrics"]["general_loss"]
    for name in ("full", "lora"):
        metrics, scores = found[name]["metrics"], found[name]["scores"]["forgetting"]
        assert metrics["general_loss_before"] == before
        assert metrics["forgetting"] == pytest.approx(metrics["general_loss"] - before)
        assert metrics["forgetting"] != 0
        assert len(scores) == len(PASSAGES)
        assert sum(scores) / len(scores) == pytest.approx(metrics["forgetting"], abs=1e-6)
        assert found[name]["details"]["general_text"]["name"] == "mine.txt"
        assert str(tmp_path) not in json.dumps(found[name])
    page = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "| forgetting |" in page
    assert "5 passages of mine.txt, fingerprint" in page
