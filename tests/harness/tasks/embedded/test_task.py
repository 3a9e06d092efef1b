"""The embedded task is the generated data, whole and unchanged, under the common request."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.tasks import TaskRequest, load_task
from harness.tasks.embedded import generate

FINGERPRINT = "1ef4a730387530ebdf49cfd295142258c37f3d94aeb0b90bbec863f1f8dabdae"


def test_every_generated_dialogue_is_an_example():
    task = load_task(TaskRequest())
    assert [len(split) for split in task.splits.values()] == [2000, 200, 500]
    for name, examples in task.splits.items():
        for item, example in zip(generate(name), examples, strict=True):
            assert (example.id, example.input) == (item.id, item.dialogue)
            assert example.references == tuple(item.summaries)
            assert dict(example.facts) == item.facts
    assert {len(example.references) for example in task.test} == {2}
    assert task.note is None
    assert task.unusable == 0


def test_the_fingerprint_is_that_of_the_first_release():
    """Facts came later; what they were made for must not make old records incomparable."""
    assert load_task(TaskRequest()).fingerprint == FINGERPRINT


def test_no_dialogue_is_in_two_splits():
    splits = [{example.input for example in split} for split in load_task(TaskRequest()).splits.values()]
    assert len(set.union(*splits)) == 2700


def test_the_data_are_fixed_and_the_seed_draws_samples():
    assert load_task(TaskRequest(split_seed=1)).fingerprint == load_task(TaskRequest()).fingerprint
    samples = [load_task(TaskRequest(split_seed=seed, test_examples=20)).test for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]


def test_it_takes_no_data():
    with pytest.raises(SpecError, match="task 'embedded' takes no --data"):
        load_task(TaskRequest(data="x"))
