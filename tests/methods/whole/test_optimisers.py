"""Optimisers that remember little: how little, and that their steps are those that the papers describe."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util

import pytest

from harness.contract import Case, tiny
from methods.base import ModelFacts
from methods.errors import InvalidSettingError, UnsupportedError
from methods.registry import build

needs_galore = pytest.mark.skipif(importlib.util.find_spec("galore_torch") is None, reason="galore-torch is missing")


def trained(tmp_path, name, steps=2, **settings):
    """(model, optimiser, whether a gradient was left after a step) of a real training."""
    case = Case(name, "decoder-only", tmp_path, settings)
    model, seen = case.prepared(), {"gradients": False}

    class Watched(type(case.method)):
        def optimizer(self, model):
            seen["optimiser"] = super().optimizer(model)
            return seen["optimiser"]

        def after_step(self, model, step, progress):
            seen["gradients"] |= any(p.grad is not None for p in model.parameters())

    case.__dict__["method"] = Watched(case.method.config)
    case.train(model, steps)
    return model, seen["optimiser"], seen["gradients"]


def remembered(optimiser):
    """Bytes of what an optimiser keeps from step to step."""
    import torch

    def size(value):
        if isinstance(value, torch.Tensor):
            return value.numel() * value.element_size()
        if isinstance(value, dict):
            return sum(map(size, value.values()))
        return size(value.ortho_matrix) if hasattr(value, "ortho_matrix") else 0

    return sum(size(state) for state in optimiser.state.values())


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("name", "settings", "share"),
    [
        ("adafactor", {}, 0.02),
        ("adamw-8bit", {}, 0.6),  # on a model so small, half the weights are too few to be quantised
        pytest.param("galore", {"rank": 4}, 0.4, marks=needs_galore),  # embeddings and head keep all of theirs
        ("adalomo", {}, 0.02),
        ("lomo", {}, 0.0),
    ],
)
def test_they_remember_less_than_adamw(tmp_path, name, settings, share):
    if reason := build(name).unsupported(ModelFacts("x", "decoder-only", "Llama", "cpu")):
        pytest.skip(reason)
    whole = remembered(trained(tmp_path, "instruction")[1])
    assert whole >= 8 * sum(p.numel() for p in tiny.model("decoder-only").parameters())
    assert remembered(trained(tmp_path, name, **settings)[1]) <= share * whole


def test_fused_updates_leave_no_gradient(tmp_path):
    assert trained(tmp_path, "instruction")[2]
    for name in ("lomo", "adalomo"):
        assert not trained(tmp_path, name)[2]


def test_a_step_of_lomo_is_plain_gradient_descent(tmp_path):
    import torch

    from methods.engine.loss import compute_loss
    from methods.engine.training import choose_phrasing, draw_batches

    flat = {"schedule": "constant", "warmup": 0.0, "learning_rate": 0.1}
    model = trained(tmp_path, "lomo", 1, **flat)[0]
    case = Case("instruction", "decoder-only", tmp_path)
    expected = case.prepared()
    job = type("Job", (), {"templates": tiny.TEMPLATES, "seed": 0})
    epoch, chosen = next(draw_batches(tiny.EXAMPLES, 8, 0))
    texts = [case.method.write(tiny.EXAMPLES[i], tiny.TEMPLATES, choose_phrasing(job, epoch, i)) for i in chosen]
    compute_loss(expected, case.encoder.training_batch(case.encoder.encode_all(texts))).backward()
    with torch.no_grad():
        for weight in expected.parameters():
            weight -= 0.1 * weight.grad
    for name, weight in weights(expected).items():
        torch.testing.assert_close(weights(model)[name], weight, msg=name)


@pytest.mark.parametrize("name", ["lomo", "adalomo"])
def test_what_fused_updates_cannot_do_is_refused(tmp_path, name):
    import torch

    case = Case(name, "decoder-only", tmp_path)
    model, jobs = case.prepared(), []
    plain = type(case.method).train

    class Caught(type(case.method)):
        def train(self, job):
            jobs.append(job)

    case.__dict__["method"] = Caught(case.method.config)
    case.train(model, 1)
    with pytest.raises(
        UnsupportedError, match=f"{name} stores no gradients, so it cannot accumulate them over 2 passes"
    ):
        plain(build(name), dataclasses.replace(jobs[0], accumulation=2))
    with pytest.raises(UnsupportedError, match="use --dtype bfloat16"):
        plain(build(name), dataclasses.replace(jobs[0], dtype=torch.float16))


@needs_galore
def test_an_update_of_galore_has_the_rank_asked_for(tmp_path):
    import torch

    start = weights(Case("galore", "decoder-only", tmp_path).prepared())
    found = weights(trained(tmp_path, "galore", 1, rank=3, learning_rate=1e-2)[0])
    name = "model.layers.0.mlp.up_proj.weight"
    values = torch.linalg.svdvals(found[name] - start[name])
    assert values[2] > 1e3 * values[3]


def test_an_old_bitsandbytes_has_no_kernels_for_a_cpu(monkeypatch):
    facts = ModelFacts("x", "decoder-only", "Llama", "cpu")
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "0.49.2")
    said = build("adamw-8bit").unsupported(facts)
    assert said == "adamw-8bit needs bitsandbytes 0.50 or later on a CPU, and 0.49.2 is installed"
    assert build("adamw-8bit").unsupported(dataclasses.replace(facts, device="cuda")) is None


def test_paging_wants_a_gpu():
    method, facts = build("paged-adamw-8bit"), ModelFacts("x", "decoder-only", "Llama", "cpu")
    assert method.unsupported(facts).startswith("paged-adamw-8bit pages between a GPU and its host")
    assert method.unsupported(dataclasses.replace(facts, device="cuda")) is None


@pytest.mark.parametrize(("name", "package"), [("galore", "galore-torch"), ("adamw-8bit", "bitsandbytes")])
def test_a_missing_package_is_named(monkeypatch, name, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = build(name).unsupported(ModelFacts("x", "decoder-only", "Llama", "cpu"))
    assert said == f"{name} needs the package {package}: pip install {package}"


@pytest.mark.parametrize("name", ["lomo", "adalomo"])
def test_fused_steps_refuse_to_clip_what_they_never_hold(name):
    with pytest.raises(InvalidSettingError, match=r"max_grad_norm: has no effect here"):
        build(name, {"max_grad_norm": 0.1})
    assert build(name, {"max_grad_norm": 1.0}).config == build(name).config
