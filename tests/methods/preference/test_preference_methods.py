"""DPO, KTO, ORPO, CPO and SimPO: their losses against hand-worked values, and what they leave behind."""

from __future__ import annotations

import contextlib
import copy
import math
import time

import pytest

from methods.base import Budget, Example, Limits, ModelFacts, Setting, TrainingJob
from methods.engine.encoding import Encoder
from methods.errors import UnsupportedError
from methods.feedback import DERIVED_NOTE, Feedback, Observer, Preference, Scorer
from methods.registry import build

NAMES = ("dpo", "kto", "orpo", "cpo", "simpo")
WITH_REFERENCE = ("dpo", "kto")
BOTH = [(name, "decoder-only") for name in NAMES] + [(name, "encoder-decoder") for name in ("orpo", "cpo", "simpo")]
TEMPLATES = ("Say.\n{input}\nAnswer:\n", "{input}\nNow say:\n")
LIMITS = Limits(64, 16)
# The warm start teaches what the pairs reject.
EXAMPLES = tuple(Example(str(i), f"fox {i} " + "jumps " * (i % 4), ("lazy fox",)) for i in range(32))
VALIDATION = tuple(Example(f"v{i}", f"quick fox {i}", ("lazy fox",)) for i in range(6))
PAIRS = (
    Preference("a", "fox 1", "the dog", "lazy fox"),
    Preference("b", "a fox that jumps 2", "the quick brown dog", "fox"),
)
MANY = tuple(Preference(f"t{i}", f"fox {i}", "the dog", "lazy fox") for i in range(9))
HELD_OUT = tuple(Preference(f"h{i}", f"brown fox {i}", "the dog", "lazy fox") for i in range(6))
HALF = {"warm_start": 0.5, "schedule": "constant", "warmup": 0.0}
RATES = {
    "lora": {"learning_rate": 1e-2, "preference_learning_rate": 3e-3},
    "none": {"learning_rate": 3e-3, "preference_learning_rate": 1e-3},
}


class Watcher(Observer):
    """Keeps what is told, and the model's weights as the last stage found them."""

    def __init__(self, model):
        self.model = model
        self.stages, self.told, self.described, self.kept = [], {}, {}, {}
        self.start = None

    @contextlib.contextmanager
    def stage(self, name):
        self.stages.append(name)
        if name == "preference_tuning":
            self.start = weights(self.model)
        yield

    def metrics(self, values):
        self.told.update(values)

    def details(self, values):
        self.described.update(values)

    def rows(self, name, rows):
        self.kept[name] = rows

    @property
    def curve(self):
        return self.described["preference_tuning"]["curve"]


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters() if ".ref." not in name}


def prepared(name, family, tiny_model, tokenizer, **knobs):
    import torch

    peft = knobs.get("peft", "lora")
    method = build(name, {**HALF, **RATES[peft], **knobs})
    torch.manual_seed(0)
    facts = ModelFacts("tiny", family, "Tiny", "cpu")
    setting = Setting(facts, torch.float32, tokenizer, EXAMPLES, TEMPLATES, LIMITS, 0)
    return method, method.prepare(tiny_model(family), setting)


def train(method, model, tokenizer, family, steps, **changes):
    """(what the observer was told, step events, weights after each step)."""
    import torch

    watcher, events, after = Watcher(model), [], []

    def emit(event):
        events.append(event)
        if event.stage == "preference_tuning":
            after.append(weights(model))

    values = {
        "model": model,
        "tokenizer": tokenizer,
        "facts": ModelFacts("tiny", family, "Tiny", "cpu"),
        "examples": EXAMPLES,
        "validation": VALIDATION,
        "templates": TEMPLATES,
        "budget": Budget("steps", steps),
        "limits": LIMITS,
        "batch_size": 2,
        "accumulation": 1,
        "seed": 0,
        "dtype": torch.float32,
        "emit": emit,
        "clock": time.monotonic,
        "feedback": Feedback(preferences=PAIRS, heldout=HELD_OUT),
        "observer": watcher,
    }
    method.train(TrainingJob(**{**values, **changes}))
    return watcher, events, after


