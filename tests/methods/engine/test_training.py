"""The supervised engine against a direct computation, and its order, budgets and schedule."""

from __future__ import annotations

import itertools
import math

import pytest

from methods.base import Budget, Example, Limits, ModelFacts, TrainingJob
from methods.engine.training import draw_batches, scale_learning_rate, train_supervised
from methods.errors import DivergedError
from methods.registry import build

TEMPLATES = ("Say.\n{input}\nAnswer:\n", "{input}\nNow say:\n")
EXAMPLES = tuple(Example(str(i), f"the fox number {i} " + "jumps " * (i % 5), (f"dog {i}",)) for i in range(40))


def job(model, tokenizer, events, **changes):
    import torch

    values = {
        "model": model,
        "tokenizer": tokenizer,
        "facts": ModelFacts("tiny", "decoder-only", "Llama", "cpu"),
        "examples": EXAMPLES,
        "validation": (),
        "templates": TEMPLATES,
        "budget": Budget("steps", 3),
        "limits": Limits(64, 16),
        "batch_size": 4,
        "accumulation": 1,
        "seed": 0,
        "dtype": torch.float32,
        "emit": events.append,
        "clock": lambda: 0.0,
    }
    return TrainingJob(**{**values, **changes})


def test_first_loss_is_the_mean_over_target_tokens(tiny_model, tokenizer):
    import torch

    model, events = tiny_model("decoder-only"), []
    method = build("full")
    first = next(draw_batches(EXAMPLES, 4, 0))[1]
    total = count = 0
    with torch.no_grad():
        for i in first:
            prompt = tokenizer(EXAMPLES[i].input + "\n\n")["input_ids"]
            answer = [*tokenizer(EXAMPLES[i].target)["input_ids"], tokenizer.eos_token_id]
            logits = model(torch.tensor([prompt + answer])).logits[0]
            for place, token in enumerate(answer, start=len(prompt)):
                total -= torch.log_softmax(logits[place - 1], -1)[token].item()
                count += 1
    train_supervised(method, job(model, tokenizer, events))
    assert events[0].loss == pytest.approx(total / count, rel=1e-5)
    assert events[0].target_tokens == count
    assert events[0].examples == 4


def test_accumulation_does_not_change_the_training(tiny_model, tokenizer):
    import torch

    weights = []
    for batch_size, accumulation in ((4, 1), (2, 2), (1, 4)):
        model = tiny_model("decoder-only")
        train_supervised(
            build("full", {"learning_rate": 1e-3}),
            job(model, tokenizer, [], batch_size=batch_size, accumulation=accumulation),
        )
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(weights[0], weights[2], rtol=0, atol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_model, tokenizer):
    import torch

    def trained(seed):
        model = tiny_model("decoder-only")
        train_supervised(build("full", {"learning_rate": 1e-3}), job(model, tokenizer, [], seed=seed))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def test_training_lowers_the_loss(tiny_model, tokenizer):
    events = []
    train_supervised(
        build("full", {"learning_rate": 5e-3}),
        job(tiny_model("decoder-only"), tokenizer, events, budget=Budget("steps", 60)),
    )
    assert events[-1].loss < events[0].loss / 2


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        (Budget("steps", 3), 3),
        (Budget("epochs", 1), 10),  # 40 examples in batches of 4
        (Budget("epochs", 0.5), 5),
        (Budget("minutes", 1), 6),  # the clock below moves 10 s a reading
    ],
)
def test_each_budget_ends_where_it_says(tiny_model, tokenizer, budget, steps):
    ticks = itertools.count(0, 10)
    events = []
    train_supervised(
        build("full"),
        job(tiny_model("decoder-only"), tokenizer, events, budget=budget, clock=lambda: next(ticks)),
    )
    assert [event.step for event in events] == list(range(1, steps + 1))
    assert events[-1].progress == 1


def test_a_token_budget_counts_real_tokens(tiny_model, tokenizer):
    events = []
    train_supervised(build("full"), job(tiny_model("decoder-only"), tokenizer, events, budget=Budget("tokens", 500)))
    spent = [event.tokens for event in events]
    assert sum(spent) >= 500 > sum(spent[:-1])


def test_a_loss_that_is_not_finite_ends_training_at_its_step(tiny_model, tokenizer):
    model = tiny_model("decoder-only")
    model.lm_head.weight.data[0, 0] = math.nan
    with pytest.raises(DivergedError, match="at step 1"):
        train_supervised(build("full"), job(model, tokenizer, []))


def test_every_example_comes_once_an_epoch_in_batches_of_like_length():
    batches = list(itertools.islice(draw_batches(EXAMPLES, 4, 7), 20))
    for epoch in (0, 1):
        seen = [i for e, batch in batches if e == epoch for i in batch]
        assert sorted(seen) == list(range(40))
    lengths = [[len(EXAMPLES[i].input + EXAMPLES[i].target) for i in batch] for _, batch in batches]
    spread = max(max(row) - min(row) for row in lengths)
    assert spread < max(len(e.input + e.target) for e in EXAMPLES) - min(len(e.input + e.target) for e in EXAMPLES)
    assert [b for _, b in batches] != [b for _, b in itertools.islice(draw_batches(EXAMPLES, 4, 8), 20)]


def test_schedule_known_values():
    assert scale_learning_rate(0.0, 0.1, "cosine") == 0
    assert scale_learning_rate(0.05, 0.1, "cosine") == pytest.approx(0.5)
    assert scale_learning_rate(0.1, 0.1, "cosine") == 1
    assert scale_learning_rate(0.55, 0.1, "cosine") == pytest.approx(0.5)
    assert scale_learning_rate(0.55, 0.1, "linear") == pytest.approx(0.5)
    assert scale_learning_rate(1.0, 0.1, "linear") == 0
    assert scale_learning_rate(0.9, 0.1, "constant") == 1
    assert scale_learning_rate(0.0, 0.0, "constant") == 1
