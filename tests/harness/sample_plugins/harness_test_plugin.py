"""A method for tests, as a plugin would bring it: torch-free, goes on from a toy, learns from pairs and a reward."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from methods.base import TrainingJob
from methods.toy import Toy, ToyConfig


@dataclass(frozen=True, kw_only=True)
class FollowerConfig(ToyConfig):
    """Knobs of the follower."""

    start: str = ""
    """Variant to go on from; empty for none."""


class Follower(Toy):
    """Goes on counting where another trial stopped, and tells what it was given."""

    name = "follower"
    summary = "goes on from a toy"
    Config = FollowerConfig
    feedback = frozenset({"preferences", "reward"})

    @property
    def starts_from(self) -> str | None:
        return self.config.start or None

    def train(self, job: TrainingJob) -> None:
        given = job.feedback
        told: dict[str, Any] = {"pairs": [[pair.id, pair.prompt] for pair in given.preferences + given.heldout]}
        if given.start is not None:
            job.model.steps = told["started_at"] = json.loads((given.start / "toy.json").read_text())["steps"]
        if given.reward is not None:
            with job.observer.stage("policy"):
                prompts = [example.input for example in job.validation]
                answers = [job.model.answer(prompt)[0] for prompt in prompts]
                told["rewards"] = given.reward(prompts, answers, [example.references for example in job.validation])
        job.observer.details({"follower": told, "preferences": {"derived": not given.preferences}})
        super().train(job)
