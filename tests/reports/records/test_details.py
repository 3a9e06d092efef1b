"""What the harness keeps under `details` is typed; what others keep there is theirs."""

from __future__ import annotations

import json

from reports.records.details import (
    BatchSizes,
    CheckpointDetails,
    CurveDetails,
    Details,
    LastMeasurements,
    OutOfMemoryTry,
    PairsOrigin,
    PreferencesDetails,
    ResumedDetails,
    RewardDetails,
    SearchDetails,
    SmallerBatches,
    StartDetails,
    read_details,
    write_detail,
)

SEARCH = SearchDetails(
    metric="rougeL",
    split="validation",
    tries=4,
    failed=1,
    seed=0,
    space={"lr": "1e-05 to 0.001"},
    chosen={"lr": 3e-4, "init": "pissa"},
    score=0.25,
    score_as_it_stands=None,
    edge=("lr",),
)
SMALLER = SmallerBatches(
    tried=(OutOfMemoryTry(batch_size=8, accumulation=1, eval_batch_size=32, phase="train", message="no memory"),),
    used=BatchSizes(batch_size=4, accumulation=2, eval_batch_size=32),
)

KEPT = {
    "tuning": SEARCH,
    "smaller_batches": SMALLER,
    "preferences": PreferencesDetails(
        source=PairsOrigin(name="p.jsonl", fingerprint="ab", pairs={"train": 7, "heldout": 1}, unusable=0, note="so")
    ),
    "reward": RewardDetails(name="rouge"),
    "warm_start": StartDetails(trial_id="ab12"),
    "resumed": ResumedDetails(times=2, from_step=8),
    "checkpoint": CheckpointDetails(not_written="Is a directory"),
    "last": LastMeasurements(loss=1.5, host_bytes=1 << 20),
}


def test_what_is_written_is_read_again():
    for name, detail in KEPT.items():
        kept = json.loads(json.dumps({name: write_detail(detail), "mine": {"any": ["thing"]}}))
        assert read_details(kept) == Details(**{name: detail})
        kept = json.loads(json.dumps({name: write_detail(detail, known_only=True)}))
        assert read_details(kept) == Details(**{name: detail})


def test_what_is_not_known_may_be_left_out():
    assert write_detail(CheckpointDetails(set_aside="truncated")) == {"set_aside": "truncated", "not_written": None}
    assert write_detail(CheckpointDetails(set_aside="truncated"), known_only=True) == {"set_aside": "truncated"}
    assert write_detail(LastMeasurements(loss=0.0), known_only=True) == {"loss": 0.0}


def test_parts_that_methods_add_do_not_hide_those_of_the_harness():
    start = {"warm_start": {"from": "lora seed 0", "trial_id": "ab12"}}
    assert read_details(start).warm_start == StartDetails(trial_id="ab12")
    pairs = {"preferences": {"source": {"name": "p.jsonl", "fingerprint": "ab"}, "derived": True, "train": 7}}
    assert read_details(pairs).preferences == PreferencesDetails(source=PairsOrigin(name="p.jsonl", fingerprint="ab"))


def test_what_others_put_beside_it_does_not_matter():
    kept = {"learning_curve": {"every": "steps=5", "examples": 3, "target_quality": None, "evaluation_seconds": 1.5}}
    assert read_details(kept).learning_curve == CurveDetails(every="steps=5", examples=3)


def test_a_name_of_ours_with_another_shape_is_read_as_absent():
    for value in (None, 3, "text", [1], {}, {"fingerprint": 7}, {"fingerprint": ["x"]}):
        assert read_details({"general_text": value}).general_text is None
    assert read_details({"smaller_batches": {"used": {"batch_size": True}}}) == Details()
    assert read_details({"tuning": {"tries": "many"}, "reward": {"name": "judge"}}).reward.name == "judge"
