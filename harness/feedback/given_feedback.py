"""The preference pairs and the reward that the user gives: found when a run is planned, loaded in the worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.feedback import rewards
from harness.feedback.preferences import Preferences, load_preferences
from harness.feedback.rewards import make_rouge_scorer
from harness.request import PairsSource, RequestPart, RewardSource, Split, TaskRequest, TrialRequest
from harness.tasks import Task, load_task
from methods.base import Method
from methods.feedback import Feedback
from reports.records.details import PreferencesDetails, write_detail


@dataclass(frozen=True)
class GivenFeedback:
    """Pairs and reward of a spec. Each of its methods sees what its `feedback` names, and nothing else."""

    preferences: Preferences | None = None
    reward: RewardSource | None = None
    path: str | None = None
    """Where the pairs come from, as the user gave it; never goes into a record."""

    def identity(self, method: Method, split: Split) -> Mapping[str, Any]:
        """What the pairs hold, and which reward it is."""
        pairs, reward = self.select(method)
        return {
            **({"preferences": pairs.fingerprint} if pairs else {}),
            **({"reward": [reward.name, reward.revision]} if reward else {}),
        }

    def request(self, method: Method, split: Split) -> RequestPart:
        """Where the worker finds them again."""
        pairs, reward = self.select(method)
        source = PairsSource(self.path, pairs.fingerprint) if pairs and self.path else None
        return RequestPart(preferences=source, reward=reward)

    def details(self, method: Method, split: Split) -> Mapping[str, Any]:
        """Which pairs and which reward the method learned from."""
        pairs, reward = self.select(method)
        return {
            **({"preferences": write_detail(PreferencesDetails(source=pairs.describe()))} if pairs else {}),
            **({"reward": write_detail(reward.describe())} if reward else {}),
        }

    def select(self, method: Method) -> tuple[Preferences | None, RewardSource | None]:
        """What a method learns from, of what was given."""
        return (
            self.preferences if "preferences" in method.feedback else None,
            self.reward if "reward" in method.feedback else None,
        )


def find_feedback(
    preferences: str | None, reward: str | None, task: Task, request: TaskRequest, *, trust_remote_code: bool = False
) -> GivenFeedback:
    """Find and check what the user gives besides examples. Raises `HarnessError` with one sentence."""
    source = rewards.resolve_reward(reward, trust_remote_code=trust_remote_code) if reward else None
    pairs = _load_pairs(preferences, task, request) if preferences else None
    return GivenFeedback(pairs, source, preferences)


def load_feedback(request: TrialRequest, task: Task) -> Feedback:
    """The pairs that were given, the reward that was asked for, and the task's own quality metric; in the worker."""
    pairs = reward = None
    if request.preferences is not None:
        pairs = _load_pairs(request.preferences.path, task, request.task)
        if pairs.fingerprint != request.preferences.fingerprint:
            raise DataError("the preferences changed after the run was planned; start the run again")
    if request.reward is not None:
        reward = rewards.load_reward(
            request.reward,
            device=request.device,
            dtype=request.dtype,
            batch_size=request.decoding.batch_size,
            trust_remote_code=request.trust_remote_code,
        )
    return Feedback(
        preferences=pairs.train if pairs else (),
        heldout=pairs.heldout if pairs else (),
        reward=reward,
        quality=make_rouge_scorer(),
        start=Path(request.places.start) if request.places and request.places.start else None,
    )


def _load_pairs(source: str, task: Task, request: TaskRequest) -> Preferences:
    if request.test_examples is not None:  # no pair comes from the test split, whatever part of it is used
        task = load_task(dataclasses.replace(request, test_examples=None))
    return load_preferences(source, task, seed=request.split_seed, allow_unusable=request.allow_unusable)
