"""Rewards that the user gives: ROUGE-L, a function, a model; and what becomes of one that fails."""

from __future__ import annotations

import json
import math
import shutil
import textwrap
from pathlib import Path

import pytest

from harness.errors import HarnessError, ModelError, SpecError
from harness.feedback.rewards import RewardSource, load_reward, make_rouge_scorer, resolve_reward
from methods.errors import RewardError
from methods.feedback import Scorer
from reports.records.details import RewardDetails

ROOT = Path(__file__).resolve().parents[3]
PROMPTS = ["one", "two", "three"]
RESPONSES = ["a", "b b", "c c c"]
REFERENCES = [("a",), ("b",), ("c", "d")]


def call(source: RewardSource, prompts=PROMPTS, responses=RESPONSES, references=REFERENCES, **more) -> list[float]:
    options = {"device": "cpu", "dtype": "float32", "batch_size": 2, **more}
    return load_reward(source, **options)(prompts, responses, references)


def complaint(text, kind=HarnessError, **more) -> str:
    with pytest.raises(kind) as caught:
        resolve_reward(text, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What a score function gives back


def failure(score) -> str:
    with pytest.raises(RewardError) as caught:
        Scorer("mine", score)(PROMPTS, RESPONSES, REFERENCES)
    assert "\n" not in str(caught.value)
    return str(caught.value)


SECOND = "for sample 2 of 3: prompt 'two', response 'b b'"


def raises_at_b(prompts, responses, references):
    return [1.0 if "b" not in text else {}["no\nkey"] for text in responses]


def exits_at_b(prompts, responses, references):
    if "b b" in responses:
        raise SystemExit(3)
    return [0.0] * len(responses)


def one_more_for_b(prompts, responses, references):
    return [1.0 for text in responses for _ in range(1 + ("b" in text))]


def nothing_for_b(prompts, responses, references):
    return None if "b b" in responses else [1.0] * len(responses)


@pytest.mark.parametrize(
    ("score", "sentence"),
    [
        (raises_at_b, f"the reward 'mine' raised KeyError: 'no\\nkey' {SECOND}"),
        (exits_at_b, f"the reward 'mine' raised SystemExit: 3 {SECOND}"),
        (one_more_for_b, f"the reward 'mine' returned 2 numbers instead of 1 {SECOND}"),
        (nothing_for_b, f"the reward 'mine' returned None instead of a sequence of numbers {SECOND}"),
        (lambda p, r, f: [1.0, math.nan, math.inf], f"the reward 'mine' returned nan {SECOND}"),
        (lambda p, r, f: [1.0, -math.inf, 1.0], f"the reward 'mine' returned -inf {SECOND}"),
        (lambda p, r, f: [1.0, None, 1.0], f"the reward 'mine' returned None instead of a number {SECOND}"),
        (
            lambda p, r, f: [1.0, "2", 1.0],
            f"the reward 'mine' returned a value of type str instead of a number {SECOND}",
        ),
        (
            lambda p, r, f: [1.0, [2.0], 1.0],
            f"the reward 'mine' returned a value of type list instead of a number {SECOND}",
        ),
        (
            lambda p, r, f: [1.0, 10**400, 1.0],
            f"the reward 'mine' returned a value of type int instead of a number {SECOND}",
        ),
        (
            lambda p, r, f: {"a": 1, "b": 2, "c": 3},
            "returned a value of type dict instead of a sequence of numbers for sample 1 of 3",
        ),
        (lambda p, r, f: "abc", "returned a value of type str instead of a sequence of numbers for sample 1 of 3"),
        (lambda p, r, f: 0.5, "returned a value of type float instead of a sequence of numbers for sample 1 of 3"),
    ],
)
def test_a_reward_that_fails_names_the_sample(score, sentence):
    assert sentence in failure(score)


def test_what_no_sample_causes_alone_is_said(monkeypatch):
    def only_together(prompts, responses, references):
        return [1.0] if len(responses) == 1 else [1.0, 2.0]

    assert failure(only_together) == (
        "the reward 'mine' returned 2 numbers instead of 3 for 3 samples together, though for none of them alone"
    )


def test_long_texts_are_shortened():
    def picky(prompts, responses, references):
        raise ValueError("x" * 1000)

    with pytest.raises(RewardError) as caught:
        Scorer("mine", picky)(["word " * 1000], ["\n" + "y" * 80], [()])
    prompt, response = str(caught.value).partition("prompt ")[2].split(", response ")
    assert prompt == repr("word " * 15 + "word…")
    assert response == repr("y" * 80)
    assert len(str(caught.value)) < 500


def test_numbers_of_many_kinds_are_numbers():
    import numpy
    import torch

    for values in ([1, True, 2.5], numpy.array([1, 1, 2.5], "float32"), torch.tensor([1, 1, 2.5]), (1, 1, 2.5)):
        assert Scorer("mine", lambda p, r, f, values=values: values)(PROMPTS, RESPONSES, REFERENCES) == [1.0, 1.0, 2.5]
    assert Scorer("mine", raises_at_b)([], [], []) == []


def test_a_function_gets_lists_of_its_own():
    prompts, responses = list(PROMPTS), list(RESPONSES)

    def greedy(prompts, responses, references):
        assert (prompts, responses, references) == (PROMPTS, RESPONSES, REFERENCES)
        return [float(len(responses.pop())) for _ in range(3)]

    assert Scorer("mine", greedy)(prompts, responses, REFERENCES) == [5.0, 3.0, 1.0]
    assert responses == RESPONSES


def test_want_of_memory_is_no_fault_of_the_reward():
    def hungry(prompts, responses, references):
        raise MemoryError

    with pytest.raises(MemoryError):
        Scorer("mine", hungry)(PROMPTS, RESPONSES, REFERENCES)


# ROUGE and functions


def test_rouge_is_that_of_the_best_reference():
    # LCS 2 of 4 and 2 words: F1 = 2/3; and an exact match.
    texts, references = ["the cat sat down", "a dog"], [("the cat", "no"), ("x", "a dog")]
    assert make_rouge_scorer()(["", ""], texts, references) == pytest.approx([2 / 3, 1.0])
    source = resolve_reward("rouge")
    assert source == RewardSource("rouge", "rouge")
    assert call(source, ["", ""], texts, references) == pytest.approx([2 / 3, 1.0])
    with pytest.raises(RewardError, match=r"an example has no reference for sample 2 of 2"):
        make_rouge_scorer()(["", "p"], ["a", "b"], [("a",), ()])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module of a new name into the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if path])
    count = iter(range(100))

    def make(text):
        name = f"reward_{tmp_path.name.replace('-', '_')}_{next(count)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    return make


