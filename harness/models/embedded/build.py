"""Makes an embedded model: trains its tokenizer, pre-trains it on generated text, and says how in provenance.json.

  python -m harness.models.embedded.build --architecture decoder-only --out DIR

One thread and deterministic kernels: the same seed gives the same bytes on the same machine and versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.models.embedded.architectures import ARCHITECTURES, make_model, make_tokenizer
from reports.records import files

WEIGHTS, TOKENIZER, PROVENANCE = "model.safetensors", "tokenizer.json", "provenance.json"
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors")


@dataclass(frozen=True)
class Recipe:
    """How an architecture is pre-trained: AdamW, linear warm-up, then a cosine down to a tenth of the peak."""

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 50
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2)


RECIPES = {
    "decoder-only": Recipe(steps=1000, batch_size=16, learning_rate=1.5e-3),
    "encoder-decoder": Recipe(steps=1200, batch_size=24, learning_rate=2e-3),
}


def pretrain(model: Any, source: Any, recipe: Recipe) -> list[float]:
    """Train the model in place and return the loss of every step."""
    import torch

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay
    )
    losses: list[float] = []
    model.train()
    started = time.perf_counter()
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        loss = model(**next(source), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step % 20 == 0 or step == recipe.steps - 1:
            recent = losses[-20:]
            seconds = time.perf_counter() - started
            print(f"step {step + 1}: loss {sum(recent) / len(recent):.3f}, {seconds:.0f} s", flush=True)
    model.eval()
    return losses


def build(architecture: str, out: Path, recipe: Recipe, seed: int = 0) -> dict[str, Any]:
    """Make the model in `out`, which is created, and return its provenance.

    Sets PyTorch's thread count and deterministic mode for the whole process.
    """
    import torch

    from harness.models.embedded.batches import Source
    from harness.models.embedded.copying import plant

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    started = time.perf_counter()
    tokenizer = make_tokenizer(architecture, seed)
    model = make_model(architecture, tokenizer)
    plant(model)
    source = Source(architecture, tokenizer, seed, recipe.batch_size)
    losses = pretrain(model, source, recipe)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    provenance = {
        "architecture": architecture,
        "license": "Apache-2.0",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sha256": {name: sha256(out / name) for name in (WEIGHTS, TOKENIZER)},
        "command": f"python -m harness.models.embedded.build --architecture {architecture} --out DIR"
        f" --seed {seed} --steps {recipe.steps}",
        "seed": seed,
        "recipe": asdict(recipe),
        "pretraining_text_sha256": source.digest.hexdigest(),
        "tokens": source.tokens,
        "final_loss": round(sum(losses[-50:]) / len(losses[-50:]), 4),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "seconds": round(time.perf_counter() - started),
    }
    files.write_text(out / PROVENANCE, json.dumps(provenance, indent=2) + "\n")
    return provenance


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: build one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=ARCHITECTURES, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, tokenizer and provenance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="optimiser steps, if not the recipe's")
    chosen = parser.parse_args(arguments)
    recipe = RECIPES[chosen.architecture]
    if chosen.steps is not None:
        recipe = Recipe(**asdict(recipe) | {"steps": chosen.steps})
    print(json.dumps(build(chosen.architecture, chosen.out, recipe, chosen.seed), indent=2))


if __name__ == "__main__":
    main()
