"""The spec: what the user asks for. Flags and a YAML file build the same frozen object; nothing is loaded here.

Unknown keys, methods and knobs are refused with the nearest valid name, before any work starts.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Ge, Interval

from harness.errors import SpecError
from harness.launchers.registry import get as get_launcher
from harness.names import (
    is_path,
    parse_budget,
    parse_changes,
    parse_interval,
    parse_metrics,
    parse_seeds,
    slug,
)
from harness.plugins.files import add_files
from harness.request import TaskRequest
from harness.scoring.evaluate_script import is_on_hub
from harness.spec.search_space import Wanted, parse_tune, require_knobs
from harness.spec.variants import Variant, parse_variants
from methods import registry
from methods.errors import describe_pydantic_error, suggest_names
from methods.types import Budget


@dataclass(frozen=True)
class Explained:
    """Says what the value of a field must be, in place of pydantic's own words."""

    rule: str
    pattern: str | None = None
    """A regular expression that the text must match as a whole."""

    def __get_pydantic_core_schema__(self, kind: Any, handler: Any) -> dict[str, Any]:
        schema = {**handler(kind), **({"pattern": f"^({self.pattern})$"} if self.pattern else {})}
        return {
            "type": "custom-error",
            "schema": schema,
            "custom_error_type": "rule",
            "custom_error_message": self.rule,
        }


