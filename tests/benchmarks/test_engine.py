"""The training engine beside a bare PyTorch loop: same model, same batches, same data, in one run.

Both do the same work, which the test proves by comparing the weights; the figure is the ratio of real tokens per
second, engine over bare loop, printed and kept in the benchmark's `extra_info`. It is measured, never asserted.
"""

from __future__ import annotations

import itertools
import statistics
import time

from methods.base import Budget, Example, Limits, ModelFacts, TrainingJob
from methods.engine.encoding import Encoder
from methods.engine.training import choose_phrasing, draw_batches, scale_learning_rate, train_supervised
from methods.registry import build

STEPS, ROUNDS, BATCH = 30, 7, 8
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "then", "once", "more"]
EXAMPLES = tuple(
    Example(str(i), " ".join(WORDS[(i * k) % len(WORDS)] for k in range(20 + i % 40)), (f"fox {i} dog",))
    for i in range(400)
)
TEMPLATES = ("Say.\n{input}\nAnswer:\n",)
LIMITS = Limits(256, 32)


def make_model(tokenizer):
    """A Llama of the embedded model's size: 4 layers, width 192."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )


def make_job(model, tokenizer, events):
    import torch

    return TrainingJob(
        model=model,
        tokenizer=tokenizer,
        facts=ModelFacts("bench", "decoder-only", "Llama", "cpu"),
        examples=EXAMPLES,
        validation=(),
        templates=TEMPLATES,
        budget=Budget("steps", STEPS),
        limits=LIMITS,
        batch_size=BATCH,
        accumulation=1,
        seed=0,
        dtype=torch.float32,
        emit=events.append,
        clock=time.monotonic,
    )


def bare_loop(model, batches, config):
    """What anyone would write: batches made beforehand, forward, backward, clip, step."""
    import torch

    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
    model.train()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * scale_learning_rate(
                (step + 0.5) / STEPS, config.warmup, config.schedule
            )
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()


def test_engine_over_bare_loop(benchmark, tokenizer):
    import torch

    method = build("full", {"learning_rate": 1e-3})
    encoder = Encoder(tokenizer, "decoder-only", LIMITS)
    job = make_job(None, tokenizer, [])
    chosen = list(itertools.islice(draw_batches(EXAMPLES, BATCH, 0), STEPS))
    batches = [
        encoder.training_batch(
            [encoder.encode(method.write(EXAMPLES[i], TEMPLATES, choose_phrasing(job, epoch, i))) for i in indices]
        )
        for epoch, indices in chosen
    ]
    seconds: dict[str, list[float]] = {"engine": [], "bare": []}

    def one_round():
        models = {name: make_model(tokenizer) for name in seconds}
        runs = {
            "bare": lambda: bare_loop(models["bare"], batches, method.config),
            "engine": lambda: train_supervised(method, make_job(models["engine"], tokenizer, [])),
        }
        # Who goes first changes from round to round, so that neither always meets the warmer machine.
        for name in sorted(runs, reverse=len(seconds["bare"]) % 2 == 0):
            started = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - started)
        return models

    models = benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=1)
    for ours, theirs in zip(models["engine"].parameters(), models["bare"].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)

    ratios = [bare / engine for bare, engine in zip(seconds["bare"][1:], seconds["engine"][1:], strict=True)]
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    benchmark.extra_info["engine_over_bare_tokens_per_second"] = round(statistics.median(ratios), 3)
    benchmark.extra_info["engine_tokens_per_second"] = round(tokens / statistics.median(seconds["engine"]))
    rounds = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"\nengine / bare loop, real tokens/s: {statistics.median(ratios):.3f} (rounds: {rounds})")
    assert len(ratios) == ROUNDS
