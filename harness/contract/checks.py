"""The checks, one by one. Each raises `AssertionError` with a sentence that says what the method failed to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.contract.cases import Case
from methods import registry
from methods.types import ModelFacts

FALL = 0.7
"""The last step's loss is below this share of the first one's."""
TOLERANCE = 1e-4
PICKLES = (".bin", ".pt", ".pth", ".pkl")


def learns(case: Case, steps: int = 40) -> None:
    """The loss falls, logits change, the whole budget is spent, and frozen weights stay bit for bit."""
    import torch

    model = case.prepared()
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if name not in trainable}
    require(bool(trainable), "nothing is left to train")
    before = case.logits(model)
    events = case.train(model, steps)
    require(events[-1].progress == 1, f"it stopped at {events[-1].progress:.0%} of its budget")
    losses = [event.loss for event in events if event.stage in ("", "warm_start")]  # other stages have other losses
    require(losses[-1] < losses[0] * FALL, f"the loss went from {losses[0]:.3g} to {losses[-1]:.3g}")
    for name, value in model.named_parameters():
        if name in frozen:
            require(torch.equal(value, frozen[name]), f"{name} is frozen and changed")
    require(not torch.allclose(before, case.logits(model), atol=1e-3), "training changed no logits")


def reloads(case: Case, steps: int = 4) -> None:
    """What `save` writes is safetensors, and `load` makes the same model of it and a fresh base."""
    model = case.prepared()
    case.train(model, steps)
    after = case.logits(model)
    shipped = case.folder / "shipped"
    case.method.save(model, shipped)
    files = [path.name for path in shipped.rglob("*")]
    require(any(file.endswith(".safetensors") for file in files), f"no safetensors among {sorted(files)}")
    pickled = [file for file in files if file.endswith(PICKLES)]
    require(not pickled, f"{pickled} can hold code; ship safetensors")
    again = case.method.load(case.base(), shipped).eval()
    _require_close(case.logits(again), after, "a reloaded model has other logits")


def pads(case: Case, steps: int = 1) -> None:
    """Six prompts of several lengths get the same answers, and the same logits for their first token, together and
    one by one. After one step a random model still answers every prompt in its own way."""
    model = case.prepared()
    case.train(model, steps)
    together, alone = case.answers(model, 6), case.answers(model, 1)
    differing = sum(one != other for one, other in zip(together, alone, strict=True))
    require(not differing, f"{differing} of {len(alone)} answers differ between a padded batch and one by one")
    _require_close(case.first_logits(model, 6), case.first_logits(model, 1), "a padded batch has other logits")


def switches_off(case: Case, steps: int = 3) -> None:
    """With `disable_adapter`, where there is one, the trained model has the base's logits."""
    expected = case.logits(case.base())
    model = case.prepared()
    if not hasattr(model, "disable_adapter"):
        return
    case.train(model, steps)
    with model.disable_adapter():
        _require_close(case.logits(model), expected, "with its adapter off it is not the base model")


def refuses(name: str, settings: Mapping[str, Any]) -> None:
    """A family that nobody serves gets one sentence that begins with the method's name."""
    reason = registry.build(name, settings).unsupported(ModelFacts("x", "toy", "Toy", "cpu"))
    require(reason is not None and reason.startswith(name), f"unsupported says {reason!r} of a family unknown to it")


def require(condition: bool, sentence: str) -> None:
    """Raise `AssertionError` with the sentence unless the condition holds."""
    if not condition:
        raise AssertionError(sentence)


def _require_close(found: Any, expected: Any, sentence: str) -> None:
    import torch

    if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise AssertionError(f"{sentence}: off by {(found - expected).abs().max().item():.2g}")
