"""Chat templates: the prompt is what Transformers writes, and training teaches the end at which generation stops."""

from __future__ import annotations

import pytest

from methods.engine.chat_template import PROBES, USUAL_SYSTEM_TEXT, read_chat_template, set_date
from methods.engine.encoding import Encoder
from methods.errors import UnsupportedError
from methods.types import Limits, Text

from .templates import CHATML, CONVENTIONS, LOOP, make_tokenizer

CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")


def make_encoder(template, tokens=(), limits=(200, 30)):
    return Encoder(make_tokenizer(template, tokens), "decoder-only", Limits(*limits))


@pytest.mark.parametrize("case", CONVENTIONS, ids=lambda case: case.name)
def test_prompt_end_and_stops_of_every_convention(case):
    encoder = make_encoder(case.template, case.tokens)
    tokenizer = encoder.tokenizer
    encoded = encoder.encode(Text("", " Hi", "", "the dog", chat=True))
    chat = [{"role": "user", "content": " Hi"}]
    assert tokenizer.decode(encoded.prompt) == case.prompt
    assert encoded.prompt == tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
    assert tokenizer.decode(encoded.response) == "the dog" + case.end
    stops = encoder.find_stops(None, chat=True)
    assert set(stops.tokens) == set(tokenizer.convert_tokens_to_ids(list(case.stops)))
    assert stops.texts == ((case.stop_text,) if case.stop_text else ())
    # What is taught is what stops, and it is no part of the answer.
    answer = stops.read_answer(tokenizer, [*encoded.response, *encoded.prompt])
    assert (answer.text, answer.tokens, answer.ended) == ("the dog", len(encoded.response), True)
    assert bool(read_chat_template(tokenizer).end.note) == case.unusual


@pytest.mark.parametrize("case", CONVENTIONS, ids=lambda case: case.name)
def test_what_is_written_without_the_template_is_not_touched_by_it(case):
    encoder = make_encoder(case.template, case.tokens)
    encoded = encoder.encode(Text("", " Hi", "", "the dog"))
    assert encoder.tokenizer.decode(encoded.prompt) == " Hi"
    assert encoder.tokenizer.decode(encoded.response) == "the dog</s>"
    stops = encoder.find_stops(None, chat=False)
    assert (stops.tokens, stops.texts) == ((encoder.tokenizer.eos_token_id,), ())


USER = LOOP + "{% if m['role'] == 'user' %}"
WAYS = {
    "parts": (LOOP + "{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}{% endfor %}|"
              "{% endfor %}", " Hi|"),
    "first-part": (LOOP + "{{ m['content'][0]['text'] }}|{% endfor %}", " Hi|"),
    "text-or-parts": (LOOP + "{% if m['content'] is string %}{{ m['content'] }}{% else %}{{ m['content'][0]['text'] }}"
                      "{% endif %}|{% endfor %}", " Hi|"),
    "trimmed": (LOOP + "{{ m['content'] | trim }}|{% endfor %}", "Hi|"),
    "twice": (LOOP + "{{ m['content'] }}|{{ m['content'] }}|{% endfor %}", " Hi| Hi|"),
    "upper": (LOOP + "{{ m['content'] | upper }}|{% endfor %}", " HI|"),
    "as-json": (LOOP + "{{ m | tojson }}{% endfor %}", '{"role": "user", "content": " Hi"}'),
    "demands-system": ("{% if messages[0]['role'] != 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
                       + LOOP + "{{ m['role'] }}:{{ m['content'] }}|{% endfor %}", "system:|user: Hi|"),
    "demands-system-text": ("{% if not messages[0]['content'] or messages[0]['role'] != 'system' %}"
                            "{{ raise_exception('no system prompt') }}{% endif %}"
                            + LOOP + "{{ m['content'] }}|{% endfor %}", USUAL_SYSTEM_TEXT + "| Hi|"),
    "refuses-system": (LOOP + "{% if m['role'] == 'system' %}{{ raise_exception('no system turns here') }}{% endif %}"
                       "{{ m['content'] }}|{% endfor %}", " Hi|"),
    "demands-system-and-parts": ("{{ messages[0]['content'][0]['text'] }}{% if messages[0]['role'] != 'system' %}"
                                 "{{ raise_exception('no system turn') }}{% endif %}"
                                 "{{ messages[1]['content'][0]['text'] }}|", " Hi|"),
    "single-turns-only": ("{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}"
                          "{{ messages[0]['content'] }}|", " Hi|"),
    "named-templates": ({"default": LOOP + "{{ m['content'] }}|{% endfor %}", "tool_use": "tools"}, " Hi|"),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_a_template_gets_texts_as_it_wants_them(name):
    template, prompt = WAYS[name]
    encoder = make_encoder(template)
    assert encoder.tokenizer.decode(encoder.encode(Text("", " Hi", "", "dog", chat=True)).prompt) == prompt


@pytest.mark.parametrize("name", ["chatml", "trimmed", "twice", "parts"])
@pytest.mark.parametrize(
    "input", ["\ue000", " a\ue000b \ue000", *PROBES, "{{ x }}{% if %}", "\n\n  two\n", "</think> <b>&"]
)
def test_a_text_may_hold_anything(name, input):
    template = CHATML if name == "chatml" else WAYS[name][0]
    encoder = make_encoder(template)
    content = [{"type": "text", "text": f"Say: {input}\n"}] if name == "parts" else f"Say: {input}\n"
    found = encoder.encode(Text("Say: ", input, "\n", input, chat=True))
    wanted = encoder.tokenizer.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    assert found.prompt == wanted["input_ids"]


@pytest.mark.parametrize("name", ["trimmed", "twice", "upper", "parts", "as-json"])
def test_a_text_that_is_too_long_is_cut_however_the_template_writes_it(name):
    encoder = make_encoder(WAYS[name][0], limits=(60, 20))
    encoded = encoder.encode(Text("Say: ", "word " * 100, "End", "dog", chat=True))
    prompt = encoder.tokenizer.decode(encoded.prompt).lower()
    assert encoded.cut
    assert 45 < len(encoded.prompt) <= 60
    assert "say: word" in prompt
    assert "end" in prompt


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (LOOP + "{{ raise_exception('Give me tools!') }}{% endfor %}", "Give me tools!"),
        ("{{ messages[0]['content'] | no_such_filter }}", "no_such_filter"),
        ("{% for m in messages %}{{ m['content'] }}", "endfor"),
        ("{{ messages[7]['content']['x'] }}", "no element 7"),
        ("Hello! How can I help?", "leaves the user's text out"),
        ({"rag": LOOP + "{{ m['content'] }}{% endfor %}"}, "multiple chat templates"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_its_reason(template, reason):
    encoder = make_encoder(template)
    with pytest.raises(UnsupportedError, match="the chat template") as refusal:
        encoder.encode(Text("", "Hi", "", "dog", chat=True))
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
    plain = encoder.encode(Text("", "Hi", "", "dog"))
    assert encoder.tokenizer.decode(plain.response) == "dog</s>"


def test_an_end_that_leaves_no_room_for_an_answer_is_not_taught():
    encoder = make_encoder(CHATML, limits=(200, 6))
    encoded = encoder.encode(Text("", "Hi", "", "dog", chat=True))
    assert encoder.tokenizer.decode(encoded.response) == "dog</s>"
    assert encoder.find_stops(None, chat=True).texts == ("<|im_end|>",)


@pytest.mark.parametrize(("named", "own"), [(None, ()), (7, (7,)), ([7, 9], (7, 9)), ((9,), (9,))])
@pytest.mark.parametrize("chat", [False, True])
def test_generation_stops_at_every_end_token_of_the_model(named, own, chat):
    from types import SimpleNamespace

    encoder = make_encoder(CHATML, CHAT_TOKENS)
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=named))
    end = encoder.tokenizer.convert_tokens_to_ids("<|im_end|>")
    wanted = {encoder.tokenizer.eos_token_id, *own, *((end,) if chat else ())}
    assert set(encoder.find_stops(model, chat=chat).tokens) == wanted


