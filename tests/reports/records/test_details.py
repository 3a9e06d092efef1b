"""What the harness keeps under `details` is typed; what others keep there is theirs."""

from __future__ import annotations

import json

from reports.records.details import (
    BatchSizes,
    CurveDetails,
    Details,
    OutOfMemoryTry,
    SearchDetails,
    SmallerBatches,
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


def test_what_is_written_is_read_again():
    for name, detail in {"tuning": SEARCH, "smaller_batches": SMALLER}.items():
        kept = json.loads(json.dumps({name: write_detail(detail), "mine": {"any": ["thing"]}}))
        assert read_details(kept) == Details(**{name: detail})


def test_what_others_put_beside_it_does_not_matter():
    kept = {"learning_curve": {"every": "steps=5", "examples": 3, "target_quality": None, "evaluation_seconds": 1.5}}
    assert read_details(kept).learning_curve == CurveDetails(every="steps=5", examples=3)


def test_a_name_of_ours_with_another_shape_is_read_as_absent():
    for value in (None, 3, "text", [1], {}, {"fingerprint": 7}, {"fingerprint": ["x"]}):
        assert read_details({"general_text": value}).general_text is None
    assert read_details({"smaller_batches": {"used": {"batch_size": True}}}) == Details()
    assert read_details({"tuning": {"tries": "many"}, "reward": {"name": "judge"}}).reward.name == "judge"
