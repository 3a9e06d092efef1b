"""Fair tuning: every method gets the same number of tries with the same budget, judged on the validation split alone.

The first try is the method as it stands. Those that follow spread evenly over the space (a shifted Halton sequence),
and from the eleventh on Optuna's TPE goes by what was found (Bergstra et al. 2011). With the same seed and the same
results the same settings come up again, so that an interrupted search goes on where it was, and one with more tries
begins with those of the shorter one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.planning.plan import Choice, Plan
from harness.planning.planner import Planner
from harness.running.runner import Runner
from harness.spec.search_space import Domain
from harness.spec.variants import Variant
from reports.records.metrics import PRIMARY
from reports.records.record import Record

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STARTUP = 10
"""Tries before TPE has enough to go by; its own default."""
_PATIENCE = 100
"""Proposals in a row that were tried before, after which a small space counts as exhausted."""
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)


@dataclass(frozen=True)
class Try:
    """One setting and what came of it; `None` where the trial failed."""

    values: Mapping[str, Any]
    score: float | None


@dataclass(frozen=True)
class Found:
    """All tries of a search, in their order."""

    space: Mapping[str, Domain]
    tries: tuple[Try, ...]
    seed: int

    @property
    def best(self) -> Try | None:
        """The try with the highest score, the earliest among equals; `None` where all failed."""
        done = [one for one in self.tries if one.score is not None]
        return max(done, key=lambda one: one.score or 0.0, default=None)

    def details(self) -> dict[str, Any]:
        """What the records of the chosen setting say of it."""
        best = self.best
        chosen = dict(best.values) if best else {}
        return {
            "metric": PRIMARY,
            "split": "validation",
            "tries": len(self.tries),
            "failed": sum(one.score is None for one in self.tries),
            "seed": self.seed,
            "space": {knob: str(domain) for knob, domain in self.space.items()},
            "chosen": chosen,
            "score": best.score if best else None,
            "score_as_it_stands": self.tries[0].score,
            "edge": [knob for knob, value in chosen.items() if self.space[knob].is_edge(value)],
        }


def tuned(planner: Planner, runner: Runner) -> Plan:
    """The plan of a spec with `tune`: each variant is searched, and the plan is of what was chosen.

    Raises `KeyboardInterrupt` for a run that ends early, as the runner does.
    """
    runner.trial(planner.base)
    return planner.plan({variant.name: _chosen(planner, runner, variant) for variant in planner.spec.variants})


def count_trials(planner: Planner) -> int:
    """How many trials a run will have at most, those of searches among them."""
    spec = planner.spec
    searched = sum(bool(planner.space(variant)) for variant in spec.variants)
    return 1 + searched * spec.tries + len(spec.variants) * len(spec.seeds)


def _chosen(planner: Planner, runner: Runner, variant: Variant) -> Choice:
    space = planner.space(variant)
    if not space:
        return Choice(variant)
    seed = planner.spec.seeds[0]
    last: list[Record] = []

    def measure(values: Mapping[str, Any]) -> float | None:
        tried = Variant(method=variant.method, changed={**variant.changed, **values})
        record = runner.trial(planner.trial(tried, seed, None, split="validation"))
        last[:] = [record]
        return record.metrics.get(PRIMARY) if record.ok else None

    found = search(space, planner.method(variant).settings(), planner.spec.tries, seed, measure)
    if found.best is None:
        message = f"none of {len(found.tries)} tries ended ok; the last: {last[0].message or last[0].status}"
        return Choice(replace(variant, tuned=found.tries[0].values), found.details(), ("error", message))
    return Choice(replace(variant, tuned=found.best.values), found.details())


def search(
    space: Mapping[str, Domain],
    defaults: Mapping[str, Any],
    tries: int,
    seed: int,
    measure: Callable[[Mapping[str, Any]], float | None],
) -> Found:
    """Try so many settings, fewer only where there are no more, and tell what came of each.

    `defaults` is the first try, cut to the space where it lies outside; `measure` returns a score, higher being
    better, or `None` for a trial that failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {knob: _distribution(domain) for knob, domain in space.items()}
    for values in _startup(space, defaults, seed):
        study.enqueue_trial(values)
    known: dict[str, float | None] = {}
    made: list[Try] = []
    again = 0
    while len(made) < tries and again < _PATIENCE:
        trial = study.ask(distributions)
        values = {knob: domain.rounded(trial.params[knob]) for knob, domain in space.items()}
        again += 1
        if (key := repr(values)) not in known:
            again = 0
            known[key] = measure(values)
            made.append(Try(values, known[key]))
        score = known[key]
        study.tell(trial, score, None if score is not None else optuna.trial.TrialState.FAIL)
    return Found(dict(space), tuple(made), seed)


def _startup(space: Mapping[str, Domain], defaults: Mapping[str, Any], seed: int) -> Iterator[dict[str, Any]]:
    yield {knob: _within(domain, defaults[knob]) for knob, domain in space.items()}
    dice = random.Random(f"search/{seed}")
    shifts = [dice.random() for _ in space]
    for number in range(1, STARTUP):
        shares = [
            (_radical_inverse(number, base) + shift) % 1 for base, shift in zip(_bases(space), shifts, strict=True)
        ]
        yield {knob: domain.at(share) for (knob, domain), share in zip(space.items(), shares, strict=True)}


def _within(domain: Domain, value: Any) -> Any:
    if domain.choices:
        return next((choice for choice in domain.choices if choice == value), domain.choices[0])
    return min(max(value, domain.low), domain.high)


def _bases(space: Mapping[str, Domain]) -> Sequence[int]:
    return [_PRIMES[i % len(_PRIMES)] for i in range(len(space))]


def _radical_inverse(number: int, base: int) -> float:
    """The digits of a number behind the point, in reverse: 1, 2, 3 → 0.1, 0.01, 0.11 in base 2 (Halton 1960)."""
    inverse, unit = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        unit /= base
        inverse += digit * unit
    return inverse


def _distribution(domain: Domain) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if domain.choices:
        return CategoricalDistribution(domain.choices)
    if domain.whole:
        return IntDistribution(math.ceil(domain.low), math.floor(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)