Count = Annotated[int, Ge(1)]
Limit = Annotated[int, Interval(ge=1, lt=10**9), Explained("must be a whole number above 0 and below a billion")]
Amount = Annotated[float, Interval(gt=0, lt=1e9), Explained("must be a number above 0 and below a billion")]
Quality = Annotated[float, Interval(gt=0, le=1), Explained("must be a number above 0 and at most 1, as ROUGE-L is")]
Rerun = Annotated[
    str, Explained("must be failed, all, or the id of a trial (16 hexadecimal digits)", "failed|all|[0-9a-f]{16}")
]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One request: a model, a task, variants, seeds, one budget for all, and where to run."""

    model: str = "embedded"
    task: TaskRequest = TaskRequest()
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0,)
    budget: Budget = Budget("steps", 300)
    """300 steps at batch 8 take an embedded model under a minute on two cores, and are a first look at a real one."""
    batch_size: Count = 8
    """Examples per forward pass."""
    accumulation: Count = 1
    """Forward passes per optimiser step."""
    eval_batch_size: Count = 32
    input_tokens: Limit | None = None
    """Limit on the prompt; the task's own limit if not given."""
    target_tokens: Limit | None = None
    """Limit on target and generated text; the task's own limit if not given."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    out: str | None = None
    """Run directory; `runs/<model>-<task>` if not given."""
    trial_timeout: Amount | None = None
    """Seconds after which a trial is ended."""
    tune: tuple[Wanted, ...] = ()
    """Knobs that are searched for each variant, on the validation split."""
    tries: Count = 8
    """How many settings a search tries: a first one as it stands, and seven that spread over the range of one knob."""
    price_per_hour: Amount | None = None
    """Price of the machine, for the cost column; any currency."""
    on_oom: Literal["record", "halve-batch"] = "record"
    """What follows a trial that ran out of memory: its record, or another try with half the batch and as many more
    forward passes to a step, so that the effective batch stays."""
    rerun: Rerun = "failed"
    """Which trials run although they have a record: `failed`, `all`, or the id of one besides the failed ones."""
    checkpoint_every: Budget | None = Budget("minutes", 10)
    """How often a trial in training keeps what it needs to go on after a crash; `None` for never."""
    evaluate_every: Budget | None = None
    """How often a model in training is evaluated on validation examples, in steps or tokens; `None` for never."""
    curve_examples: Count = 50
    """The first so many validation examples; enough to see a curve rise, and generated in seconds."""
    target_quality: Quality | None = None
    """ROUGE-L on these examples; the time and the tokens until it is reached become metrics."""
    keep_checkpoints: bool = False
    """Keep the last checkpoint of a finished trial; otherwise it is removed."""
    save_models: bool = False
    """Keep what each trial ships under `artifacts/`; otherwise it is measured and removed."""
    allow_mixed: bool = False
    """Show what cannot be compared in one leaderboard, with a warning, where the run directory holds such records."""
    trust_remote_code: bool = False
    plugin: tuple[str, ...] = ()
    """Python files that bring methods, metrics, tasks or launchers; their code runs, here and in the workers."""
    launcher: str = "local"
    """Where trials run; no part of what they are."""
    preferences: str | None = None
    """File or hub id of pairs for the methods that learn from preferences; without it they derive their own."""
    metrics: tuple[str, ...] = ("rouge",)
    """Names, `NAME[knob=value]` or `MODULE:FUNCTION`; ROUGE is measured in any case, because it ranks."""
    reward: str | None = None
    """`rouge`, `MODULE:FUNCTION`, a directory or a hub id, instead of a reward model that the method learns."""
    general_text: str = "embedded"
    """What forgetting is measured on: `embedded`, `none`, a file of passages, or a hub id."""

    @property
    def directory(self) -> Path:
        """The run directory."""
        return Path(self.out) if self.out else Path("runs") / f"{slug(self.model)}-{slug(self.task.name)}"


_TASK_KEYS = {
    "task": "name",
    **{f.name: f.name for f in dataclasses.fields(TaskRequest) if f.name != "name"},
}
"""Key of the request → field of `TaskRequest`."""
_SPEC_KEYS = {f.name for f in dataclasses.fields(Spec)} - {"variants", "task"} | {"methods", "set"}
KEYS = frozenset(_SPEC_KEYS | set(_TASK_KEYS))
"""Every key that a YAML file may hold; flags are the same names with hyphens."""


def default_of(key: str) -> str:
    """The default of a key as one would type it; empty where it is nothing, or the key has none."""
    field = _field(key)
    default = None if field is None else field.default
    if default is None or default is dataclasses.MISSING or isinstance(default, bool):
        return ""
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def choices_of(key: str) -> tuple[str, ...]:
    """The only values that a key may have, or nothing where it has none of its own or is free."""
    field = _field(key)
    return get_args(get_type_hints(Spec)[key]) if field and str(field.type).startswith("Literal[") else ()


def _field(key: str) -> dataclasses.Field[Any] | None:
    """The field that a key sets; `None` for keys that are read into several."""
    owner, name = (TaskRequest, _TASK_KEYS[key]) if key in _TASK_KEYS else (Spec, key)
    return next((field for field in dataclasses.fields(owner) if field.name == name), None)


def build_spec(request: Mapping[str, Any]) -> Spec:
    """A validated spec from keys in `KEYS`; values may be text, as flags give them. Raises `SpecError`."""
    for key in request:
        if key not in KEYS:
            raise SpecError(f"unknown key {key!r} in the request{suggest_names(str(key), KEYS)}")
    values = {key: value for key, value in request.items() if value is not None}
    if not str(values.get("model", "embedded")).strip():
        raise SpecError("--model is empty: give a preset, a directory or a hub id")
    values["plugin"] = add_files(values.get("plugin", ()))  # before any of their methods is named
    methods, changes = values.pop("methods", None), values.pop("set", {})
    if not methods:
        raise SpecError("no methods given: name at least one, such as --methods lora,qlora")
    task = {_TASK_KEYS[key]: values.pop(key) for key in list(values) if key in _TASK_KEYS}
    if isinstance(task.get("target_fields"), str):
        task["target_fields"] = task["target_fields"].split(",")
    if "budget" in values:
        values["budget"] = parse_budget(values["budget"])
    if "checkpoint_every" in values:
        values["checkpoint_every"] = parse_interval("checkpoint_every", values["checkpoint_every"])
    if "evaluate_every" in values:
        values["evaluate_every"] = parse_interval("evaluate_every", values["evaluate_every"])
    if "seeds" in values:
        values["seeds"] = parse_seeds(values["seeds"])
    if "tune" in values:
        values["tune"] = parse_tune(values["tune"])
    if "metrics" in values:
        values["metrics"] = parse_metrics(values["metrics"])
    values["variants"] = parse_variants(methods, parse_changes(changes))
    spec: Spec = _validated(Spec, {**values, "task": _validated(TaskRequest, task)})
    if spec.out is not None and not is_path(spec.out):
        raise SpecError(f"--out {spec.out!r} cannot be the name of a directory")
    get_launcher(spec.launcher)
    _check_tuning(spec)
    for name in ("curve_examples", "target_quality"):
        if name in values and spec.evaluate_every is None:
            raise SpecError(f"{name} says how a learning curve is made, and none is asked for; give evaluate_every too")
    if (unseen := next(filter(is_on_hub, spec.metrics), None)) and not spec.trust_remote_code:
        raise SpecError(
            f"--metrics {unseen} is no directory or .py file here, and a script from the hub is code that would run on "
            "this machine; add --trust-remote-code if you trust it"
        )
    for name in ("preferences", "reward"):
        _require_use(name, getattr(spec, name), spec.variants)
    return spec


def _check_tuning(spec: Spec) -> None:
    """Raise `SpecError` for a search that no variant can follow, or that would have to search two at once."""
    built = {variant.name: registry.build(variant.method, variant.changed) for variant in spec.variants}
    require_knobs(spec.tune, {method.name: method for method in built.values()})
    waiting = [name for name, method in built.items() if method.starts_from is not None]
    if spec.tune and waiting:
        raise SpecError(f"{waiting[0]} starts from another variant, which --tune cannot search for it; leave one out")


def _require_use(name: str, value: str | None, variants: Sequence[Variant]) -> None:
    """Raise `SpecError` for preferences or a reward that are empty, or that no method of the run learns from."""
    if value is None or (value.strip() and any(name in registry.get(v.method).feedback for v in variants)):
        return
    if not value.strip():
        raise SpecError(f"--{name} is empty: name what to learn from, or leave it out")
    able = [key for key, cls in registry.all_methods() if isinstance(cls, type) and name in cls.feedback]
    raise SpecError(
        f"--{name} is given, but no method of this run learns from it ({', '.join(v.name for v in variants)}); "
        f"add one that does: {', '.join(able)}"
    )


@functools.cache
def _adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _validated(cls: type, values: Mapping[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        made = _adapter(cls).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"{first['loc'][0]} {describe_pydantic_error(first)}") from error
    for name, value in values.items():
        if isinstance(value, bool) and (kind := type(getattr(made, name))) in (int, float):  # pydantic takes it for 1
            raise SpecError(f"{name} must be a {'whole ' if kind is int else ''}number, not {value}")
    return made
