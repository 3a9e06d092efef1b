"""`rlhf`: reinforcement learning from feedback, the whole pipeline (Stiennon et al. 2020; Ouyang et al. 2022).

Supervised warm start → preference pairs → reward model → policy optimisation with a KL penalty to the warm start. The
record has time, memory and metrics of each stage.
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
"""A reward model with a lower held-out pair accuracy is treated as noise that is not worth optimising."""


@dataclass(frozen=True, kw_only=True)
class RLHFConfig(StagedConfig):
    """Knobs of RLHF. Defaults without a source were chosen on the embedded models: docs/rlhf.md."""

    algorithm: Literal["rloo", "grpo", "ppo"] = knob(
        "rloo",
        "How rewards become advantages; docs/rlhf.md compares them. The default is the simplest.",
    )
    reward_model: float = knob(
        0.2, "Share of the budget for the reward model; not used if `--reward` replaces the reward model."
    )
    reward_pairs: int = knob(
        16,
        "Pairs per batch of the reward model, independent of the batch size of supervised training.",
    )
    reward_learning_rate: float = knob(
        1e-4, "Peak learning rate of the reward model; the default of TRL's `RewardTrainer`."
    )
    policy_learning_rate: float = knob(
        2e-5,
        "Peak learning rate of the policy: a tenth of the warm start's, since the gradient of each step is noisy.",
    )
    prompts: int = knob(8, "Prompts per batch of sampled responses.")
    samples: int = knob(4, "Responses sampled for each prompt; Ahmadian et al. 2024 use 2 and 4.")
    updates: int = knob(1, "Optimiser steps per batch of sampled responses; PPO papers use 4, on-policy methods 1.")
    temperature: float = knob(1.0, "Sampling temperature.")
    kl: float = knob(
        0.05,
        "Weight of the KL penalty, in standard deviations of the reward per nat; 0.05 in Stiennon et al. 2020.",
    )
    kl_target: float = knob(
        0.0, "Target KL in nats per response, to which `kl` is adapted (Ziegler et al. 2019); 0 keeps `kl` fixed."
    )
    clip: float = knob(
        0.2, "The ratio of new to old probability is clipped to 1 ± this value; 0.2 in Schulman et al. 2017."
    )
    end_penalty: float = knob(
        1.0,
        "Subtracted from the reward of a response without an end token, in standard deviations of the reward.",
    )
    supervised_weight: float = knob(
        0.0,
        "Weight of an additional supervised loss on the references of a batch's prompts (PPO-ptx, Ouyang et al. 2022), "
        "which keeps the policy from forgetting the task. 0 leaves it out.",
    )
    smoothing: float = knob(0.95, "GAE's λ, for `ppo`; 0.95 in Stiennon et al. 2020.")
    value_learning_rate: float = knob(1e-3, "Peak learning rate of the critic, for `ppo`.")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.reward_model > 0, "reward_model", "must be above 0")
        require(self.warm_start + self.reward_model < 1, "reward_model", "must leave some budget beside warm_start")
        for name in ("reward_learning_rate", "policy_learning_rate", "value_learning_rate", "temperature", "clip"):
            require(getattr(self, name) > 0, name, "must be above 0")
        for name in ("kl", "kl_target", "end_penalty", "supervised_weight"):
            require(getattr(self, name) >= 0, name, "must not be negative")
        require(self.kl > 0 or not self.kl_target, "kl", "must be above 0 with a kl_target, which multiplies it")
        require(self.reward_pairs >= 1, "reward_pairs", "must be at least 1")
        require(self.prompts >= 1, "prompts", "must be at least 1")
        require(
            self.samples >= 2, "samples", "must be at least 2: responses to one prompt are compared with each other"
        )
        require(self.updates >= 1, "updates", "must be at least 1")
        require(0 <= self.smoothing <= 1, "smoothing", "must be from 0 to 1")


class RLHF(StagedMethod):
    """Reinforcement learning from human or derived feedback."""

    name = "rlhf"
    summary = "warm start → preferences → reward model → policy optimisation (Ouyang et al. 2022)"
    Config: ClassVar[type[Any]] = RLHFConfig
    feedback: ClassVar[frozenset[str]] = frozenset({"preferences", "reward"})

    def learn(self, runner: StageRunner) -> None:
        """Gather preferences, train the reward model, optimise the policy."""
        from methods.engine.encoding import Encoder
        from methods.rlhf import heldout, pairs, policy
        from methods.rlhf.roles import REFERENCE, REWARD

        job, config, observer, roles = runner.job, self.config, runner.job.observer, runner.roles
        encoder = Encoder(job.tokenizer, job.facts.family, job.limits)
        roles.keep(REFERENCE)
        given = job.feedback.reward
        measured: list[Any] = []
        if given is None or job.feedback.preferences:
            found = self.preferences(runner, encoder)
            measured = pairs.encode_pairs(self, encoder, job.templates, found.heldout)
        if given is None:
            reward = self._train_reward(runner, encoder, found, measured)
        else:
            runner.skip(config.reward_model)
            reward = _wrap_given_reward(job)
            observer.details({"reward": {"name": given.name}})
        measure = heldout.PolicyEvaluator(self, job, roles, encoder, reward)

        def policy_now() -> tuple[heldout.PolicyEvaluation, float | None]:
            return measure(), heldout.measure_preference_accuracy(job.model, job, encoder, measured)

        def optimise() -> dict[str, Any]:
            optimiser = policy.PolicyOptimiser(self, runner.part("policy", runner.left), roles, encoder, reward)
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

        before, accuracy = runner.stage(
            "held_out_start",
            policy_now,
            keep=lambda made: State(values={"policy": made[0].values(), "accuracy": made[1]}),
            take=lambda state: (heldout.PolicyEvaluation.of(state.values["policy"]), state.values["accuracy"]),
        )
        runner.stage("policy", optimise)
        runner.stage("held_out_final", compare)
        roles.drop(REFERENCE)
        if given is None:
            roles.drop(REWARD)

    def _train_reward(self, runner: StageRunner, encoder: Any, found: Any, measured: Any) -> Reward:
        """Train the reward model. Raises `RewardModelError` if it ranks pairs hardly better than chance."""
        from methods.engine.training_state import load_weights
        from methods.errors import RewardModelError
        from methods.rlhf import pairs, reward_model

        observer, roles, size = runner.job.observer, runner.roles, self.config.reward_pairs

        def sized(job: TrainingJob) -> TrainingJob:
            batch = math.gcd(job.batch_size, size)
            return dataclasses.replace(job, batch_size=batch, accumulation=size // batch)

        def train() -> tuple[reward_model.TrainedRewardModel, float]:
            part = sized(runner.part("reward_model", self.config.reward_model, evaluable=False))
            rates = dataclasses.replace(self.config, learning_rate=self.config.reward_learning_rate)
            encoded = pairs.encode_pairs(self, encoder, runner.job.templates, found.train)
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
            judge = reward_model.make_untrained(sized(runner.job), roles, encoder)
            load_weights(judge.weights(), state.tensors)
            return judge, state.values["accuracy"]

        judge, accuracy = runner.stage(
            "reward_model", train, keep=lambda made: State(made[0].weights(), {"accuracy": made[1]}), take=take
        )
        if accuracy < MIN_PAIR_ACCURACY:
            raise RewardModelError(
                f"the reward model ranks {accuracy:.0%} of the held-out pairs correctly, less than "
                f"{MIN_PAIR_ACCURACY:.0%}: optimising it would be optimising noise; "
                "give it more pairs or a larger share"
            )

        def reward(examples: Sequence[Example], rollouts: Rollouts) -> torch.Tensor:
            return judge.score(rollouts.rows())

        return reward


def _wrap_given_reward(job: TrainingJob) -> Reward:
    scorer = job.feedback.reward
    assert scorer is not None

    def reward(examples: Sequence[Example], rollouts: Rollouts) -> torch.Tensor:
        import torch

        inputs, references = [e.input for e in examples], [e.references for e in examples]
        return torch.tensor(list(scorer(inputs, rollouts.texts, references)), dtype=torch.float32)

    return reward
