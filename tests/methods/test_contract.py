"""What every trained method must do, on a tiny model of each family: the contract behind the leaderboard."""

from __future__ import annotations

import time

import pytest

import methods
from methods.base import Budget, Example, Limits, ModelFacts, Setting, TrainingJob
from methods.encoding import Encoder
from methods.feedback import Feedback, Scorer
from methods.qlora import keep_to_compute_dtype
from methods.registry import build, get

FAMILIES = ("decoder-only", "encoder-decoder")
TEMPLATES = ("Say.\n{input}\nAnswer:\n", "{input}\nNow say:\n")
EXAMPLES = tuple(Example(str(i), f"fox {i} " + "jumps " * (i % 4), ("dog",)) for i in range(32))
LIMITS = Limits(64, 16)
TRAINED = [name for name in methods.METHODS if get(name).trains and get(name).role == "candidate"]
# Large enough for a random model of this size to learn one word in 40 steps.
RATES = {"full": 1e-2, "instruction": 1e-2, "prefix": 3e-1}
ADAPTER_RATE = 3e-2
ADAPTERS = [name for name in TRAINED if name not in ("full", "instruction")]


def served(names):
    """Every (method, family) of these methods that the method does not call unsupported."""
    facts = {family: ModelFacts("tiny", family, "Tiny", "cpu") for family in FAMILIES}
    pairs = [(name, family) for name in names for family in FAMILIES if build(name).unsupported(facts[family]) is None]
    return pytest.mark.parametrize(("name", "family"), pairs)


def load(name, family, tiny_model, tokenizer, tmp_path):
    """A model as the harness would load it for this method, saved and read again where it is quantised."""
    import torch

    method = build(name, {"learning_rate": RATES.get(name, ADAPTER_RATE)})
    facts = ModelFacts("tiny", family, "Tiny", "cpu")
    model = tiny_model(family)
    options = method.load_options(facts, torch.float32)
    if options:
        model.save_pretrained(tmp_path / "base")
        model = type(model).from_pretrained(tmp_path / "base", **options)
        keep_to_compute_dtype(model)
    torch.manual_seed(0)
    setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, TEMPLATES, LIMITS, 0)
    return method, facts, model, setting


def train(method, model, tokenizer, facts, steps):
    import torch

    events = []
    method.train(
        TrainingJob(
            model=model,
            tokenizer=tokenizer,
            facts=facts,
            examples=EXAMPLES,
            validation=EXAMPLES[:8],
            templates=TEMPLATES,
            budget=Budget("steps", steps),
            limits=LIMITS,
            batch_size=8,
            accumulation=1,
            seed=0,
            dtype=torch.float32,
            emit=events.append,
            clock=time.monotonic,
            # For methods that want a reward: a reward model of so few steps would be noise.
            feedback=Feedback(
                reward=Scorer("length", lambda p, responses, r: [float(len(text)) for text in responses])
            ),
        )
    )
    return events


def logits(method, model, tokenizer, family):
    import torch

    encoder = Encoder(tokenizer, family, LIMITS)
    batch = encoder.training_batch([encoder.encode(method.write(example, TEMPLATES, 0)) for example in EXAMPLES[:5]])
    with torch.no_grad():
        return model(**batch, use_cache=False).logits


@served(TRAINED)
def test_it_trains_saves_and_reloads(name, family, tiny_model, tokenizer, tmp_path):
    import peft
    import torch

    method, facts, base, setting = load(name, family, tiny_model, tokenizer, tmp_path)
    model = method.prepare(base, setting)
    trainable = {key for key, p in model.named_parameters() if p.requires_grad}
    frozen = {key: p.detach().clone() for key, p in model.named_parameters() if key not in trainable}
    assert trainable
    before = logits(method, model, tokenizer, family)

    events = train(method, model, tokenizer, facts, 40)
    losses = [event.loss for event in events if event.stage in ("", "warm_start")]  # other stages have other losses
    assert losses[-1] < losses[0] * 0.7
    assert events[-1].progress == 1
    for key, value in model.named_parameters():
        if key in frozen:
            assert torch.equal(value, frozen[key]), f"{key} is frozen and changed"
    after = logits(method, model, tokenizer, family)
    assert not torch.allclose(before, after, atol=1e-3)

    method.save(model, tmp_path / "shipped")
    files = [path.name for path in (tmp_path / "shipped").iterdir()]
    assert any(file.endswith(".safetensors") for file in files)
    assert not any(file.endswith((".bin", ".pt", ".pkl")) for file in files)
    _, _, fresh, _ = load(name, family, tiny_model, tokenizer, tmp_path)
    if name in ADAPTERS:
        again = peft.PeftModel.from_pretrained(fresh, tmp_path / "shipped")
    else:
        again = type(fresh).from_pretrained(tmp_path / "shipped")
    torch.testing.assert_close(logits(method, again.eval(), tokenizer, family), after, rtol=1e-4, atol=1e-4)


