"""A run directory of many records, made from one that a trial left: what a large comparison looks like to `report`.

python -m tests.benchmarks.many_records DIR --variants 45 --seeds 2 --examples 250
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from reports.records.record import Record, dump, load

TEMPLATE = Path(__file__).resolve().parents[1] / "reports" / "golden" / "versions" / "3.json"
SCORED = {"rouge1": 0.02, "rouge2": -0.1, "rougeL": 0.0, "rougeLsum": 0.01, "heldout_loss": 1.0}
"""Metrics with a value for each example, and how far they lie above ROUGE-L."""
PASSAGES = 40
"""Passages of the general text, whose losses have one value each as well."""


def many_records(variants: int, seeds: int, examples: int) -> Iterator[Record]:
    """A base, and so many variants with so many seeds; a few variants are better than the others."""
    record = load(TEMPLATE.read_text(encoding="utf-8"))
    difficulty = np.random.default_rng(0).beta(2, 5, examples)
    names = ["base", *(f"method{number % 15}[r={number}]" for number in range(variants))]
    for number, name in enumerate(names):
        better = 0.01 * (number % 10) if number else -0.1
        for seed in range(seeds if number else 1):
            dice = np.random.default_rng([number, seed])
            quality = np.clip(difficulty + better + dice.normal(0, 0.01) + dice.normal(0, 0.1, examples), 0, 1)
            scores = {metric: np.clip(quality + above, 0, None) for metric, above in SCORED.items()}
            scores |= {metric: dice.normal(3.0, 0.5, PASSAGES) for metric in ("general_loss", "forgetting")}
            measured = {
                metric: value * float(dice.uniform(0.9, 1.1))
                for metric, value in record.metrics.items()
                if value is not None and metric.endswith(("seconds", "per_second", "peak_host_bytes"))
            }
            yield dataclasses.replace(
                record,
                trial_id=hashlib.sha256(f"{name} {seed}".encode()).hexdigest()[:16],
                role="candidate" if number else "base",
                variant=name,
                method=name.split("[")[0],
                settings={**record.settings, "r": number} if number else {},
                changed={"r": number} if number else {},
                seed=seed,
                task=dataclasses.replace(record.task, examples={**record.task.examples, "test": examples}),
                metrics={
                    **record.metrics,
                    "total_seconds": 60.0 + float(dice.uniform(0, 10)),
                    "peak_tensor_bytes": 1_000_000 + 10_000 * number,
                    **measured,
                    **{metric: float(np.mean(values)) for metric, values in scores.items()},
                },
                scores={metric: tuple(map(float, values)) for metric, values in scores.items()},
                log=None,
            )


def write_run(directory: Path, variants: int, seeds: int, examples: int) -> None:
    """Write the records into a run directory."""
    folder = directory / "records"
    folder.mkdir(parents=True)
    for record in many_records(variants, seeds, examples):
        (folder / f"{record.trial_id}.json").write_text(dump(record), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--variants", type=int, default=45)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--examples", type=int, default=250)
    arguments = parser.parse_args()
    write_run(arguments.directory, arguments.variants, arguments.seeds, arguments.examples)


if __name__ == "__main__":
    main()