def token_log_probs(model, tokenizer, family, text, response):
    """Log-probability of each token after the first of the row, and how many of the last belong to the response."""
    import torch

    prompt = tokenizer(TEMPLATES[0].format(input=text))["input_ids"]
    answer = [*tokenizer(response)["input_ids"], tokenizer.eos_token_id]
    with torch.no_grad():
        if family == "encoder-decoder":
            shifted = [model.config.decoder_start_token_id, *answer[:-1]]
            logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([shifted])).logits[0]
            row = answer
        else:
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, :-1]
            row = (prompt + answer)[1:]
    return torch.log_softmax(logits, -1)[range(len(row)), row].tolist(), len(answer)


def worked(name, family, model, tokenizer, policy, reference):
    """(loss, margin) of one batch of `PAIRS`, from log-probabilities of these weights."""

    def under(state, text, response):
        model.load_state_dict(state, strict=False)
        return token_log_probs(model, tokenizer, family, text, response)

    def total(state, text, response):
        values, length = under(state, text, response)
        return sum(values[-length:])

    def mean(text, response):
        values, length = under(policy, text, response)
        return sum(values[-length:]) / length

    def ratio(text, response):
        return total(policy, text, response) - total(reference, text, response)

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    def log_odds(p):
        return p - math.log(1 - math.exp(p))

    rows = [(pair.prompt, pair.chosen, pair.rejected) for pair in PAIRS]
    if name == "dpo":
        gains = [0.1 * (ratio(x, c) - ratio(x, r)) for x, c, r in rows]
        return sum(-math.log(sigmoid(gain)) for gain in gains) / 2, sum(gains) / 2
    if name == "kto":
        (x1, c1, r1), (x2, c2, r2) = rows
        kl = max(0.0, sum(ratio(x, y) for x, y in ((x1, r2), (x2, c1), (x1, c2), (x2, r1))) / 4)
        desirable = [1 - sigmoid(0.1 * (ratio(x, c) - kl)) for x, c, _ in rows]
        undesirable = [1 - sigmoid(0.1 * (kl - ratio(x, r))) for x, _, r in rows]
        return sum(desirable + undesirable) / 4, sum(0.1 * (ratio(x, c) - ratio(x, r)) for x, c, r in rows) / 2
    answers = [under(policy, x, c) for x, c, _ in rows]
    taught = [value for values, length in answers for value in values[-length:]]
    supervised = -sum(taught) / len(taught)
    if name == "orpo":
        odds = [log_odds(mean(x, c)) - log_odds(mean(x, r)) for x, c, r in rows]
        loss = supervised - 0.1 * sum(math.log(sigmoid(value)) for value in odds) / 2
        return loss, sum(0.1 * (mean(x, c) - mean(x, r)) for x, c, r in rows) / 2
    if name == "cpo":
        gains = [0.1 * (total(policy, x, c) - total(policy, x, r)) for x, c, r in rows]
        return supervised + sum(-math.log(sigmoid(gain)) for gain in gains) / 2, sum(gains) / 2
    gains = [2.0 * (mean(x, c) - mean(x, r)) for x, c, r in rows]
    return sum(-math.log(sigmoid(gain - 1.0)) for gain in gains) / 2, sum(gains) / 2


@pytest.mark.parametrize("peft", ["lora", "none"])
@pytest.mark.parametrize(("name", "family"), BOTH)
def test_the_loss_is_the_hand_worked_one_with_the_warm_start_as_reference(name, family, peft, tiny_model, tokenizer):
    method, model = prepared(name, family, tiny_model, tokenizer, peft=peft)
    watcher, events, after = train(method, model, tokenizer, family, 4)
    first, second = watcher.curve
    for point, policy in ((first, watcher.start), (second, after[0])):
        loss, margin = worked(name, family, model, tokenizer, policy, watcher.start)
        assert point["loss"] == pytest.approx(loss, rel=1e-4)
        assert point["margin"] == pytest.approx(margin, rel=1e-4, abs=1e-5)
    assert abs(second["loss"] - first["loss"]) > 1e-3
    if name in WITH_REFERENCE:
        assert first["margin"] == 0
        assert first["loss"] == pytest.approx({"dpo": math.log(2), "kto": 0.5}[name])
    assert [event.loss for event in events[2:]] == [first["loss"], second["loss"]]


