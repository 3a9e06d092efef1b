"""What methods that learn from preferences or rewards are given: found when a run is planned, loaded in the worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import rewards
from harness.errors import DataError
from harness.preferences import Preferences, load_preferences
from harness.rewards import RewardSource, rouge_scorer
from harness.spec import Spec
from harness.tasks import Task, TaskRequest, load_task
from methods.base import Method
from methods.feedback import Feedback


@dataclass(frozen=True)
class Given:
    """Pairs and reward of a spec. Each of its methods sees what its `feedback` names, and nothing else."""

    preferences: Preferences | None = None
    reward: RewardSource | None = None
    path: str | None = None
    """Where the pairs come from, as the user gave it; never goes into a record."""

    def identity(self, method: Method) -> dict[str, Any]:
        """What makes a trial of the method another one."""
        pairs, reward = self._seen_by(method)
        return {
            **({"preferences": pairs.fingerprint} if pairs else {}),
            **({"reward": [reward.name, reward.revision]} if reward else {}),
        }

    def request(self, method: Method) -> dict[str, Any]:
        """What the worker is told of it."""
        pairs, reward = self._seen_by(method)
        return {
            "preferences": {"path": self.path, "fingerprint": pairs.fingerprint} if pairs else None,
            "reward": dataclasses.asdict(reward) if reward else None,
        }

    def details(self, method: Method) -> dict[str, Any]:
        """What the record of a trial of the method says of it."""
        pairs, reward = self._seen_by(method)
        return {
            **({"preferences": {"source": pairs.facts()}} if pairs else {}),
            **({"reward": reward.facts()} if reward else {}),
        }

    def _seen_by(self, method: Method) -> tuple[Preferences | None, RewardSource | None]:
        return (
            self.preferences if "preferences" in method.feedback else None,
            self.reward if "reward" in method.feedback else None,
        )


def given_by(spec: Spec, task: Task) -> Given:
    """Find and check what the spec gives besides examples. Raises `HarnessError` with one sentence."""
    reward = rewards.resolve(spec.reward, trust_remote_code=spec.trust_remote_code) if spec.reward else None
    pairs = _load(spec.preferences, task, spec.task) if spec.preferences else None
    return Given(pairs, reward, spec.preferences)


def feedback_of(request: Mapping[str, Any], task: Task) -> Feedback:
    """The pairs that were given, the reward that was asked for, and the task's own quality metric; in the worker."""
    pairs = reward = None
    if told := request.get("preferences"):
        pairs = _load(told["path"], task, TaskRequest(**request["task"]))
        if pairs.fingerprint != told["fingerprint"]:
            raise DataError("the preferences changed after the run was planned; start the run again")
    if told := request.get("reward"):
        reward = rewards.scorer(
            RewardSource(**told),
            device=request["device"],
            dtype=request["dtype"],
            batch_size=request["decoding"]["batch_size"],
            trust_remote_code=request["trust_remote_code"],
        )
    return Feedback(
        preferences=pairs.train if pairs else (),
        heldout=pairs.heldout if pairs else (),
        reward=reward,
        quality=rouge_scorer(),
        start=Path(request["start"]) if request.get("start") else None,
    )


def _load(source: str, task: Task, request: TaskRequest) -> Preferences:
    if request.test_examples is not None:  # no pair comes from the test split, whatever part of it is used
        task = load_task(dataclasses.replace(request, test_examples=None))
    return load_preferences(source, task, seed=request.split_seed, allow_unusable=request.allow_unusable)
