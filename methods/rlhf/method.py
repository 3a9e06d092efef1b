"""`rlhf`: reinforcement learning from feedback, the whole pipeline (Stiennon et al. 2020; Ouyang et al. 2022).

Supervised warm start → preference pairs → reward model → policy optimisation with a KL penalty to the warm start. Each
stage has time, memory and metrics of its own in the record.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from methods.knobs import knob
from methods.rlhf.staged import StagedConfig, StagedMethod, StageRunner
from methods.types import Example, State, TrainingJob, require

if TYPE_CHECKING:
    import torch

    from methods.rlhf.policy import Reward
    from methods.rlhf.rollouts import Rollouts

MIN_PAIR_ACCURACY = 0.55
"""Held-out pair accuracy below which a reward model is noise, and optimising it would only look like training."""


@dataclass(frozen=True, kw_only=True)
class RLHFConfig(StagedConfig):
    """Knobs of RLHF. Defaults without a source were chosen on the embedded models: docs/rlhf.md."""

    algorithm: Literal["rloo", "grpo", "ppo"] = knob(
        "rloo",
        "How rewards become advantages; docs/rlhf.md tells them apart. The default has the fewest parts.",
    )
    reward_model: float = knob(0.2, "Share of the budget for the reward model; unspent where `--reward` replaces it.")
    reward_pairs: int = knob(
        16,
        "Pairs in a batch of the reward model, however many examples a batch of supervised training holds.",
    )
    reward_learning_rate: float = knob(1e-4, "Peak rate of the reward model; TRL's default for `RewardTrainer`.")
    policy_learning_rate: float = knob(
        2e-5,
        "Peak rate of the policy: a tenth of the warm start's, since each step's gradient is a noisy estimate.",
    )
    prompts: int = knob(8, "Prompts in one batch of samples.")
    samples: int = knob(4, "Responses to each prompt; Ahmadian et al. 2024 use 2 and 4.")
    updates: int = knob(1, "Optimiser steps on each batch of samples; PPO papers use 4, on-policy methods 1.")
    temperature: float = knob(1.0, "Of sampling.")
    kl: float = knob(
        0.05,
        "Weight of the KL penalty, in standard deviations of reward per nat; 0.05 in Stiennon et al. 2020.",
    )
    kl_target: float = knob(0.0, "Nats per response that the weight adapts to (Ziegler et al. 2019); 0 keeps it fixed.")
    clip: float = knob(0.2, "Ratios of new to old probability count only within 1 ± this; 0.2 in Schulman et al. 2017.")
    end_penalty: float = knob(
        1.0,
        "Taken from the reward of a response without an end token, in standard deviations of reward.",
    )
    supervised_weight: float = knob(
        0.0,
        "Weight of a supervised loss on the references of a batch's prompts, beside the policy's own: PPO-ptx in "
        "Ouyang et al. 2022, which keeps a policy from losing what it could do. 0 leaves it out.",
    )
    smoothing: float = knob(0.95, "GAE's λ, for `ppo`; 0.95 in Stiennon et al. 2020.")
    value_learning_rate: float = knob(1e-3, "Peak rate of the critic, for `ppo`.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.reward_model > 0, "reward_model", "must be above 0")
        require(self.warm_start + self.reward_model < 1, "reward_model", "must leave some budget beside warm_start")
        for name in ("reward_learning_rate", "policy_learning_rate", "value_learning_rate", "temperature", "clip"):
            require(getattr(self, name) > 0, name, "must be above 0")
        for name in ("kl", "kl_target", "end_penalty", "supervised_weight"):
            require(getattr(self, name) >= 0, name, "must not be negative")
        require(self.kl > 0 or not self.kl_target, "kl", "must be above 0 for a kl_target: the weight is multiplied")
        require(self.reward_pairs >= 1, "reward_pairs", "must be at least 1")
        require(self.prompts >= 1, "prompts", "must be at least 1")
        require(self.samples >= 2, "samples", "must be at least 2: a response is judged beside the others")
        require(self.updates >= 1, "updates", "must be at least 1")
        require(0 <= self.smoothing <= 1, "smoothing", "must be from 0 to 1")


class RLHF(StagedMethod):
    """Reinforcement learning from human or derived feedback."""

    name = "rlhf"
    summary = "warm start → preferences → reward model → policy optimisation (Ouyang et al. 2022)"
    Config: ClassVar[type[Any]] = RLHFConfig
    feedback: ClassVar[frozenset[str]] = frozenset({"preferences", "reward"})

    def learn(self, ledger: StageRunner) -> None:
        """Preferences, reward model, policy."""
        from methods.engine.encoding import Encoder
        from methods.rlhf import heldout, pairs, policy
        from methods.rlhf.roles import REFERENCE, REWARD

        job, config, observer, roles = ledger.job, self.config, ledger.job.observer, ledger.roles
        encoder = Encoder(job.tokenizer, job.facts.family, job.limits)
        roles.keep(REFERENCE)
        given = job.feedback.reward
        measured: list[Any] = []
        if given is None or job.feedback.preferences:
            found = self.preferences(ledger, encoder)
            measured = pairs.encode_pairs(self, encoder, job.templates, found.heldout)
        if given is None:
            reward = self._learned_reward(ledger, encoder, found, measured)
        else:
            ledger.skip(config.reward_model)
            reward = _wrap_given_reward(job)
            observer.details({"reward": {"name": given.name}})
        measure = heldout.PolicyEvaluator(self, job, roles, encoder, reward)

        def policy_now() -> tuple[heldout.PolicyEvaluation, float | None]:
            return measure(), heldout.measure_preference_accuracy(job.model, job, encoder, measured)

        def optimise() -> dict[str, Any]:
            optimiser = policy.PolicyOptimiser(self, ledger.part("policy", ledger.left), roles, encoder, reward)
            optimiser.run()
            curve = policy.thin_out(optimiser.curve)
            observer.details({"policy": {"algorithm": config.algorithm, "curve": curve}})
            observer.metrics(optimiser.speed.metrics())
            return {}

        def compare() -> dict[str, Any]:
            after, accuracy_after = policy_now()
            accuracies = {"preference_accuracy_start": accuracy, "preference_accuracy_final": accuracy_after}
            observer.metrics({**heldout.compare_policies(before, after), **accuracies})
            observer.rows("samples", heldout.list_side_by_side(before, after))
            return {}

        before, accuracy = ledger.stage(
            "held_out_start",
            policy_now,
            keep=lambda made: State(values={"policy": made[0].values(), "accuracy": made[1]}),
            take=lambda state: (heldout.PolicyEvaluation.of(state.values["policy"]), state.values["accuracy"]),
        )
        ledger.stage("policy", optimise)
        ledger.stage("held_out_final", compare)
        roles.drop(REFERENCE)
        if given is None:
            roles.drop(REWARD)

    def _learned_reward(self, ledger: StageRunner, encoder: Any, found: Any, measured: Any) -> Reward:
        """Train the reward model. Raises `RewardModelError` where it tells good from bad no better than chance."""
        from methods.engine.training_state import load_weights
        from methods.errors import RewardModelError
        from methods.rlhf import pairs, reward_model

        observer, roles, size = ledger.job.observer, ledger.roles, self.config.reward_pairs

        def sized(job: TrainingJob) -> TrainingJob:
            batch = math.gcd(job.batch_size, size)
            return dataclasses.replace(job, batch_size=batch, accumulation=size // batch)

        def train() -> tuple[reward_model.TrainedRewardModel, float]:
            part = sized(ledger.part("reward_model", self.config.reward_model, evaluable=False))
            rates = dataclasses.replace(self.config, learning_rate=self.config.reward_learning_rate)
            encoded = pairs.encode_pairs(self, encoder, ledger.job.templates, found.train)
            judge, scores, curve = reward_model.train_reward_model(
                part, roles, encoder, rates, encoded, measured, found.heldout
            )
            observer.metrics(
                {
                    "pair_accuracy": scores.accuracy,
                    "pair_margin": scores.margin,
                    "pair_calibration_error": scores.calibration_error,
                }
            )
            told = {"accuracy_by_origin": scores.by_origin, "calibration": list(scores.bins), "curve": curve}
            observer.details({"reward": {"name": "reward model", **told}})
            with observer.keep("reward_model") as folder:
                judge.keep(folder)
            return judge, scores.accuracy

        def take(state: State) -> tuple[reward_model.TrainedRewardModel, float]:
            judge = reward_model.make_untrained(sized(ledger.job), roles, encoder)
            load_weights(judge.weights(), state.tensors)
            return judge, state.values["accuracy"]

        judge, accuracy = ledger.stage(
            "reward_model", train, keep=lambda made: State(made[0].weights(), {"accuracy": made[1]}), take=take
        )
        if accuracy < MIN_PAIR_ACCURACY:
            raise RewardModelError(
                f"the reward model ranks {accuracy:.0%} of the held-out pairs rightly, less than "
                f"{MIN_PAIR_ACCURACY:.0%}: optimising it would be optimising noise; "
                "give it more pairs or a larger share"
            )

        def reward(examples: Sequence[Example], rollouts: Rollouts) -> torch.Tensor:
            return judge.rewards(rollouts.rows())

        return reward


def _wrap_given_reward(job: TrainingJob) -> Reward:
    scorer = job.feedback.reward
    assert scorer is not None

    def reward(examples: Sequence[Example], rollouts: Rollouts) -> torch.Tensor:
        import torch

        inputs, references = [e.input for e in examples], [e.references for e in examples]
        return torch.tensor(list(scorer(inputs, rollouts.texts, references)), dtype=torch.float32)

    return reward