LENGTH = """
    def length(prompts, responses, references):
        return [len(text) for text in responses]

    class Scores:
        @staticmethod
        def zero(prompts, responses, references):
            return [0] * len(prompts)

    LIMIT = 3
"""


def test_a_function_of_the_current_directory(module):
    name = module(LENGTH)
    source = resolve_reward(f"{name}:length")
    assert (source.name, source.kind, source.location) == (f"{name}:length", "function", "")
    assert call(source) == [1, 3, 5]
    assert call(resolve_reward(f"{name}:Scores.zero")) == [0, 0, 0]
    assert source.describe() == RewardDetails(name=f"{name}:length", revision=source.revision)


def test_the_file_of_a_function_is_its_revision(module, tmp_path):
    name = module(LENGTH)
    source = resolve_reward(f"{name}:length")
    assert len(source.revision) == 16
    assert resolve_reward(f"{name}:length") == source
    with (tmp_path / f"{name}.py").open("a") as stream:
        stream.write("# changed\n")
    assert resolve_reward(f"{name}:length").revision != source.revision
    with pytest.raises(SpecError, match="changed after the run was planned"):
        call(source)


def test_a_function_that_cannot_be_had(module, tmp_path):
    name = module(LENGTH)
    assert f"{name}:lenght: the module '{name}' has no attribute 'lenght'" in complaint(f"{name}:lenght")
    assert complaint(f"{name}:LIMIT") == (f"--reward {name}:LIMIT is of type int, not a function")
    assert "ModuleNotFoundError: No module named 'no_such_module_here'" in complaint("no_such_module_here:f")
    assert "(ZeroDivisionError: division by zero)" in complaint(f"{module('1 / 0')}:f")
    assert "(SystemExit: 2)" in complaint(f"{module('raise SystemExit(2)')}:f")
    assert "(SyntaxError: " in complaint(f"{module('def f(:')}:f")
    assert complaint(f"{name}.py").startswith(f"--reward {name}.py is a file; name a function in it as {name}:FUNCTION")
    assert complaint("").startswith("--reward is empty")
    for text in ("rogue", ":f", "a:", "a b:f", "1:f", "a\0b", "/no/such/dir"):
        assert complaint(text).startswith(f"unknown reward {text!r}; give rouge, MODULE:FUNCTION, ")
    assert "is not on this machine" in complaint("nobody/nothing-of-this-name")
    assert "with --reward" in complaint("nobody/nothing-of-this-name")


