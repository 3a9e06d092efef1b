"""Fair tuning: every method gets the same number of tries with the same budget, scored only on the validation split.

The first try uses the method's current knobs. The next ones are spread evenly over the search space (a shifted Halton
sequence). From the eleventh on, Optuna's TPE proposes knobs based on the scores so far (Bergstra et al. 2011). The same
seed and the same scores give the same tries, so that an interrupted search resumes where it was, and a longer search
begins with the tries of a shorter one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.planning.plan import Plan, VariantChoice
from harness.planning.planner import Planner
from harness.running.runner import Runner
from harness.spec.search_space import Domain
from harness.spec.variants import Variant
from reports.records.details import SearchDetails
from reports.records.metrics import PRIMARY
from reports.records.record import Record

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STARTUP = 10
"""Tries before TPE proposes knobs; Optuna's default."""
_PATIENCE = 100
"""Repeated proposals in a row after which a small search space counts as exhausted."""
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)


@dataclass(frozen=True)
class Try:
    """The knobs of one try and its score; `None` if the trial failed."""

    values: Mapping[str, Any]
    score: float | None


@dataclass(frozen=True)
class SearchResult:
    """All tries of a search in order."""

    space: Mapping[str, Domain]
    tries: tuple[Try, ...]
    seed: int

    @property
    def best(self) -> Try | None:
        """The try with the highest score, the first of several; `None` if all failed."""
        done = [one for one in self.tries if one.score is not None]
        return max(done, key=lambda one: one.score or 0.0, default=None)

    def describe(self) -> SearchDetails:
        """The description of the search in records."""
        best = self.best
        chosen = dict(best.values) if best else {}
        return SearchDetails(
            metric=PRIMARY,
            split="validation",
            tries=len(self.tries),
            failed=sum(one.score is None for one in self.tries),
            seed=self.seed,
            space={knob: str(domain) for knob, domain in self.space.items()},
            chosen=chosen,
            score=best.score if best else None,
            score_as_it_stands=self.tries[0].score,
            edge=tuple(knob for knob, value in chosen.items() if self.space[knob].is_at_edge(value)),
        )


def search_and_plan(planner: Planner, runner: Runner) -> Plan:
    """Search the knobs of each variant, and plan the trials with the knobs that were chosen.

    Raises `KeyboardInterrupt` if the run is interrupted.
    """
    runner.run_trial(planner.base)
    return planner.plan({variant.name: _search_variant(planner, runner, variant) for variant in planner.spec.variants})


def count_trials(planner: Planner) -> int:
    """Count the trials that a run has at most, including the tries of searches."""
    spec = planner.spec
    searched = sum(bool(planner.build_search_space(variant)) for variant in spec.variants)
    return 1 + searched * spec.tries + len(spec.variants) * len(spec.seeds)


def _search_variant(planner: Planner, runner: Runner, variant: Variant) -> VariantChoice:
    space = planner.build_search_space(variant)
    if not space:
        return VariantChoice(variant)
    seed = planner.spec.seeds[0]
    last: list[Record] = []

    def measure(values: Mapping[str, Any]) -> float | None:
        tried = Variant(method=variant.method, changed={**variant.changed, **values})
        record = runner.run_trial(planner.build_trial(tried, seed, None, split="validation"))
        last[:] = [record]
        return record.metrics.get(PRIMARY) if record.ok else None

    found = search_knobs(space, planner.build_method(variant).settings(), planner.spec.tries, seed, measure)
    if found.best is None:
        message = f"none of {len(found.tries)} tries ended ok; the last one: {last[0].message or last[0].status}"
        return VariantChoice(replace(variant, tuned=found.tries[0].values), found.describe(), ("error", message))
    return VariantChoice(replace(variant, tuned=found.best.values), found.describe())


def search_knobs(
    space: Mapping[str, Domain],
    defaults: Mapping[str, Any],
    tries: int,
    seed: int,
    measure: Callable[[Mapping[str, Any]], float | None],
) -> SearchResult:
    """Try `tries` different settings, or fewer if the space has no more.

    The first try is `defaults`, clipped to the space. `measure` returns the score of a setting, higher is better, or
    `None` if the trial failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {knob: _build_distribution(domain) for knob, domain in space.items()}
    for values in _propose_first_tries(space, defaults, seed):
        study.enqueue_trial(values)
    known: dict[str, float | None] = {}
    made: list[Try] = []
    again = 0
    while len(made) < tries and again < _PATIENCE:
        trial = study.ask(distributions)
        values = {knob: domain.round_value(trial.params[knob]) for knob, domain in space.items()}
        again += 1
        if (key := repr(values)) not in known:
            again = 0
            known[key] = measure(values)
            made.append(Try(values, known[key]))
        score = known[key]
        study.tell(trial, score, None if score is not None else optuna.trial.TrialState.FAIL)
    return SearchResult(dict(space), tuple(made), seed)


def _propose_first_tries(
    space: Mapping[str, Domain], defaults: Mapping[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    yield {knob: _clip(domain, defaults[knob]) for knob, domain in space.items()}
    dice = random.Random(f"search/{seed}")
    shifts = [dice.random() for _ in space]
    for number in range(1, STARTUP):
        shares = [
            (_compute_radical_inverse(number, base) + shift) % 1
            for base, shift in zip(_list_bases(space), shifts, strict=True)
        ]
        yield {knob: domain.pick(share) for (knob, domain), share in zip(space.items(), shares, strict=True)}


def _clip(domain: Domain, value: Any) -> Any:
    if domain.choices:
        return next((choice for choice in domain.choices if choice == value), domain.choices[0])
    return min(max(value, domain.low), domain.high)


def _list_bases(space: Mapping[str, Domain]) -> Sequence[int]:
    return [_PRIMES[i % len(_PRIMES)] for i in range(len(space))]


def _compute_radical_inverse(number: int, base: int) -> float:
    """Mirror the digits of a number at the point: 1, 10, 11 → 0.1, 0.01, 0.11 in base 2 (Halton 1960)."""
    inverse, unit = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        unit /= base
        inverse += digit * unit
    return inverse


def _build_distribution(domain: Domain) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if domain.choices:
        return CategoricalDistribution(domain.choices)
    if domain.whole:
        return IntDistribution(math.ceil(domain.low), math.floor(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)
