"""From checked rows to a task: splits that share no input, seeded samples, and a note on what was done."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.errors import DataError
from harness.request import TaskRequest
from harness.tasks.base import Task, compute_fingerprint
from harness.tasks.checks import TOLERATED, Checked, Located, group_by_input, keep_apart, list_first, merge_same_inputs
from methods.types import Example, Limits

HELD_OUT = 0.1
"""Share of the rows that a split takes where the data brings none."""


def assemble(
    request: TaskRequest,
    train: Checked,
    test: Checked | None,
    validation: Checked | None = None,
    *,
    templates: tuple[str, ...],
    limits: Limits,
    most: int,
    drop_shared: bool,
    merge: bool,
) -> Task:
    """Make the splits that are missing, keep them apart, sample them and describe them.

    `most` bounds the examples of a split that is made here. With `drop_shared`, training rows that a held-out
    split shares are left out; otherwise they are a `DataError`. With `merge`, held-out rows that share an
    input become one example with several references.
    """
    notes: list[str] = []
    apart = partial(keep_apart, drop=drop_shared, most=1.0 if request.allow_unusable else TOLERATED)
    if test is None:
        train, test = split(train, "test", request.split_seed, most, merge)
        notes.append(_describe_split("test", test, request))
    else:
        train = apart(train, test, called="test")
        if validation is not None:
            validation = apart(validation, test, called="test")
    if validation is None:
        train, validation = split(train, "validation", request.split_seed, most, merge)
        notes.append(_describe_split("validation", validation, request))
    else:
        train = apart(train, validation, called="validation")

    # A split made here has no list of its own: what was left out of the file stays with the training rows.
    left_out = (*train.left_out, *validation.left_out, *test.left_out)
    if left_out:
        notes.append(f"{len(left_out)} rows left out ({list_first(left_out)})")
    return build(
        request,
        {
            "train": [row.example for row in train.rows],
            "validation": [row.example for row in (merge_same_inputs(validation.rows) if merge else validation.rows)],
            "test": [row.example for row in (merge_same_inputs(test.rows) if merge else test.rows)],
        },
        templates=templates,
        limits=limits,
        note="; ".join(notes) or None,
        left_out=left_out,
    )


def build(
    request: TaskRequest,
    splits: Mapping[str, Sequence[Example]],
    *,
    templates: tuple[str, ...],
    limits: Limits,
    note: str | None = None,
    left_out: tuple[str, ...] = (),
) -> Task:
    """Cut the splits to the amounts that the request allows, and make the task."""
    chosen = {name: sample(examples, name, request) for name, examples in splits.items()}
    return Task(
        name=request.name,
        train=chosen["train"],
        validation=chosen["validation"],
        test=chosen["test"],
        templates=templates if request.template is None else (request.template,),
        limits=limits,
        fingerprint=compute_fingerprint(chosen),
        unusable=len(left_out),
        note=note,
        left_out=left_out,
    )


def sample(examples: Sequence[Example], split_name: str, request: TaskRequest) -> tuple[Example, ...]:
    """At most as many examples as the request allows this split; a larger sample holds every smaller one."""
    amount = getattr(request, f"{split_name}_examples")
    if amount is None or amount >= len(examples):
        return tuple(examples)
    order = list(range(len(examples)))
    random.Random(f"sample/{request.split_seed}/{split_name}").shuffle(order)
    chosen = order[:amount] if split_name == "train" else sorted(order[:amount])
    return tuple(examples[index] for index in chosen)


def split(rows: Checked, name: str, seed: int, most: int, merge: bool) -> tuple[Checked, Checked]:
    """Take a seeded tenth (1 to `most` examples) out as a held-out split; equal inputs stay together.

    With `merge`, rows with equal inputs count as one example. Returns (rest, held out), both in the original
    order. Raises `DataError` where all rows share one input.
    """
    groups = group_by_input(rows.rows)
    if len(groups) < 2:
        raise DataError(f"{rows.origin}: too few different inputs to hold out a {name} split; add rows")
    total = len(groups) if merge else len(rows.rows)
    wanted = min(max(1, int(HELD_OUT * total)), most)
    random.Random(f"split/{seed}/{name}").shuffle(groups)
    taken: set[Located] = set()
    count = 0
    for group in groups:
        size = 1 if merge else len(group)
        if count + size <= wanted:
            taken.update(group)
            count += size
    if not taken:  # every group is larger than the split ought to be
        taken.update(sorted(groups, key=len)[0])
    kept = tuple(row for row in rows.rows if row not in taken)
    held = tuple(row for row in rows.rows if row in taken)
    return replace(rows, rows=kept), replace(rows, rows=held, left_out=())


def _describe_split(name: str, rows: Checked, request: TaskRequest) -> str:
    return f"{name} is a seeded split of {len(rows.rows)} rows of {rows.name} (seed {request.split_seed})"
