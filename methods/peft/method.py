"""The base class of all PEFT tuners: turns knobs into PEFT's config, wraps the model, explains PEFT's errors."""

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
"""Errors that PEFT raises for settings or models that a tuner does not support."""


class PeftMethod(Method):
    """A PEFT tuner that only has to be wrapped around the model and trained.

    Tuners that need more have a subclass, which the table names (`Tuner.driver`).
    """

    kind: ClassVar[str]
    """PEFT's type in lower case."""
    tuner: ClassVar[Tuner]
    fields: ClassVar[Mapping[str, Field]]
    """Fields of PEFT's config that are knobs."""
    Knobs: ClassVar[type[TrainingConfig]] = TrainingConfig
    """Knobs that are not fields of PEFT's config."""

    def __init__(self, config: Any | None = None) -> None:
        super().__init__(config)
        self.collect_changed()  # raises for a list that cannot be parsed, before anything is loaded
        for knob, (other, *values) in self.tuner.only_with.items():
            if self.is_changed(knob) and str(getattr(self.config, other)).lower() not in map(str.lower, values):
                wanted = f"{other}={values[0]}" if len(values) == 1 else f"{other} of {', '.join(values)}"
                raise InvalidSettingError(f"{self.name}.{knob}: does nothing without {wanted}")

    def unsupported(self, facts: ModelFacts) -> str | None:
        """Say so if the tuner does not fit the model, lacks a package, or cannot be trained in a trial at all."""
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
        """Wrap the model, whose own weights are frozen."""
        with self.explain_errors():
            return self.in_full_precision(self.wrap(model, self.peft_config(model, setting), setting))

    def load(self, model: Any, directory: Path) -> Any:
        """Load the adapter, with the same float32 modules as in training."""
        return self.in_full_precision(super().load(model, directory))

    def in_full_precision(self, model: Any) -> Any:
        """Make the modules that mixed precision has no kernels for compute in float32, and return the model."""
        for module in model.modules():
            if type(module).__name__ in self.tuner.full_precision:
                compute_in_float32(module)
        return model

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """Wrap the model with the adapter that `config` describes."""
        import peft

        return peft.get_peft_model(model, config)

    def peft_config(self, model: Any, setting: Setting) -> Any:
        """Make PEFT's config from the knobs, the model and the data."""
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

        arguments = self.arguments(model, setting)
        named = {kind.lower(): kind for kind in PEFT_TYPE_TO_CONFIG_MAPPING}
        config = PEFT_TYPE_TO_CONFIG_MAPPING[named[self.kind]]
        tuner = PEFT_TYPE_TO_TUNER_MAPPING.get(named[self.kind])
        known = getattr(tuner, "target_module_mapping", None)
        if known and arguments.get("target_modules") is None and model.config.model_type not in known:
            arguments["target_modules"] = "all-linear"  # PEFT has no defaults for this architecture
        return config(task_type=TASK_TYPES[setting.facts.family], **arguments)

    def collect_changed(self) -> dict[str, Any]:
        """Collect the knobs that differ from PEFT's defaults and are not `auto`, as values for PEFT."""
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

    def is_changed(self, knob: str) -> bool:
        """Whether a knob differs from its default; false if this config has no such knob."""
        standing = getattr(type(self.config), knob, None)
        return bool(getattr(self.config, knob, standing) != standing)

    def arguments(self, model: Any, setting: Setting) -> dict[str, Any]:
        """Collect the arguments of PEFT's config: changed knobs, and those that model and data decide."""
        from methods.peft import derived_knobs

        arguments = self.collect_changed()
        for knob, rule in self.tuner.auto.items():
            if knob in self.fields and getattr(self.config, knob) == AUTO:
                most = self.fields[knob].default
                arguments[knob] = getattr(derived_knobs, rule)(model, setting, arguments.get("target_modules"), most)
        return arguments

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Generate; in mixed precision if the tuner's float32 outputs would not fit a 16-bit base."""
        if not self.tuner.mixed:
            return super().generate(model, inputs, **decoding)
        import torch

        device, dtype = model.device.type, model.get_base_model().dtype
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            return super().generate(model, inputs, **decoding)

    @contextlib.contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Turn PEFT's errors into one sentence that blames the changed settings or, if there are none, the model.

        Out-of-memory errors are raised unchanged.
        """
        try:
            yield
        except MethodError:
            raise
        except PEFT_ERRORS as error:
            if is_out_of_memory(error):
                raise
            said = describe_error(error, None)
            changed = [f"{self.name}.{knob}" for knob in self.fields if self.is_changed(knob)]
            if changed:
                raise InvalidSettingError(f"{', '.join(changed)}: PEFT says: {said}") from error
            raise UnsupportedError(f"{self.name} cannot serve this model: PEFT says: {said}") from error


class SingleTaskMethod(PeftMethod):
    """A tuner that needs the task id of each row; a trial has one task."""

    def wrap(self, model: Any, config: Any, setting: Setting) -> Any:
        """Wrap the model, which then uses task 0 by default."""
        return use_first_task(super().wrap(model, config, setting))

    def load(self, model: Any, directory: Path) -> Any:
        """Load the adapter, which then uses task 0 by default."""
        return use_first_task(super().load(model, directory))

    def generate(self, model: Any, inputs: Mapping[str, Any], **decoding: Any) -> Any:
        """Generate, with the task ids that PEFT expects."""
        return model.generate(**inputs, task_ids=make_task_ids(inputs["input_ids"]), **decoding)


def make_task_ids(rows: Any) -> Any:
    """Make task ids (rows,) of a batch: 0 for each row."""
    return rows.new_zeros(len(rows))


def use_first_task(model: Any) -> Any:
    """Make the model use task 0 in every forward pass that gives no task ids."""

    def tell(_: Any, arguments: Any, named: dict[str, Any]) -> Any:
        if named.get("task_ids") is None and named.get("input_ids") is not None:
            named = {**named, "task_ids": make_task_ids(named["input_ids"])}
        return arguments, named

    model.register_forward_pre_hook(tell, with_kwargs=True)
    return model


def compute_in_float32(module: Any) -> None:
    """Make a module's forward pass run outside mixed precision, in the float32 of its weights."""
    import torch

    forward = module.forward

    def plain(inputs: Any, *arguments: Any, **named: Any) -> Any:
        with torch.autocast(inputs.device.type, enabled=False):
            return forward(inputs.float(), *arguments, **named).to(inputs.dtype)

    module.forward = plain
