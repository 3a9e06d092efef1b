"""Where preference pairs come from, and that no test example is among them."""

from __future__ import annotations

import dataclasses

import pytest

from methods.base import Example, Limits
from methods.engine.encoding import Encoder
from methods.errors import UnsupportedError
from methods.feedback import DERIVED_NOTE, Feedback, Preference
from methods.rlhf import pairs

from .conftest import EXAMPLES

FACTS = tuple(
    Example(
        str(i),
        f"#Person1# and #Person2# {i}",
        (f"#Person1# tells #Person2# of town {i} in the north.",),
        (("town", str(i)),),
    )
    for i in range(60)
)


def answer(examples):
    return ["sampled " + example.id for example in examples]


def test_half_are_sampled_and_the_damages_share_the_rest():
    found = pairs.derive_pairs(FACTS, answer, 40, "seed")
    origins = [pair.origin for pair in found]
    assert len(found) == 40
    assert len({pair.id for pair in found}) == 40
    assert origins.count("sample") == 20
    for name in ("fact", "swapped", "other", "cut", "repeated"):
        assert origins.count(name) == 4
    by_id = {example.id: example for example in FACTS}
    for pair in found:
        assert (pair.prompt, pair.chosen) == (by_id[pair.id].input, by_id[pair.id].target)
        assert pair.rejected != pair.chosen
        if pair.origin == "sample":
            assert pair.rejected == f"sampled {pair.id}"


def test_a_sample_that_is_the_reference_is_no_rejected_response():
    found = pairs.derive_pairs(FACTS, lambda examples: [f" {e.target} " for e in examples], 20, "seed")
    assert len(found) == 20
    assert "sample" not in {pair.origin for pair in found}


def test_the_same_seed_gives_the_same_pairs():
    assert pairs.derive_pairs(FACTS, answer, 20, "a") == pairs.derive_pairs(FACTS, answer, 20, "a")
    assert pairs.derive_pairs(FACTS, answer, 20, "a") != pairs.derive_pairs(FACTS, answer, 20, "b")


def test_any_text_can_at_least_be_repeated():
    alike = [Example(str(i), "x", ("no",)) for i in range(4)]
    found = pairs.derive_pairs(alike, lambda e: ["no"] * len(e), 4, "s")
    assert [(p.origin, p.rejected) for p in found] == [("repeated", "no no")] * 4


def test_learned_and_measured_pairs_come_from_their_splits(make_job):
    method, job = make_job(examples=FACTS[:40], validation=FACTS[40:], limits=Limits(64, 60))
    found = pairs.gather_pairs(method, job, Encoder(job.tokenizer, "decoder-only", job.limits), 30, answer)
    assert {pair.id for pair in found.train} <= {example.id for example in FACTS[:40]}
    assert {pair.id for pair in found.heldout} == {example.id for example in FACTS[40:]}
    told = job.observer.told["preferences"]
    assert (told["derived"], told["note"]) == (True, DERIVED_NOTE)
    assert sum(told["train"].values()) == 30
    assert sum(told["heldout"].values()) == 20
    assert [row["split"] for row in job.observer.files["pairs"]] == ["train"] * 30 + ["heldout"] * 20


def test_given_pairs_are_taken_as_they_are(make_job):
    given = (Preference("1", "p", "good", "bad"),)
    held = (Preference("2", "q", "good", "bad"),)
    method, job = make_job(feedback=Feedback(preferences=given, heldout=held))
    encoder = Encoder(job.tokenizer, "decoder-only", job.limits)
    found = pairs.gather_pairs(method, job, encoder, 30, lambda examples: 1 / 0)
    assert (found.train, found.heldout, found.derived) == (given, held, False)
    assert job.observer.told["preferences"]["note"] is None


def test_samples_are_those_of_the_model_and_do_not_disturb_the_dice(make_job):
    import torch

    method, job = make_job()
    encoder = Encoder(job.tokenizer, "decoder-only", job.limits)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    respond = pairs.make_responder(method, job, encoder)
    first = respond(EXAMPLES[:6])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first == respond(EXAMPLES[:6])
    assert len(first) == 6
    other = pairs.make_responder(method, dataclasses.replace(job, seed=1), encoder)
    assert other(EXAMPLES[:6]) != first


def test_pairs_are_encoded_with_the_tasks_first_phrasing(make_job):
    method, job = make_job()
    encoder = Encoder(job.tokenizer, "decoder-only", job.limits)
    ((chosen, rejected),) = pairs.encode_pairs(method, encoder, job.templates, [Preference("1", "fox", "yes", "no")])
    assert job.tokenizer.decode(chosen.prompt) == "Say.\nfox\nAnswer:\n"
    assert chosen.prompt == rejected.prompt
    assert job.tokenizer.decode(chosen.response) == "yes</s>"
    assert job.tokenizer.decode(rejected.response) == "no</s>"


def test_pairs_that_the_token_limit_makes_equal_are_left_out_and_counted(make_job):
    same = Preference("1", "fox", "the same beginning of it", "the same beginning of another")
    other = Preference("2", "fox 2", "yes", "no")
    method, job = make_job(limits=Limits(64, 6), feedback=Feedback(preferences=(same, other), heldout=(other,)))
    found = pairs.gather_pairs(method, job, Encoder(job.tokenizer, "decoder-only", job.limits), 10)
    assert found.train == (other,)
    assert job.observer.told["preferences"]["equal_once_cut"] == 1
    method, job = make_job(limits=Limits(64, 6), feedback=Feedback(preferences=(same,), heldout=(same,)))
    with pytest.raises(UnsupportedError, match="the same once cut"):
        pairs.gather_pairs(method, job, Encoder(job.tokenizer, "decoder-only", job.limits), 10)
