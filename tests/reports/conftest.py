"""Records made by hand, and the golden reports. `pytest tests/reports --update-golden` writes these anew."""

from __future__ import annotations

import pytest

from reports.records.record import Environment, ModelInfo, Phase, Record, TaskInfo


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden reports anew")


@pytest.fixture
def make():
    """A function that makes a record; keywords replace its fields, `metrics` are merged over sensible ones."""

    def make(variant="lora", *, seed=0, trial_id=None, metrics=None, **fields):
        number = abs(hash_of(f"{variant}/{seed}"))
        role = "base" if variant == "base" else "candidate"
        record = {
            "trial_id": trial_id or f"{number:016x}",
            "status": "ok",
            "role": role,
            "variant": variant,
            "method": variant.split("[")[0],
            "settings": {} if role == "base" else {"learning_rate": 1e-3, "r": 8},
            "changed": {},
            "seed": seed,
            "model": ModelInfo(
                name="tiny", source="directory", revision="0123456789abcdef", architecture="LlamaForCausalLM",
                family="decoder-only", parameters=1_955_520, dtype="float32", note="A tiny model for tests.",
            ),
            "task": TaskInfo(
                name="file", fingerprint="f" * 64, examples={"train": 100, "validation": 10, "test": 20},
                unusable=1, cut={"train": 0, "test": 3}, templates=("{input}",), note=None,
            ),
            "budget": {"unit": "steps", "amount": 50.0},
            "training": {
                "batch_size": 8, "accumulation": 1, "input_tokens": 256, "target_tokens": 64,
                "steps": 50, "tokens": 40_000, "examples": 400,
            },
            "decoding": {"max_new_tokens": 64, "num_beams": 1, "do_sample": False, "batch_size": 32},
            "environment": Environment(
                hardware={
                    "cpu": "Example CPU", "cores": 2, "memory_bytes": 16 << 30, "devices": [],
                    "platform": "Linux x86_64",
                },
                versions={"python": "3.11.7", "torch": "2.13.0", "bitsandbytes": None},
                code={"commit": "0" * 40, "dirty": False, "hash": "abcdabcdabcdabcd"},
            ),
            "metrics": {
                "rouge1": 0.5, "rouge2": 0.3, "rougeL": 0.4, "rougeLsum": 0.4, "heldout_loss": 1.25,
                "trainable_parameters": 117_504.0, "total_parameters": 2_073_024.0, "trainable_percent": 5.668,
                "peak_host_bytes": 600.0 * (1 << 20), "peak_tensor_bytes": 170.0 * (1 << 20),
                "train_tokens_per_second": 4100.0, "train_seconds": 61.5, "shipped_bytes": 470_000.0,
                **(metrics or {}),
            },
            "phases": {"load": Phase(seconds=2.5), "train": Phase(seconds=61.5, peak_host_bytes=600 << 20)},
            "curve": ({"step": 1, "progress": 0.02, "loss": 5.0, "learning_rate": 1e-3, "tokens": 800},),
            "started_at": "2026-01-02T03:04:05+00:00",
            "finished_at": f"2026-01-02T03:05:{seed:02}+00:00",
        }  # fmt: skip
        return Record(**{**record, **fields})

    return make


@pytest.fixture
def failed(make):
    """A function that makes a record of a trial that did not end ok."""

    def make_failed(variant, status, message, **fields):
        return make(variant, status=status, message=message, phases={}, curve=(), **fields)

    def bare(*arguments, **fields):
        import dataclasses

        return dataclasses.replace(make_failed(*arguments, **fields), metrics={})

    return bare


def hash_of(text: str) -> int:
    """A number that is the same in every process, which `hash` is not."""
    import hashlib

    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)