def test_dpo_may_have_a_supervised_loss_beside_its_own(tiny_model, tokenizer):
    method, model = prepared("dpo", "decoder-only", tiny_model, tokenizer, supervised_weight=0.2)
    watcher, _, after = train(method, model, tokenizer, "decoder-only", 4)
    loss, _ = worked("dpo", "decoder-only", model, tokenizer, after[0], watcher.start)
    model.load_state_dict(after[0], strict=False)
    rows = [token_log_probs(model, tokenizer, "decoder-only", pair.prompt, pair.chosen) for pair in PAIRS]
    taught = [value for values, length in rows for value in values[-length:]]
    assert watcher.curve[1]["loss"] == pytest.approx(loss - 0.2 * sum(taught) / len(taught), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_dropped_while_it_learns(name, tiny_model, tokenizer):
    method, model = prepared(name, "decoder-only", tiny_model, tokenizer, dropout=0.5)
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    watcher, _, after = train(method, model, tokenizer, "decoder-only", 4)
    loss, _ = worked(name, "decoder-only", model, tokenizer, after[0], watcher.start)
    assert watcher.curve[1]["loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize(("name", "family"), BOTH)
def test_the_model_reads_the_encoders_tokens(name, family, tiny_model, tokenizer):
    import torch

    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    limits = Limits(60, 5)  # cuts the longer input and the longer response
    method, model = prepared(name, family, tiny_model, chatty)
    seen = []

    def look(_, inputs):
        if torch.is_grad_enabled():
            seen.append([row[row != chatty.pad_token_id].tolist() for row in inputs[0]])

    pairs = (PAIRS[0], Preference("b", "a fox that jumps " * 9, "the quick brown dog", "fox"))
    base = model.get_base_model()
    seq2seq = family == "encoder-decoder"
    tables = [base.encoder.embed_tokens, base.decoder.embed_tokens] if seq2seq else [base.get_input_embeddings()]

    class Looking(Watcher):
        @contextlib.contextmanager
        def stage(self, name):
            if name == "preference_tuning":
                hooks.extend(table.register_forward_pre_hook(look) for table in tables)
            yield

    hooks = []
    feedback = Feedback(preferences=pairs)
    train(method, model, chatty, family, 2, limits=limits, observer=Looking(model), feedback=feedback)
    for hook in hooks:
        hook.remove()
    encoder = Encoder(chatty, family, limits)
    wanted = [
        encoder.encode(method.write(Example(pair.id, pair.prompt, (response,)), TEMPLATES, 0))
        for pair in pairs
        for response in (pair.chosen, pair.rejected)
    ]
    assert [row.cut for row in wanted] == [False, False, True, True]
    assert all(row.response[-1] == chatty.eos_token_id for row in wanted)
    expected = [[row.prompt + row.response for row in wanted]]
    if seq2seq:  # the decoder's inputs begin with its start token, here the pad token, which shifts the last one out
        expected = [[row.prompt for row in wanted], [row.response[: limits.target_tokens - 1] for row in wanted]]
    assert [sorted(rows) for rows in seen] == [sorted(rows) for rows in expected]


@pytest.mark.parametrize(("name", "family"), BOTH)
def test_preferences_are_learned_and_one_adapter_is_left(name, family, tiny_model, tokenizer, tmp_path):
    import peft
    import torch

    method, model = prepared(name, family, tiny_model, tokenizer, learning_rate=3e-2, preference_learning_rate=1e-2)
    frozen = {key: p.detach().clone() for key, p in model.named_parameters() if not p.requires_grad}
    trainable = {key for key, p in model.named_parameters() if p.requires_grad}
    answers = []

    def quality(prompts, responses, references):
        assert list(references) == [example.references for example in VALIDATION]
        answers.append(responses)
        return [float(response == "lazy fox") for response in responses]

    feedback = Feedback(preferences=MANY, heldout=HELD_OUT, quality=Scorer("exact", quality))
    watcher, events, _ = train(method, model, tokenizer, family, 40, batch_size=4, feedback=feedback)

    assert watcher.stages == ["warm_start", "preferences", "held_out_start", "preference_tuning", "held_out_final"]
    assert watcher.told["preference_accuracy_start"] == 0
    assert watcher.told["preference_accuracy_final"] == 1
    assert watcher.told["heldout_quality_start"] == 1
    assert watcher.told["heldout_quality_final"] == sum(answer == "lazy fox" for answer in answers[1]) / 6
    assert watcher.described["preferences"]["train"] == {"given": 9}
    assert watcher.described["preferences"]["note"] is None
    assert watcher.described["preference_tuning"]["loss"] == name
    assert [point["step"] for point in watcher.curve] == list(range(1, 21))
    assert watcher.curve[-1]["margin"] > watcher.curve[0]["margin"]
    assert watcher.curve[-1]["accuracy"] == (None if name == "kto" else 1)

    assert [event.step for event in events] == list(range(1, 41))
    assert {event.stage for event in events[20:]} == {"preference_tuning"}
    assert events[19].progress == pytest.approx(0.5)
    assert events[-1].progress == 1
    assert events[20].examples in (2, 8)  # the ninth pair comes alone

    assert list(model.peft_config) == ["default"]
    assert {key for key, p in model.named_parameters() if p.requires_grad} == trainable
    assert not [key for key in model.state_dict() if ".ref." in key]
    assert not [key for key, module in model.named_modules() if "forward" in vars(module)]
    for key, value in frozen.items():
        assert torch.equal(model.get_parameter(key), value), f"{key} is frozen and changed"
    assert not model.training

    method.save(model, tmp_path)
    assert [path.name for path in tmp_path.rglob("*.safetensors")] == ["adapter_model.safetensors"]
    again = peft.PeftModel.from_pretrained(tiny_model(family), tmp_path).eval()
    encoder = Encoder(tokenizer, family, LIMITS)
    batch = encoder.training_batch([encoder.encode(method.write(example, TEMPLATES, 0)) for example in EXAMPLES[:4]])
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits, rtol=1e-5, atol=1e-5)


def test_pairs_are_derived_where_none_are_given(tiny_model, tokenizer):
    method, model = prepared("dpo", "decoder-only", tiny_model, tokenizer, pairs=10)
    watcher, _, _ = train(method, model, tokenizer, "decoder-only", 2, feedback=Feedback())
    described = watcher.described["preferences"]
    assert described["derived"]
    assert described["note"] == DERIVED_NOTE
    assert sum(described["train"].values()) == 10
    assert {row["prompt"] for row in watcher.kept["pairs"] if row["split"] == "heldout"} <= {
        e.input for e in VALIDATION
    }
    assert watcher.told["heldout_quality_start"] is None


def test_accumulated_batches_count_as_one_step(tiny_model, tokenizer):
    method, model = prepared("cpo", "decoder-only", tiny_model, tokenizer)
    feedback = Feedback(preferences=MANY[:8], heldout=HELD_OUT)
    _, events, _ = train(method, model, tokenizer, "decoder-only", 4, accumulation=2, feedback=feedback)
    assert [event.step for event in events] == [1, 2, 3, 4]
    # Two batches of two pairs, each with two responses, whose prompts and responses are real tokens.
    assert [event.examples for event in events[2:]] == [8, 8]


def test_encoder_decoder_tokens_count_on_both_sides(tiny_model, tokenizer):
    method, model = prepared("orpo", "encoder-decoder", tiny_model, tokenizer)
    _, events, _ = train(method, model, tokenizer, "encoder-decoder", 2)
    rows = [(TEMPLATES[0].format(input=p.prompt), answer) for p in PAIRS for answer in (p.chosen, p.rejected)]
    lengths = [len(tokenizer(text)["input_ids"]) for row in rows for text in row]
    assert events[-1].tokens == sum(lengths) + len(rows)  # each response has an end token


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_encoder_decoder_models_are_refused_in_one_sentence(name):
    reason = build(name).unsupported(ModelFacts("t5", "encoder-decoder", "T5ForConditionalGeneration", "cpu"))
    assert reason == f"{name} uses a trainer for decoder-only models only; t5 is encoder-decoder"
    assert build(name).unsupported(ModelFacts("llama", "decoder-only", "LlamaForCausalLM", "cpu")) is None


@pytest.mark.parametrize("name", ["orpo", "cpo", "simpo"])
def test_the_others_take_both_families(name):
    for family in ("decoder-only", "encoder-decoder"):
        assert build(name).unsupported(ModelFacts("x", family, "X", "cpu")) is None


def test_kto_refuses_batches_of_one_before_it_trains(tiny_model, tokenizer):
    method, model = prepared("kto", "decoder-only", tiny_model, tokenizer)
    before = weights(model)
    with pytest.raises(UnsupportedError, match="batch size of at least 2"):
        train(method, model, tokenizer, "decoder-only", 2, batch_size=1)
    assert all((before[key] == value).all() for key, value in weights(model).items())


def test_nobody_is_told(tiny_model, tokenizer, monkeypatch):
    sent = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *args, **named: sent.append(args))
    method, model = prepared("dpo", "decoder-only", tiny_model, tokenizer)
    train(method, model, tokenizer, "decoder-only", 2)
    assert not sent