FORMATS = ("%d %b %Y", "%Y-%m-%dT%H:%M:%S", "%A, %-d %B %y", "100%% on %d%%", "%j %U %p", "no date")


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("date", ["2025-03-04", "1999-12-31"])
def test_a_template_sees_the_date_that_it_is_given(written, date):
    import datetime

    clock = "  {% if strftime_now is defined %}{% set d = strftime_now('" + written + "') %}{{ d }}|{% endif %}\n"
    tokenizer = make_tokenizer(clock + CHATML, CHAT_TOKENS)
    set_date(tokenizer, date)
    text = datetime.datetime.fromisoformat(date).strftime(written)
    chat = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    template = read_chat_template(tokenizer)
    assert "".join(template.write_prompt("Hi")) == f"{text}|{chat}"  # Jinja drops a line break after a block
    assert template.shows_date == (written != "no date")
    assert "macro" not in tokenizer.chat_template


@pytest.mark.parametrize("start", ["", "\n", "  ", "  {% set x = 1 %}\n", "\n  {%- set x = 1 %}  "])
def test_a_fixed_date_changes_nothing_else_of_what_a_template_writes(start):
    tokenizer = make_tokenizer(start + "{% if false %}{{ strftime_now('%Y') }}{% endif %}" + CHATML, CHAT_TOKENS)
    before = read_chat_template(tokenizer).write_prompt("Hi")
    set_date(tokenizer, "2025-03-04")
    template = read_chat_template(tokenizer)
    assert template.write_prompt("Hi") == before
    assert not template.shows_date


@pytest.mark.parametrize("name", ["phi", "zephyr", "chatml", "deepseek", "gemma", "twice"])
@pytest.mark.parametrize("input", ["</s>", "<|end|> and </s>\n", "Kiwi5</s>"])
def test_control_tokens_of_a_text_are_text_and_those_of_the_template_are_not(name, input):
    case = next((case for case in CONVENTIONS if case.name == name), None)
    encoder = make_encoder(case.template if case else WAYS[name][0], case.tokens if case else ())
    tokenizer = encoder.tokenizer
    control = set(tokenizer.all_special_ids)
    plain, found = (encoder.encode(Text("", text, "", text, chat=True)) for text in ("Hi", input))
    assert [token for token in found.prompt if token in control] == [t for t in plain.prompt if t in control]
    own = tokenizer.decode(plain.prompt).count(input.strip())
    assert tokenizer.decode(found.prompt).count(input.strip()) == own + (2 if name == "twice" else 1)
    assert tokenizer.decode(found.response) == input + tokenizer.decode(plain.response).removeprefix("Hi")