# Models


TEXTS = (
    ["why?", "why is the fox quick and the dog so very lazy?", "who"],
    ["a fox", "no", "the lazy dog, it jumps over"],
)
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_model_scores_as_its_own_forward_pass_does(classifier, tokenizer, family, batch_size):
    import torch

    folder, model = classifier(family)
    source = resolve_reward(str(folder))
    assert (source.name, source.kind, len(source.revision)) == ("judge", "model", 16)
    assert str(folder) not in str(source.describe())
    expected = []
    for prompt, response in zip(*TEXTS, strict=True):  # one at a time: nothing is padded
        inputs = tokenizer(prompt, response, return_tensors="pt")
        with torch.no_grad():
            expected.append(model(**inputs).logits.item())
    assert len({round(value, 3) for value in expected}) == 3
    assert call(source, *TEXTS, batch_size=batch_size) == pytest.approx(expected, abs=1e-5)


def test_a_chat_template_writes_prompt_and_response(classifier, tokenizer):
    import torch

    folder, model = classifier("llama", chat_template=TEMPLATE)
    expected = []
    for prompt, response in zip(*TEXTS, strict=True):
        text = f"<user>{prompt}</user><assistant>{response}</assistant>"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[:, -64:]
        with torch.no_grad():
            expected.append(model(ids).logits.item())
    assert call(resolve_reward(str(folder)), *TEXTS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("family", "template"), [("bert", None), ("llama", None), ("llama", TEMPLATE)])
def test_a_text_beyond_the_models_length_is_cut_and_the_response_still_counts(classifier, family, template):
    folder, _ = classifier(family, chat_template=template)
    prompts, references = ["the fox " * 500] * 2, [()] * 2
    first, second = call(resolve_reward(str(folder)), prompts, ["a good dog", "zzz"], references)
    assert first != second


def test_models_that_are_no_reward(classifier, tiny_model, tokenizer, tmp_path):
    folder, _ = classifier("bert", labels=2)
    assert complaint(str(folder), ModelError) == (
        "--reward judge: the model has 2 outputs where a reward is one number; say what they are worth in a function, "
        "and name it as MODULE:FUNCTION (docs/preferences.md shows one)"
    )
    tiny_model("decoder-only").save_pretrained(tmp_path / "language-model")
    assert "LlamaForCausalLM is not a sequence-classification model" in complaint(
        str(tmp_path / "language-model"), ModelError
    )
    (tmp_path / "empty").mkdir()
    assert "no config.json" in complaint(str(tmp_path / "empty"), ModelError)

    folder, _ = classifier("bert")
    pickled = tmp_path / "pickled"
    shutil.copytree(folder, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "could run code" in complaint(str(pickled), ModelError)


def test_a_model_without_its_head_is_refused(classifier, tmp_path):
    from safetensors.torch import load_file, save_file

    folder, _ = classifier("llama")
    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"--reward judge: 1 weights are missing, such as score.weight"):
        call(resolve_reward(str(folder)))


def test_the_content_of_a_directory_is_its_revision(classifier):
    folder, _ = classifier("bert")
    source = resolve_reward(str(folder))
    assert resolve_reward(f"{folder}/").revision == source.revision
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "classifier_dropout": 0.5}))
    assert resolve_reward(str(folder)).revision != source.revision


def test_the_documented_toxicity_classifier(classifier, tokenizer, module):
    import torch

    folder, model = classifier("bert", labels=3)
    config = json.loads((folder / "config.json").read_text())
    labels = {"id2label": {0: "calm", 1: "toxic", 2: "odd"}, "label2id": {"calm": 0, "toxic": 1, "odd": 2}}
    (folder / "config.json").write_text(json.dumps({**config, **labels}))
    text = (ROOT / "docs" / "preferences.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0].replace('"unitary/toxic-bert"', repr(str(folder)))
    with torch.no_grad():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0, 1] for text in TEXTS[1]]
    expected = [1 - 1 / (1 + math.exp(-value)) for value in logits]
    assert call(resolve_reward(f"{module(code)}:not_toxic"), *TEXTS) == pytest.approx(expected, abs=1e-5)
