"""What watching tensors costs: steps per second with the meter over steps per second without, in one run."""

from __future__ import annotations

import statistics
import time

import torch

from harness.measure.memory import TensorPeak

ROUNDS, STEPS = 5, 8


def test_watching_tensors(benchmark, tiny_model):
    """Reports the ratio for a model whose operations are as small as they get: the worst case."""
    model = tiny_model("decoder-only").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    ids = torch.randint(0, 280, (8, 128), generator=torch.Generator().manual_seed(0))

    def steps():
        started = time.perf_counter()
        for _ in range(STEPS):
            model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - started

    ratios = []

    def one_round():
        plain = steps()
        with TensorPeak() as peak:
            peak.count_model(model)
            watched = steps()
        ratios.append(plain / watched)
        return peak.peak

    peak = benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["watched_over_plain_steps_per_second"] = round(statistics.median(ratios[1:]), 3)
    print(f"\nwatched / plain, steps/s: {statistics.median(ratios[1:]):.3f}")
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert peak > 4 * weights  # weights, gradients and both of AdamW's moments at the least
