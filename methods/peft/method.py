"""What is common to all tuners of PEFT: knobs to config, wrapping, and what PEFT objects to as one sentence."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from methods.adapters.lora import TASK_TYPES
from methods.base import Method
from methods.errors import (
    InvalidSettingError,
    MethodError,
    UnsupportedError,
    describe_error,
    explain_missing_package,
    is_out_of_memory,
)
from methods.peft.config_knobs import AUTO, to_knob_value, to_peft_value
from methods.peft.introspection import Field
from methods.peft.tuners import PACKAGES, Tuner
from methods.types import ModelFacts, Setting, TrainingConfig

PEFT_ERRORS = (
    ValueError,
    TypeError,
    AssertionError,
    NotImplementedError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
)
"""What PEFT raises for settings or models that a tuner does not like."""


class PeftMethod(Method):
    """A tuner of PEFT's that needs nothing but to be wrapped around the model and trained.

    Tuners that need more have a subclass that the table names (`Tuner.driver`).
    """

    kind: ClassVar[str]
    """PEFT's type in lower case."""
    tuner: ClassVar[Tuner]
    fields: ClassVar[Mapping[str, Field]]
    """Fields of PEFT's config that are knobs."""
    Knobs: ClassVar[type[TrainingConfig]] = TrainingConfig
    """Knobs that are the harness's own."""

    def __init__(self, config: Any | None = None) -> None:
        super().__init__(config)
        self.given()  # a list that cannot be read is told before anything is loaded
        for knob, (other, *values) in self.tuner.only_with.items():
            if self.changed(knob) and str(getattr(self.config, other)).lower() not in map(str.lower, values):
                wanted = f"{other}={values[0]}" if len(values) == 1 else f"{other} of {', '.join(values)}"
                raise InvalidSettingError(f"{self.name}.{knob}: does nothing without {wanted}")

    def unsupported(self, facts: ModelFacts) -> str | None:
        """By family, by missing package, and where the tuner cannot be a trial at all."""
        if self.tuner.impossible:
            return f"{self.name} {self.tuner.impossible}"
        for module in self.tuner.needs:
            if lacking := explain_missing_package(module, PACKAGES[module]):
                return f"{self.name} {lacking}"
        known = self.tuner.architectures
        if facts.family in self.families and known and facts.architecture not in known:
            return f"{self.name} is made for {', '.join(known)}; {facts.name} is {facts.architecture}"
        return super().unsupported(facts)

    def prepare(self, model: Any, setting: Setting) -> Any:
        """Wrap the model; its own weights are frozen."""
        with self.objections():
            return self.in_full_precision(self.wrap(model, self.peft_config(model, setting), setting))

    def load(self, model: Any, directory: Path) -> Any:
        """As it was trained."""
        return self.in_full_precision(super().load(model, directory))

    def in_full_precision(self, model: Any) -> Any:
        """The model, whose parts that mixed precision has no kernels for compute in float32."""
        for module in model.modules():
            if type(module).__name__ in self.tuner.full_precision:
                compute_in_float32(module)
        return model

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """The model with the adapter that `config` describes."""
        import peft

        return peft.get_peft_model(model, config)

    def peft_config(self, model: Any, setting: Setting) -> Any:
        """PEFT's config of what was asked for, and of what the model and data say."""
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

        arguments = self.arguments(model, setting)
        named = {kind.lower(): kind for kind in PEFT_TYPE_TO_CONFIG_MAPPING}
        config = PEFT_TYPE_TO_CONFIG_MAPPING[named[self.kind]]
        tuner = PEFT_TYPE_TO_TUNER_MAPPING.get(named[self.kind])
        known = getattr(tuner, "target_module_mapping", None)
        if known and arguments.get("target_modules") is None and model.config.model_type not in known:
            arguments["target_modules"] = "all-linear"  # PEFT knows no better ones for this architecture
        return config(task_type=TASK_TYPES[setting.facts.family], **arguments)

    def given(self) -> dict[str, Any]:
        """The knobs that are not PEFT's defaults and not left to the model, as PEFT takes them."""
        knobs = {knob: (field, getattr(self.config, knob)) for knob, field in self.fields.items()}
        found = {
            knob: to_peft_value(self.name, field, value)
            for knob, (field, value) in knobs.items()
            if value != AUTO
            and (type(value), value) != (type(to_knob_value(field.default)), to_knob_value(field.default))
        }
        for one, other in itertools.permutations(self.tuner.either, 2):
            if found.get(one):
                found.setdefault(other, 0)
        return found

    def changed(self, knob: str) -> bool:
        """Whether a knob of this config, if it is one, has another value than its default."""
        standing = getattr(type(self.config), knob, None)
        return bool(getattr(self.config, knob, standing) != standing)

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """What is given to PEFT's config: the knobs that are not PEFT's defaults, and those that the model decides."""
        from methods.peft import derived_knobs

        arguments = self.given()
        for knob, rule in self.tuner.auto.items():
            if knob in self.fields and getattr(self.config, knob) == AUTO:
                most = self.fields[knob].default
                arguments[knob] = getattr(derived_knobs, rule)(model, setting, arguments.get("target_modules"), most)
        return arguments

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """As `model.generate`; in mixed precision where what trains, in float32, would not fit a 16-bit base."""
        if not self.tuner.mixed:
            return super().generate(model, inputs, **decoding)
        import torch

        device, dtype = model.device.type, model.get_base_model().dtype
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            return super().generate(model, inputs, **decoding)

    @contextlib.contextmanager
    def objections(self) -> Iterator[None]:
        """Turn what PEFT objects to into one sentence: of the settings where they were changed, else of the model.

        Want of memory is no objection, and passes through.
        """
        try:
            yield
        except MethodError:
            raise
        except PEFT_ERRORS as error:
            if is_out_of_memory(error):
                raise
            said = describe_error(error, None)
            changed = [f"{self.name}.{knob}" for knob in self.fields if self.changed(knob)]
            if changed:
                raise InvalidSettingError(f"{', '.join(changed)}: PEFT says: {said}") from error
            raise UnsupportedError(f"{self.name} cannot serve this model: PEFT says: {said}") from error


class SingleTaskMethod(PeftMethod):
    """A tuner that wants to be told which of several tasks a row is of; a trial has one."""

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """The model, which is told task 0 wherever no other is."""
        return use_first_task(super().wrap(model, config, setting))

    def load(self, model: Any, directory: Path) -> Any:
        """So is the one that is read again."""
        return use_first_task(super().load(model, directory))

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """PEFT takes the task beside the inputs."""
        return model.generate(**inputs, task_ids=make_task_ids(inputs["input_ids"]), **decoding)


def make_task_ids(rows: Any) -> Any:
    """Task 0 for each row of a batch: (rows,)."""
    return rows.new_zeros(len(rows))


def use_first_task(model: Any) -> Any:
    """Tell the model task 0 in every forward pass that names none."""

    def tell(_: Any, arguments: Any, named: dict[str, Any]) -> Any:
        if named.get("task_ids") is None and named.get("input_ids") is not None:
            named = {**named, "task_ids": make_task_ids(named["input_ids"])}
        return arguments, named

    model.register_forward_pre_hook(tell, with_kwargs=True)
    return model


def compute_in_float32(module: Any) -> None:
    """Let a module's forward pass run outside mixed precision, in the float32 of its weights."""
    import torch

    forward = module.forward

    def plain(inputs: Any, *arguments: Any, **named: Any) -> Any:
        with torch.autocast(inputs.device.type, enabled=False):
            return forward(inputs.float(), *arguments, **named).to(inputs.dtype)

    module.forward = plain
