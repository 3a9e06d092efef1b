"""The spec: what the user asks for. Flags and a YAML file build the same frozen object; nothing is loaded here.

Unknown keys, methods and knobs are refused before any work starts; the message suggests the nearest valid name.
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
from harness.launchers.registry import get_launcher
from harness.names import (
    expand_home,
    is_valid_path,
    make_file_name,
    parse_budget,
    parse_changes,
    parse_interval,
    parse_metrics,
    parse_seeds,
)
from harness.plugins.files import add_files
from harness.request import TaskRequest, format_flag
from harness.scoring.evaluate_script import is_on_hub
from harness.spec.keys import read_keys
from harness.spec.search_space import TunedKnob, parse_tune, require_knobs
from harness.spec.variants import Variant, parse_variants
from methods import registry
from methods.errors import describe_pydantic_error
from methods.types import Budget


@dataclass(frozen=True)
class ErrorText:
    """Replaces pydantic's error message for a field by a sentence of our own."""

    rule: str
    """What the value must be."""
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
Limit = Annotated[int, Interval(ge=1, lt=10**9), ErrorText("must be a whole number above 0 and below a billion")]
Amount = Annotated[float, Interval(gt=0, lt=1e9), ErrorText("must be a number above 0 and below a billion")]
Quality = Annotated[float, Interval(gt=0, le=1), ErrorText("must be a number above 0 and at most 1, as ROUGE-L is")]
Rerun = Annotated[
    str, ErrorText("must be failed, all, or the id of a trial (16 hexadecimal digits)", "failed|all|[0-9a-f]{16}")
]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One request: a model, a task, variants, seeds, a budget that is the same for all, and where to run."""

    model: str = "embedded"
    task: TaskRequest = TaskRequest()
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0,)
    budget: Budget = Budget("steps", 300)
    """300 steps at batch size 8 take under a minute for an embedded model on two cores, and give a first impression of
    a real one."""
    batch_size: Count = 8
    """Examples per forward pass."""
    accumulation: Count = 1
    """Forward passes per optimiser step."""
    eval_batch_size: Count = 32
    input_tokens: Limit | None = None
    """Longest prompt in tokens; the task's own limit if not given."""
    target_tokens: Limit | None = None
    """Longest target and generated text in tokens; the task's own limit if not given."""
    source_language: str | None = None
    """Language of the inputs, for models of several languages; the tokenizer's own default if not given."""
    target_language: str | None = None
    """Language of the targets, likewise."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    out: str | None = None
    """Run directory; `runs/<model>-<task>` if not given."""
    trial_timeout: Amount | None = None
    """Time limit of a trial in seconds."""
    tune: tuple[TunedKnob, ...] = ()
    """Knobs that are searched for each variant, on the validation split."""
    tries: Count = 8
    """Settings that each search tries. Eight are the default setting and seven that are spread over a knob's range."""
    price_per_hour: Amount | None = None
    """Price of the machine per hour in any currency, for the cost column."""
    on_oom: Literal["record", "halve-batch"] = "record"
    """What happens when a trial runs out of memory: it is recorded as failed, or run again with at most half the
    batch size and more accumulation, so that the effective batch stays the same."""
    rerun: Rerun = "failed"
    """Trials that run again although they have a record: `failed`, `all`, or an id (with the failed ones)."""
    checkpoint_every: Budget | None = Budget("minutes", 10)
    """How often a trial writes a checkpoint, from which it can resume after a crash; `None` for never."""
    evaluate_every: Budget | None = None
    """How often the model is evaluated on validation examples in training, in steps or tokens; `None` for never."""
    curve_examples: Count = 50
    """Validation examples for each point of the learning curve; 50 show a trend within seconds."""
    target_quality: Quality | None = None
    """A ROUGE-L on these examples; the time and the tokens until it is reached become metrics."""
    keep_checkpoints: bool = False
    """Keep the last checkpoint of a finished trial; otherwise it is removed."""
    save_models: bool = False
    """Keep what each trial ships (a model or an adapter) under `artifacts/`; otherwise only its size is measured."""
    allow_mixed: bool = False
    """Show records that are not comparable in one leaderboard, with a warning."""
    trust_remote_code: bool = False
    plugin: tuple[str, ...] = ()
    """Python files that define methods, metrics, tasks or launchers; their code runs here and in the workers."""
    launcher: str = "local"
    """Where trials run; not part of their ids."""
    preferences: str | None = None
    """File or hub id of preference pairs, for methods that learn from them; without it they derive their own."""
    metrics: tuple[str, ...] = ("rouge",)
    """Names, `NAME[knob=value]` or `MODULE:FUNCTION`; ROUGE is always measured, because it decides the ranking."""
    reward: str | None = None
    """`rouge`, `MODULE:FUNCTION`, a directory or a hub id; without it, methods learn a reward model of their own."""
    general_text: str = "embedded"
    """The text on which forgetting is measured: `embedded`, `none`, a file of passages, or a hub id."""

    @property
    def directory(self) -> Path:
        """The run directory."""
        return (
            expand_home(self.out, "--out")
            if self.out
            else Path("runs") / f"{make_file_name(self.model)}-{make_file_name(self.task.name)}"
        )


