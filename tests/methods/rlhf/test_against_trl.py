"""The policy loop beside TRL's trainers on a decoder-only model: the same reward curve within seed noise."""

from __future__ import annotations

import random
import statistics

import pytest
import torch

from methods.base import Example, Limits
from methods.engine.encoding import Encoder
from methods.engine.training import train_supervised
from methods.feedback import Observer
from methods.rlhf.policy import PolicyOptimiser
from methods.rlhf.roles import REFERENCE, Roles

from .conftest import EXAMPLES, TEMPLATES
from .test_policy import FREE

STEPS, LENGTH, PROMPTS, SAMPLES, RATE = 18, 6, 8, 4, 3e-3
SEEDS = (0, 1, 2, 3)


@pytest.fixture
def start(make_job, tokenizer):
    """A function that makes (method, job) from one warm-started policy, which answers with letters from A to J.

    TRL computes log-probabilities beside the model's own head, so that a hook on the head would not reach it.
    """
    dice = random.Random(0)
    letters = [Example(e.id, e.input, ("".join(dice.choice("ABCDEFGHIJ") for _ in range(LENGTH)),)) for e in EXAMPLES]
    method, job = make_job(
        knobs={"learning_rate": 2e-2}, steps=120, limits=Limits(64, LENGTH + 2), examples=letters, observer=Observer()
    )
    train_supervised(method, job)
    state = {name: p.detach().clone() for name, p in job.model.named_parameters() if p.requires_grad}

    def make(knobs, **changes):
        method, job = make_job(knobs=knobs, limits=Limits(64, LENGTH), **changes)
        for name, value in state.items():
            job.model.get_parameter(name).data.copy_(value)
        return method, job

    return make


def ours(start, algorithm, seed):
    knobs = {
        **FREE, "algorithm": algorithm, "policy_learning_rate": RATE, "prompts": PROMPTS, "samples": SAMPLES,
        "max_grad_norm": 1e9,
    }  # fmt: skip
    method, job = start(knobs, steps=STEPS, seed=seed)
    token = job.tokenizer.convert_tokens_to_ids("C")

    def reward(examples, rollouts):
        return ((rollouts.responses == token) & rollouts.mask.bool()).float().sum(1) / LENGTH

    roles = Roles(job.model)
    roles.keep(REFERENCE)
    torch.manual_seed(seed)
    learner = PolicyOptimiser(method, job, roles, Encoder(job.tokenizer, "decoder-only", job.limits), reward)
    learner.run()
    return [point["reward"] for point in learner.curve]


def theirs(start, algorithm, seed, tmp_path):
    import datasets
    import trl

    method, job = start(FREE)
    trainer_class, settings_class, own = {
        "rloo": (trl.RLOOTrainer, trl.RLOOConfig, {"normalize_advantages": False}),
        "grpo": (trl.GRPOTrainer, trl.GRPOConfig, {"scale_rewards": "group", "loss_type": "bnpo"}),
    }[algorithm]
    written = [method.write(example, TEMPLATES, 0) for example in EXAMPLES]
    rows = datasets.Dataset.from_list([{"prompt": text.before + text.input + text.after} for text in written])
    token, seen = job.tokenizer.convert_tokens_to_ids("C"), []

    def reward(completion_ids, **_):
        values = [sum(one == token for one in ids) / LENGTH for ids in completion_ids]
        seen.append(statistics.fmean(values))
        return values

    settings = settings_class(
        output_dir=str(tmp_path), max_steps=STEPS, per_device_train_batch_size=PROMPTS * SAMPLES,
        num_generations=SAMPLES, max_completion_length=LENGTH, learning_rate=RATE, lr_scheduler_type="constant",
        beta=0.0, max_grad_norm=1e9, weight_decay=0.0, seed=seed, use_cpu=True, bf16=False,
        gradient_checkpointing=False, save_strategy="no", report_to="none", disable_tqdm=True,
        dataloader_pin_memory=False, logging_steps=1000, **own,
    )  # fmt: skip
    torch.manual_seed(seed)
    trainer_class(
        model=job.model, reward_funcs=reward, args=settings, train_dataset=rows, processing_class=job.tokenizer
    ).train()
    return seen[:STEPS]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_the_same_reward_curve_as_trl(start, tmp_path, algorithm, capsys):
    mine = [ours(start, algorithm, seed) for seed in SEEDS]
    trl = [theirs(start, algorithm, seed, tmp_path) for seed in SEEDS]
    thirds = [slice(0, STEPS // 3), slice(STEPS // 3, 2 * STEPS // 3), slice(2 * STEPS // 3, STEPS)]
    for part in thirds:
        a = [statistics.fmean(curve[part]) for curve in mine]
        b = [statistics.fmean(curve[part]) for curve in trl]
        # Twice the standard error of the difference of means, and a hundredth for what is rounded and drawn otherwise.
        noise = 2 * ((statistics.variance(a) + statistics.variance(b)) / len(SEEDS)) ** 0.5 + 0.01
        with capsys.disabled():
            print(f"{algorithm} steps {part.start + 1} to {part.stop}: ours {statistics.fmean(a):.3f}, "
                  f"TRL {statistics.fmean(b):.3f}, noise {noise:.3f}")  # fmt: skip
        assert abs(statistics.fmean(a) - statistics.fmean(b)) < noise
    assert statistics.fmean(c[-1] for c in mine) > statistics.fmean(c[0] for c in mine) + 0.2  # there is a curve
