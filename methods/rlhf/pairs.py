"""Preference pairs of a trial: given ones, or pairs derived from reference texts.

In a derived pair the reference is preferred; the rejected response is a sample of the warm-started model or the
reference damaged in a known way. No human judged derived pairs, and the record says so. Pairs to learn from come from
the training split, pairs to measure on from the validation split; the test split is never used.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from methods.base import Method
from methods.engine.encoding import Encoded, Encoder
from methods.errors import UnsupportedError
from methods.feedback import DERIVED_NOTE, Preference
from methods.rlhf.damage import DAMAGES
from methods.types import Example, State, TrainingJob

SAMPLED_SHARE = 0.5
"""Share of derived pairs whose rejected response is sampled. The kinds of damage share the rest."""
MOST_HELD_OUT = 200
"""Maximum number of pairs that are derived to measure on."""

Respond = Callable[[Sequence[Example]], Sequence[str]]
"""One sampled response to each example."""


@dataclass(frozen=True)
class Pairs:
    """Pairs to learn from, and held-out pairs of other prompts to measure on."""

    train: tuple[Preference, ...]
    heldout: tuple[Preference, ...]
    derived: bool

    def describe(self) -> dict[str, Any]:
        """Counts by origin, for the record."""
        return {
            "derived": self.derived,
            "note": DERIVED_NOTE if self.derived else None,
            "train": dict(sorted(Counter(pair.origin for pair in self.train).items())),
            "heldout": dict(sorted(Counter(pair.origin for pair in self.heldout).items())),
        }

    def state(self) -> State:
        """What a checkpoint saves: derived pairs, which contain sampled text. Given pairs will be given again."""
        if not self.derived:
            return State()
        return State(values={name: [dataclasses.asdict(pair) for pair in getattr(self, name)] for name in _PARTS})

    @classmethod
    def of(cls, state: State) -> Pairs | None:
        """Return the pairs that `state` saved, if any."""
        if not state.values:
            return None
        train, heldout = (tuple(Preference(**pair) for pair in state.values[name]) for name in _PARTS)
        return cls(train, heldout, derived=True)


_PARTS = ("train", "heldout")


def gather_pairs(
    method: Method, job: TrainingJob, encoder: Encoder, most: int, respond: Respond | None = None
) -> Pairs:
    """Return the given pairs, or at most `most` derived ones; report them to the observer and save them for inspection.

    `respond` samples responses for derived pairs; by default the job's model does. Raises `UnsupportedError` if chosen
    and rejected responses are the same in all pairs after they are cut to the token limits.
    """
    respond = respond or make_responder(method, job, encoder)
    given = job.feedback.preferences
    if given:
        pairs = Pairs(given, job.feedback.heldout, derived=False)
    else:
        pairs = Pairs(
            derive_pairs(job.examples, respond, most, f"pairs/{job.seed}"),
            derive_pairs(job.validation, respond, MOST_HELD_OUT, f"held-out pairs/{job.seed}"),
            derived=True,
        )
    kept = Pairs(
        train=drop_equal_pairs(method, encoder, job.templates, pairs.train),
        heldout=drop_equal_pairs(method, encoder, job.templates, pairs.heldout),
        derived=pairs.derived,
    )
    equal = len(pairs.train) - len(kept.train) + len(pairs.heldout) - len(kept.heldout)
    if not kept.train or (pairs.heldout and not kept.heldout):
        raise UnsupportedError("chosen and rejected responses are the same once cut; raise --target-tokens")
    job.observer.details({"preferences": {**kept.describe(), "equal_once_cut": equal}})
    job.observer.rows(
        "pairs",
        [
            {"split": split, "id": pair.id, "origin": pair.origin, "prompt": pair.prompt, "chosen": pair.chosen,
             "rejected": pair.rejected}
            for split, part in (("train", kept.train), ("heldout", kept.heldout))
            for pair in part
        ],
    )  # fmt: skip
    return kept


def derive_pairs(examples: Sequence[Example], respond: Respond, most: int, seed: str) -> tuple[Preference, ...]:
    """Derive one pair for each of at most `most` examples. At least `repeated` works for any text."""
    dice = random.Random(seed)
    chosen = dice.sample(list(examples), min(most, len(examples)))
    sampled = round(SAMPLED_SHARE * len(chosen))
    responses = dict(zip((example.id for example in chosen[:sampled]), respond(chosen[:sampled]), strict=True))
    names = list(DAMAGES)
    pairs = []
    for number, example in enumerate(chosen):
        response = responses.get(example.id, "")
        if response.strip() and not _is_same_text(response, example.target):
            pairs.append(Preference(example.id, example.input, example.target, response, "sample"))
            continue
        others = dice.sample(list(examples), min(32, len(examples)))
        others = [other for other in others if other.input != example.input]
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            damaged = DAMAGES[name](example, others, dice)
            if damaged and damaged.strip() and not _is_same_text(damaged, example.target):
                pairs.append(Preference(example.id, example.input, example.target, damaged, name))
                break
    return tuple(pairs)


def make_responder(method: Method, job: TrainingJob, encoder: Encoder) -> Respond:
    """Return a function that samples one response to each example from the job's model."""
    from methods.rlhf.rollouts import sample_responses

    def respond(examples: Sequence[Example]) -> list[str]:
        import torch

        encoded = encoder.encode_all([method.write(example, job.templates, 0) for example in examples])
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i].prompt))
        texts = [""] * len(encoded)
        with torch.random.fork_rng():
            torch.manual_seed(job.seed)
            for start in range(0, len(order), size := 4 * job.batch_size):
                chosen = order[start : start + size]
                found = sample_responses(
                    job.model, encoder, [encoded[i] for i in chosen], method.generate, samples=1, temperature=1.0
                )
                for i, text in zip(chosen, found.texts, strict=True):
                    texts[i] = text
        return texts

    return respond


def drop_equal_pairs(
    method: Method, encoder: Encoder, templates: Sequence[str], pairs: Sequence[Preference]
) -> tuple[Preference, ...]:
    """Drop pairs whose responses are the same after they are cut to the token limits."""
    encoded = encode_pairs(method, encoder, templates, pairs)
    return tuple(pair for pair, (c, r) in zip(pairs, encoded, strict=True) if c.response != r.response)


def encode_pairs(
    method: Method, encoder: Encoder, templates: Sequence[str], pairs: Sequence[Preference]
) -> list[tuple[Encoded, Encoded]]:
    """Encode (chosen, rejected) of each pair as token ids, in the task's first phrasing."""
    if not pairs:
        return []

    def written(responses: Sequence[str]) -> list[Encoded]:
        return encoder.encode_all(
            [
                method.write(Example(pair.id, pair.prompt, (response,)), templates, 0)
                for pair, response in zip(pairs, responses, strict=True)
            ]
        )

    return list(zip(written([p.chosen for p in pairs]), written([p.rejected for p in pairs]), strict=True))


def _is_same_text(first: str, second: str) -> bool:
    return first.split() == second.split()