_TASK_KEYS = {
    "task": "name",
    **{f.name: f.name for f in dataclasses.fields(TaskRequest) if f.name != "name"},
}
"""Key of the request → field of `TaskRequest`."""
_SPEC_KEYS = {f.name for f in dataclasses.fields(Spec)} - {"variants", "task"} | {"methods", "set"}
KEYS = frozenset(_SPEC_KEYS | set(_TASK_KEYS))
"""Every key of a request. A YAML file may also write them as flags are written (`harness.spec.keys`)."""


def format_default(key: str) -> str:
    """The default of a key as the user would type it; empty if there is none."""
    field = _find_field(key)
    default = None if field is None else field.default
    if default is None or default is dataclasses.MISSING or isinstance(default, bool):
        return ""
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def list_choices(key: str) -> tuple[str, ...]:
    """The values that a key may have; empty if it is not limited to a list."""
    field = _find_field(key)
    return get_args(get_type_hints(Spec)[key]) if field and str(field.type).startswith("Literal[") else ()


def _find_field(key: str) -> dataclasses.Field[Any] | None:
    """The field that a key sets; `None` for keys that set several."""
    owner, name = (TaskRequest, _TASK_KEYS[key]) if key in _TASK_KEYS else (Spec, key)
    return next((field for field in dataclasses.fields(owner) if field.name == name), None)


def build_spec(request: Mapping[str, Any]) -> Spec:
    """Build a validated spec from keys in `KEYS`, or flags' names; values may be text, as flags give them.

    Raises `SpecError`.
    """
    values = {key: value for key, value in read_keys(request, KEYS).items() if value is not None}
    if not str(values.get("model", "embedded")).strip():
        raise SpecError("--model is empty: give a preset, a directory or a hub id")
    values["plugin"] = add_files(values.get("plugin", ()))  # before the methods that they define are looked up
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
    spec: Spec = _validate(Spec, {**values, "task": _validate(TaskRequest, task)})
    if spec.out is not None and not is_valid_path(str(expand_home(spec.out, "--out"))):
        raise SpecError(f"--out {spec.out!r} cannot be the name of a directory")
    get_launcher(spec.launcher)
    _check_tuning(spec)
    for name in ("curve_examples", "target_quality"):
        if name in values and spec.evaluate_every is None:
            raise SpecError(f"{format_flag(name)} is for a learning curve, which needs --evaluate-every; give that too")
    if (unseen := next(filter(is_on_hub, spec.metrics), None)) and not spec.trust_remote_code:
        raise SpecError(
            f"--metrics {unseen} is not a local directory or .py file, and a script from the hub would run its code on "
            "this machine; add --trust-remote-code if you trust it"
        )
    for name in ("preferences", "reward"):
        _require_use(name, getattr(spec, name), spec.variants)
    return spec


def _check_tuning(spec: Spec) -> None:
    """Raise `SpecError` if no variant has a searched knob, or if a variant starts from another one."""
    built = {variant.name: registry.build(variant.method, variant.changed) for variant in spec.variants}
    require_knobs(spec.tune, {method.name: method for method in built.values()})
    waiting = [name for name, method in built.items() if method.starts_from is not None]
    if spec.tune and waiting:
        raise SpecError(f"{waiting[0]} starts from another variant, which --tune does not support; leave one out")


def _require_use(name: str, value: str | None, variants: Sequence[Variant]) -> None:
    """Raise `SpecError` if preferences or a reward are empty, or if no method of the run learns from them."""
    if value is None or (value.strip() and any(name in registry.get(v.method).feedback for v in variants)):
        return
    if not value.strip():
        raise SpecError(f"--{name} is empty: give a source, or leave it out")
    able = [key for key, cls in registry.all_methods() if isinstance(cls, type) and name in cls.feedback]
    raise SpecError(
        f"--{name} is given, but no method of this run learns from it ({', '.join(v.name for v in variants)}); "
        f"add one that does: {', '.join(able)}"
    )


@functools.cache
def _build_adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _validate(cls: type, values: Mapping[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        made = _build_adapter(cls).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"{_name_flag(cls, str(first['loc'][0]))} {describe_pydantic_error(first)}") from error
    if name := registry.find_truth_value_for_number(made, values):
        whole = "whole " if isinstance(getattr(made, name), int) else ""
        raise SpecError(f"{_name_flag(cls, name)} must be a {whole}number, not {values[name]}")
    return made


def _name_flag(cls: type, field: str) -> str:
    """The flag that sets this field of `Spec` or `TaskRequest`."""
    return format_flag("task" if cls is TaskRequest and field == "name" else field)
