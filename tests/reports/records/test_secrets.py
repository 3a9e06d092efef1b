"""What is taken out of texts, and what is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.records.record import redact_record
from reports.records.secrets import Redactor, is_secret, make_redactor, without_secrets

SHAPES = {
    "hub": "hf_" + "a1B2" * 8,
    "service": "sk-proj-" + "a1B2-_" * 6,
    "github": "ghp_" + "a1B2" * 9,
    "github, fine-grained": "github_pat_" + "a1B2_" * 8,
    "gitlab": "glpat-" + "a1B2-" * 5,
    "slack": "xoxb-1234567890-abcdef",
    "aws": "AKIAABCDEFGHIJKLMNOP",
    "google": "AIza" + "a1B2_" * 7,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_1",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES)
def test_tokens_are_known_by_their_shape(secret):
    redact = Redactor({})
    assert redact(f"x {secret} y") == "x [redacted] y"
    assert redact(f'{{"a": "{secret}"}}') == '{"a": "[redacted]"}'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://me:pw@h.org/a?b=c", "https://[redacted]@h.org/a?b=c"),
        ("https:/me:pw@h.org/a", "https:/[redacted]@h.org/a"),  # as a path
        (r"https:\/\/me:pw@h.org", r"https:\/\/[redacted]@h.org"),
        ("postgres://me:p@ss@h/db", "postgres://[redacted]@h/db"),
        ("https://oauthtoken@h.org", "https://[redacted]@h.org"),
        ("see https://h.org/@someone and me@h.org", "see https://h.org/@someone and me@h.org"),
        ("https://h/x?token=abc&max_tokens=5&q=1#f", "https://h/x?token=[redacted]&max_tokens=5&q=1#f"),
        ("?a=1&amp;api_key=abc", "?a=1&amp;api_key=[redacted]"),
        ("?access_token=a;client-secret=b", "?access_token=[redacted];client-secret=[redacted]"),
        ("?X-Amz-Credential=a%2Fb&X-Amz-Signature=0f", "?X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]"),
        ("?AWSAccessKeyId=a&sig=b&monkey=c", "?AWSAccessKeyId=[redacted]&sig=[redacted]&monkey=c"),
        ("Authorization: Bearer abc.def-12345", "Authorization: Bearer [redacted]"),
        ("the bearer of news", "the bearer of news"),
        ("task-with-a-very-long-name-1 hf_short disk-cache", "task-with-a-very-long-name-1 hf_short disk-cache"),
        ("lora[r=4], token=5, key=7", "lora[r=4], token=5, key=7"),
    ],
)
def test_urls_and_headers(text, wanted):
    redact = Redactor({})
    assert redact(text) == wanted
    assert redact(wanted) == wanted


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "WANDB_API_KEY", "MY_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "KEY1", "db_passwd",
     "MYSQL_PWD", "npm_config__auth", "ACCESSTOKEN", "X_CREDENTIALS", "SSH_PASSPHRASE", "SECRET", "API_TOKENS"],
)  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret(name)
    assert Redactor({name: "correct horse"})("a correct horse b") == "a [redacted] b"


@pytest.mark.parametrize(
    "name",
    ["TOKENIZERS_PARALLELISM", "KEYBOARD_LAYOUT", "PWD", "OLDPWD", "SSH_AUTH_SOCK", "HF_TOKEN_PATH", "AUTHOR", "PATH",
     "GOOGLE_APPLICATION_CREDENTIALS_FILE", "MONKEYPATCH", "PASSAGE", "COMPAT", "HOME", ""],
)  # fmt: skip
def test_names_of_other_things(name):
    assert not is_secret(name)
    assert Redactor({name: "correct horse"})("a correct horse b") == "a correct horse b"


def test_short_values_are_no_secrets():
    redact = Redactor(
        {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "USE_AUTH": "true", "A_KEY": "sevenxx", "B_KEY": "", "C": ""}
    )
    assert redact("1 true sevenxx") == "1 true sevenxx"


def test_the_password_in_a_url_of_the_environment_is_known_alone():
    redact = Redactor(
        {"DATABASE_URL": "postgres://me:long%20password@h/db", "SITE": "https://h.org/", "BAD": "http://[x"}
    )
    assert redact("long password, long%20password, me, h.org") == "[redacted], [redacted], me, h.org"


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=16, max_size=60).filter(lambda v: v.strip() == v)


@settings(max_examples=300, deadline=None)
@given(value=VALUES.filter(lambda v: "[redacted]" not in v and len(v.strip()) >= 16))
def test_a_value_is_found_in_every_form(value):
    redact = Redactor({"MY_SECRET": value})
    for form in (value, json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value), quote(value, ""),
                 quote(value), quote_plus(value), " ".join(value.split())):  # fmt: skip
        held = form.strip("\"'") if form is not value else form
        if len(held) < 12:
            continue
        assert held not in redact(f"<{form}>")
        assert held.encode() not in redact(f"<{form}>".encode())
    assert redact(f"x{value}y") == "x[redacted]y" or value not in redact(f"x{value}y")


def test_values_of_several_lines_are_known_line_by_line():
    redact = Redactor({"MY_KEY": "begin of it\n  middle of it\nshort\nend of it all\n"})
    lines = ["log: begin of it", "middle of it", "short", "> end of it all <"]
    assert [redact(line) for line in lines] == ["log: [redacted]", "[redacted]", "short", "> [redacted] <"]


def test_a_value_that_is_cut_off_is_still_one():
    value = "0123456789abcdefghijklmnop"
    redact = Redactor({"MY_KEY": value})
    for length in range(13, len(value) + 1):
        assert redact(f"failed with {value[:length]}") == "failed with [redacted]"
        assert redact(f"{value[:length]}…") == "[redacted]…"
    assert redact("0123456789") == "0123456789"


def test_bytes_that_are_no_text_stay():
    redact = Redactor({"MY_KEY": "käse und brot"})
    assert redact(b"\xff\xfe k\xc3 " + "käse und brot".encode() + b" \x80\n") == b"\xff\xfe k\xc3 [redacted] \x80\n"
    every = bytes(range(256)) * 3
    assert redact(every) == every


def test_everything_inside_is_redacted_and_numbers_stay(make, monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "interrupted")
    monkeypatch.setenv("OTHER_KEY", "87654321")
    record = make(
        "lora", status="interrupted", message="it was interrupted", settings={"interrupted": ["interrupted", 87654321]}
    )
    clean = redact_record(record)
    assert (clean.status, clean.trial_id, clean.message) == ("interrupted", record.trial_id, "it was [redacted]")
    assert clean.settings == {"[redacted]": ["[redacted]", 87654321]}
    assert clean.metrics == record.metrics
    assert clean.model == record.model
    assert redact_record(clean) == clean
    assert without_secrets((1, None, True, 0.5), make_redactor()) == (1, None, True, 0.5)


def test_it_is_quick_and_light():
    redact = Redactor({"A_KEY": "a" * 40, "B_TOKEN": 'b"\n' * 20, "C_SECRET": "c" * 400})
    nasty = ("sk-" * 20000, "eyJ" * 20000, "://" * 20000, "?&;" * 20000, "&" + "a" * 60000 + "=", "bearer " * 9000,
             "a" * 60000, "c" * 60000, "-----BEGIN PRIVATE KEY-----" * 2000, "?token" * 10000)  # fmt: skip
    start = time.process_time()
    for text in nasty:
        redact(text)
    assert time.process_time() - start < 5
    heavy = {"pydantic", "jinja2", "yaml", "torch"}
    code = f"import sys; import reports.records.secrets; print(sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
