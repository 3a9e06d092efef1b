"""Methods that train nothing: what stands in the prompt, and where an answer ends."""

from __future__ import annotations

import dataclasses
import json

import pytest

from harness.contract import Case, tiny
from harness.models.transformers_backend import generate, measure_loss
from harness.request import Decoding
from methods.base import Example, Limits
from methods.engine.encoding import Encoder
from methods.errors import InvalidSettingError, UnsupportedError
from methods.registry import build


def prepared(case, **changes):
    model = case.base()
    return case.method.prepare(model, dataclasses.replace(case.setting, **changes))


def prompt(case):
    text = case.method.write(Example("x", "the quick fox", ("dog",)), tiny.TEMPLATES, 0)
    assert (text.response, text.chat) == ("dog", True)
    return text.before + text.input + text.after


def test_examples_stand_before_the_input_in_the_same_phrasing(tmp_path):
    case = Case("few-shot", "decoder-only", tmp_path, {"k": 2})
    examples = [Example(str(i), f"fox {i}", (f"dog {i}", "cat")) for i in range(2)]
    model = prepared(case, examples=examples)
    assert not any(p.requires_grad for p in model.parameters())
    one, other = (f"Say.\nfox {i}\nAnswer:\ndog {i}\n\n" for i in range(2))
    last = "Say.\nthe quick fox\nAnswer:\n"
    assert prompt(case) in (one + other + last, other + one + last)


def test_the_seed_draws_them(tmp_path):
    case = Case("few-shot", "decoder-only", tmp_path, {"k": 1})
    found = []
    for seed in (0, 1, 2, 0):
        prepared(case, seed=seed)
        found.append(prompt(case))
    assert found[0] == found[3]
    assert len(set(found)) > 1


def test_examples_that_leave_no_room_are_refused_with_the_most_that_do(tmp_path):
    case = Case("few-shot", "decoder-only", tmp_path, {"k": 9})
    with pytest.raises(
        UnsupportedError, match=r"^few-shot\.k is 9, .* in 64 tokens .*; the most that fit is few-shot\[k=\d"
    ) as told:
        prepared(case)
    most = int(str(told.value).partition("[k=")[2].partition("]")[0])
    prepared(Case("few-shot", "decoder-only", tmp_path, {"k": most}))
    with pytest.raises(UnsupportedError):
        prepared(Case("few-shot", "decoder-only", tmp_path, {"k": most + 1}))
    with pytest.raises(UnsupportedError, match="not even one fits, or raise --input-tokens"):
        prepared(case, limits=Limits(25, 16))
    with pytest.raises(UnsupportedError, match=r"few-shot\.k is 33, and there are 32 training examples"):
        prepared(Case("few-shot", "decoder-only", tmp_path, {"k": 33}))


@pytest.mark.parametrize("separated", [False, True])
def test_an_answer_ends_where_the_next_example_would_begin(tmp_path, separated):
    """The real model generates, and is made to say what a model says that goes on with examples."""
    from transformers import LogitsProcessor, LogitsProcessorList

    tokens = tiny.tokenizer()
    case = Case("few-shot", "decoder-only", tmp_path, {"k": 1})
    examples = [Example(str(i), f"fox {i}", ("dog\n\ncat" if separated else "dog",)) for i in range(3)]
    model = prepared(case, examples=examples)
    texts = ["dog\n\nSay", "\n\nfox over\n\nSay", "fox jumps over dog"]
    said = [tokens(text)["input_ids"] for text in texts]
    encoded = case.encoder.encode_all([case.method.write(e, tiny.TEMPLATES, 0) for e in examples])
    skip = max(len(item.prompt) for item in encoded)

    class Say(LogitsProcessor):
        def __call__(self, ids, scores):
            at = ids.shape[1] - skip
            for row, wanted in zip(scores, said, strict=True):
                row.fill_(-1e9)
                row[wanted[at] if at < len(wanted) else tokens.eos_token_id] = 0
            return scores

    class Saying(type(case.method)):
        def generate(self, model, inputs, **decoding):
            return super().generate(model, inputs, logits_processor=LogitsProcessorList([Say()]), **decoding)

    case.method.save(model, tmp_path / "shipped")
    prepared_one, loaded = Saying(case.method.config), Saying(case.method.config)
    prepared_one.__dict__.update(case.method.__dict__)
    loaded.load(model, tmp_path / "shipped")
    decoding = Decoding(max_new_tokens=40, batch_size=3)
    answers, again = (
        generate(method, model, case.encoder, encoded, decoding, lambda share: None)
        for method in (prepared_one, loaded)
    )
    assert again == answers
    assert [answer.text for answer in answers] == (
        [t.strip() for t in texts] if separated else ["dog", "fox over", "fox jumps over dog"]
    )
    assert all(answer.finished for answer in answers)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(("name", "settings"), [("zero-shot", {}), ("few-shot", {"k": 1})])
def test_a_padded_batch_answers_as_each_prompt_alone_and_the_prompt_ships(tmp_path, family, name, settings):
    case = Case(name, family, tmp_path, settings)
    model = case.prepared()
    answers = case.answers(model, 6)
    assert answers == case.answers(model, 1)
    case.method.save(model, tmp_path / "shipped")
    assert [path.name for path in (tmp_path / "shipped").iterdir()] == ["prompt.json"]
    again = Case(name, family, tmp_path, settings)
    loaded = again.method.load(again.base(), tmp_path / "shipped")
    assert again.answers(loaded, 6) == answers
    assert prompt(again) == prompt(case)
    if name == "few-shot":
        with pytest.raises(ValueError, match=r"few-shot ends an answer at '\\n\\n': give generate the tokenizer too"):
            again.method.generate(loaded, {})


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_zero_shot_takes_the_phrasing_of_the_least_loss(tmp_path, family):
    import torch

    templates = (*tiny.TEMPLATES, "{input} ", "fox? {input} dog: ")
    case = Case("zero-shot", family, tmp_path, {"examples": 5})
    model = prepared(case, templates=templates)
    base, losses = build("base"), []
    encoder = Encoder(tiny.tokenizer(), family, tiny.LIMITS)
    for choice in range(len(templates)):
        encoded = encoder.encode_all([base.write(example, templates, choice) for example in tiny.EXAMPLES[:5]])
        found = measure_loss(model, encoder, encoded, 2, torch.float32)
        losses.append(sum(found) / len(found))
    assert prompt(case) == templates[losses.index(min(losses))].format(input="the quick fox")
    prepared(again := Case("zero-shot", family, tmp_path, {"examples": 5}), templates=templates, seed=7)
    assert prompt(again) == prompt(case)


def test_zero_shot_takes_the_users_phrasing(tmp_path):
    case = Case("zero-shot", "decoder-only", tmp_path, {"template": "Fox: {input}!"})
    prepared(case)
    assert prompt(case) == "Fox: the quick fox!"
    case.method.save(case.base(), tmp_path / "shipped")
    shipped = {"before": "Fox: ", "after": "!", "stop": None}
    assert json.loads((tmp_path / "shipped" / "prompt.json").read_text()) == shipped
    with pytest.raises(InvalidSettingError, match=r"template: must contain \{input\} once"):
        build("zero-shot", {"template": "no place"})
    with pytest.raises(InvalidSettingError, match="examples: has no effect together with template"):
        build("zero-shot", {"template": "Fox: {input}!", "examples": 5})