@served(TRAINED)
def test_a_padded_batch_answers_as_each_prompt_alone(name, family, tiny_model, tokenizer, tmp_path):
    from harness.evaluate import generate

    method, facts, base, setting = load(name, family, tiny_model, tokenizer, tmp_path)
    model = method.prepare(base, setting)
    train(method, model, tokenizer, facts, 4)
    encoder = Encoder(tokenizer, family, LIMITS)
    encoded = [encoder.encode(method.write(example, TEMPLATES, 0)) for example in EXAMPLES[:6]]
    decoding = {"max_new_tokens": 8, "num_beams": 1, "do_sample": False}
    together = generate(method, model, encoder, encoded, {**decoding, "batch_size": 6}, print)
    alone = generate(method, model, encoder, encoded, {**decoding, "batch_size": 1}, print)
    assert together == alone


@served(ADAPTERS)
def test_with_the_adapter_off_it_is_the_base(name, family, tiny_model, tokenizer, tmp_path):
    import torch

    method, facts, base, setting = load(name, family, tiny_model, tokenizer, tmp_path)
    expected = logits(method, base, tokenizer, family)
    model = method.prepare(base, setting)
    train(method, model, tokenizer, facts, 3)
    with model.disable_adapter():
        torch.testing.assert_close(logits(method, model, tokenizer, family), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_an_unknown_family_is_unsupported_in_one_sentence(name):
    reason = build(name).unsupported(ModelFacts("x", "toy", "Toy", "cpu"))
    assert reason is not None
    assert reason.startswith(name)


def test_full_writes_plain_pairs_and_the_others_instructions():
    plain = build("full").write(EXAMPLES[0], TEMPLATES, 0)
    assert (plain.before, plain.chat) == ("", False)
    for name in TRAINED:
        if name == "full":
            continue
        first, second = (build(name).write(EXAMPLES[0], TEMPLATES, choice) for choice in (0, 1))
        assert first.before + first.input + first.after == TEMPLATES[0].format(input=EXAMPLES[0].input)
        assert second.before + second.input + second.after == TEMPLATES[1].format(input=EXAMPLES[0].input)
        assert first.response == "dog"
        assert first.chat


def test_qlora_names_a_device_without_4_bit_kernels():
    assert "not for mps" in build("qlora").unsupported(ModelFacts("x", "decoder-only", "Llama", "mps"))


def test_prefix_starts_from_the_cache_of_real_text(tiny_model, tokenizer, tmp_path):
    import torch

    for family in FAMILIES:
        method, _, base, setting = load("prefix", family, tiny_model, tokenizer, tmp_path)
        model = method.prepare(base, setting)
        encoder = Encoder(tokenizer, family, LIMITS)
        prompts = [encoder.encode(method.write(example, TEMPLATES, 0)).prompt for example in EXAMPLES[:2]]
        text = [*prompts[0], *prompts[1]][:20]
        if family == "decoder-only":
            with torch.no_grad(), model.disable_adapter():
                cache = model(input_ids=torch.tensor([text]), use_cache=True).past_key_values
            keys = cache.layers[0].keys[0].transpose(0, 1).reshape(20, -1)
            stored = model.prompt_encoder["default"].embedding.weight[:, : keys.shape[1]]
            torch.testing.assert_close(stored, keys)
        assert model.prompt_encoder["default"].embedding.weight.requires_grad
