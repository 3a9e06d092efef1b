"""The contract behind the leaderboard, run over every registered method; and that its checks can fail."""

from __future__ import annotations

import pytest

import methods
from harness.contract import Case, checks, served_families, tiny
from harness.contract.cases import facts
from methods.base import ModelFacts
from methods.engine.encoding import Encoder
from methods.registry import build, get

TRAINED = [name for name in methods.METHODS if get(name).trains and get(name).role == "candidate"]
# Large enough for a random model of this size to learn one word in 40 steps.
RATES = {"full": 1e-2, "instruction": 1e-2, "prefix": 3e-1, "last-layers": 1e-2}
RATES |= {"adafactor": 1e-2, "adamw-8bit": 1e-2, "galore": 4e-2, "lomo": 1e-1, "adalomo": 1e-1}
ADAPTER_RATE = 3e-2


def settings(name):
    return {"learning_rate": RATES.get(name, ADAPTER_RATE)}


def served(names):
    pairs = [(name, family) for name in names for family in served_families(name)]
    return pytest.mark.parametrize(("name", "family"), pairs)


@pytest.fixture
def case(name, family, tmp_path):
    return Case(name, family, tmp_path, settings(name))


@served(TRAINED)
def test_it_learns_and_leaves_frozen_weights_alone(case):
    checks.learns(case)


@served(TRAINED)
def test_it_reloads_to_the_same_logits(case):
    checks.reloads(case)


@served(TRAINED)
def test_a_padded_batch_answers_as_each_prompt_alone(case):
    checks.pads(case)


@served(TRAINED)
def test_with_the_adapter_off_it_is_the_base(case):
    checks.switches_off(case)


@pytest.mark.parametrize("name", TRAINED)
def test_an_unknown_family_is_unsupported_in_one_sentence(name):
    checks.refuses(name, {})


def test_adapters_can_be_switched_off(tmp_path):
    for name in ("lora", "qlora", "prefix"):
        assert hasattr(Case(name, "decoder-only", tmp_path, {}).prepared(), "disable_adapter")


def test_full_writes_plain_pairs_and_the_others_instructions():
    example = tiny.EXAMPLES[0]
    plain = build("full").write(example, tiny.TEMPLATES, 0)
    assert (plain.before, plain.chat) == ("", False)
    for name in TRAINED:
        if name == "full":
            continue
        first, second = (build(name).write(example, tiny.TEMPLATES, choice) for choice in (0, 1))
        assert first.before + first.input + first.after == tiny.TEMPLATES[0].format(input=example.input)
        assert second.before + second.input + second.after == tiny.TEMPLATES[1].format(input=example.input)
        assert first.response == "dog"
        assert first.chat


def test_qlora_names_a_device_without_4_bit_kernels():
    assert "not for mps" in build("qlora").unsupported(ModelFacts("x", "decoder-only", "Llama", "mps"))


def test_prefix_starts_from_the_cache_of_real_text(tmp_path):
    import torch

    for family in tiny.FAMILIES:
        case = Case("prefix", family, tmp_path, settings("prefix"))
        model = case.prepared()
        encoder = Encoder(tiny.tokenizer(), family, tiny.LIMITS)
        prompts = [encoder.encode(case.method.write(example, tiny.TEMPLATES, 0)).prompt for example in tiny.EXAMPLES]
        text = [*prompts[0], *prompts[1]][:20]
        if family == "decoder-only":
            with torch.no_grad(), model.disable_adapter():
                cache = model(input_ids=torch.tensor([text]), use_cache=True).past_key_values
            keys = cache.layers[0].keys[0].transpose(0, 1).reshape(20, -1)
            stored = model.prompt_encoder["default"].embedding.weight[:, : keys.shape[1]]
            torch.testing.assert_close(stored, keys)
        assert model.prompt_encoder["default"].embedding.weight.requires_grad


class Broken:
    """Methods that break one rule each, and the check that finds it."""

    @staticmethod
    def case(tmp_path, family="decoder-only", **methods_of_it):
        """A case whose method is LoRA with some of its methods replaced."""
        found = Case("lora", family, tmp_path, settings("lora"))
        cls = type("BrokenLoRA", (type(found.method),), methods_of_it)
        found.__dict__["method"] = cls(found.method.config)
        return found


def test_a_method_that_learns_nothing_is_found(tmp_path):
    case = Case("lora", "decoder-only", tmp_path, {"learning_rate": 1e-9})
    with pytest.raises(AssertionError, match="the loss went from"):
        checks.learns(case, 8)


def test_a_method_that_stops_early_is_found(tmp_path):
    import dataclasses

    from methods.base import Budget
    from methods.engine.training import train_supervised

    def train(self, job):
        train_supervised(
            self,
            dataclasses.replace(
                job,
                budget=Budget("steps", 4),
                emit=lambda event: job.emit(dataclasses.replace(event, progress=event.step / job.budget.amount)),
            ),
        )

    with pytest.raises(AssertionError, match="stopped at 50%"):
        checks.learns(Broken.case(tmp_path, train=train), 8)


def test_frozen_weights_that_change_are_found(tmp_path):
    def after_step(self, model, step, progress):
        next(p for p in model.parameters() if not p.requires_grad).data.add_(1e-3)

    with pytest.raises(AssertionError, match="is frozen and changed"):
        checks.learns(Broken.case(tmp_path, after_step=after_step))


def test_a_method_that_ships_half_of_what_it_trained_is_found(tmp_path):
    def save(self, model, directory):
        for name, p in model.named_parameters():
            if "lora_B" in name and "layers.1" in name:
                p.data.zero_()
        model.save_pretrained(directory)

    with pytest.raises(AssertionError, match="a reloaded model has other logits: off by"):
        checks.reloads(Broken.case(tmp_path, save=save))


def test_a_pickle_is_found(tmp_path):
    def save(self, model, directory):
        model.save_pretrained(directory)
        (directory / "more.pt").write_bytes(b"")

    with pytest.raises(AssertionError, match=r"'more\.pt'.* can hold code"):
        checks.reloads(Broken.case(tmp_path, save=save))


def test_answers_that_depend_on_padding_are_found(tmp_path):
    def generate(self, model, inputs, **decoding):
        inputs = {**inputs, "attention_mask": inputs["attention_mask"].new_ones(inputs["input_ids"].shape)}
        return model.generate(**inputs, **decoding)

    with pytest.raises(AssertionError, match="padded batch"):
        checks.pads(Broken.case(tmp_path, generate=generate))


def test_a_base_that_was_changed_is_found(tmp_path):
    def prepare(self, model, setting):
        next(model.parameters()).data.add_(0.5)
        return get("lora").prepare(self, model, setting)

    with pytest.raises(AssertionError, match="with its adapter off it is not the base model"):
        checks.switches_off(Broken.case(tmp_path, prepare=prepare))


def test_a_refusal_that_names_nothing_is_found():
    with pytest.raises(AssertionError, match="unsupported says None"):
        checks.refuses("base", {})


def test_the_tiny_models_are_told_as_what_they_are():
    for family in tiny.FAMILIES:
        model = tiny.model(family)
        assert type(model).__name__ == facts(family).architecture
        assert model.config.is_encoder_decoder == (family == "encoder-decoder")
