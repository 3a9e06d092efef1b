"""What wrong padding does to scores: `pytest -m slow -s tests/methods/peft/test_padding.py` prints it."""

from __future__ import annotations

import time

import pytest

from harness.models.backend import LoadedModel
from harness.models.loading import load_model
from harness.models.source import resolve_model
from harness.models.transformers_backend import TransformersBackend
from harness.request import Decoding, TaskRequest
from harness.tasks import load_task
from harness.worker.evaluation import Evaluator
from methods.base import Budget, Limits, Method, Setting, TrainingJob
from methods.registry import build

STEPS = 200
EXAMPLES = 64
BATCH = 32


@pytest.mark.slow
@pytest.mark.own
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["peft:prompt_tuning", "peft:p_tuning"])
def test_scores_with_pads_behind_and_before_the_prompt(name):
    import torch

    source, task = resolve_model("embedded"), load_task(TaskRequest(name="embedded"))
    told = source.get_facts("cpu")
    limits = Limits(task.limits.input_tokens, task.limits.target_tokens)
    torch.manual_seed(0)
    model, tokenizer = load_model(source, device="cpu", dtype=torch.float32, options={}, trust_remote_code=False)
    method = build(name, source.settings[name])
    setting = Setting(told, torch.float32, tokenizer, task.train, task.templates, limits, 0)
    model = method.prepare(model, setting)
    method.train(
        TrainingJob(
            model=model,
            tokenizer=tokenizer,
            facts=told,
            examples=task.train,
            validation=(),
            templates=task.templates,
            budget=Budget("steps", STEPS),
            limits=limits,
            batch_size=8,
            accumulation=1,
            seed=0,
            dtype=torch.float32,
            emit=lambda event: None,
            clock=time.monotonic,
        )
    )
    pefts = type("PeftsOwn", (type(method),), {"generate": Method.generate})(method.config)
    loaded = LoadedModel(model, tokenizer, told, torch.float32)

    def scored(driver, size):
        decoding = Decoding(max_new_tokens=limits.target_tokens, batch_size=size)
        evaluator = Evaluator(TransformersBackend(), driver, loaded, task.templates, limits, decoding)
        found = evaluator.evaluate(task.test[:EXAMPLES], lambda share: None)
        return found.metrics["rougeL"], [row["prediction"] for row in found.rows]

    (right, ours), (wrong, theirs), (_, alone) = scored(method, BATCH), scored(pefts, BATCH), scored(method, 1)
    differing = sum(one != other for one, other in zip(theirs, alone, strict=True))
    print(f"\n{name}: ROUGE-L {right:.3f} with the prompt behind the pads, {wrong:.3f} before them;", end=" ")
    print(f"{differing} of {EXAMPLES} answers of PEFT's own generation differ from those to prompts alone")
    # Of two tokens that are nearly alike, another CPU may choose the other in a batch.
    assert sum(one != other for one, other in zip(ours, alone, strict=True)) <= 2
    assert differing > 2
