"""Records whose every text wants to break out: of HTML, of Markdown, of a spreadsheet's cell, of a terminal's line."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import io
import re
from pathlib import Path

import pytest

from reports.leaderboard import render
from reports.records.metrics import Metric
from reports.records.record import Phase, Record
from reports.records.store import RunStore

ROOT = Path(__file__).resolve().parents[2]
EVIL = (
    "=HYPERLINK(\"http://evil.test\",\"x\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0\u200b\ufeff=1",
    "＝1",
    "－1",
    "row\r=2\r\n=3",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt;&#60;script&#62;",
    "a | b | c\\| d \\",
    "| a | b |",
    "# heading",
    "- list",
    "1. list",
    "> quotation",
    "```",
    "~~~",
    "---",
    "[x]: http://evil.test",
    "[click](http://evil.test)",
    "![x](http://evil.test/x.png)",
    "[a\\](http://evil.test)",
    "<http://evil.test>",
    "`code` **bold** *it*",
    "two\nlines\n\n# heading",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202etxt.exe\u2066",
    "\ud800",
    "\0",
)  # fmt: skip


def spread(make, number: int) -> Record:
    """A record with hostile texts in every field that takes one, starting with this one."""
    order = iter(range(number, number + 10_000))

    def evil() -> str:
        return EVIL[next(order) % len(EVIL)]

    whole = make(f"v{number}", seed=number)
    named = {name: Metric(evil(), evil(), "score", None, evil()) for name in (evil(), evil(), "model", "rank", "gain")}
    return dataclasses.replace(
        whole,
        variant=f"{evil()}",
        method=evil(),
        status="error" if number % 2 else "ok",
        settings={evil(): evil(), "learning_rate": 1e-3, "list": [evil(), {evil(): evil()}]},
        changed={evil(): evil()},
        # One model and task for all, so that there is one table: these are the ones that differ from record to record.
        model=dataclasses.replace(whole.model, name=EVIL[0], architecture=EVIL[12], family=EVIL[18], note=EVIL[20]),
        task=dataclasses.replace(whole.task, name=EVIL[12], templates=(EVIL[28],), note=EVIL[27]),
        environment=dataclasses.replace(
            whole.environment,
            hardware={
                **whole.environment.hardware,
                "cpu": EVIL[13],
                "platform": EVIL[33],
                "devices": [{"name": EVIL[15]}],
            },
            versions={EVIL[14]: EVIL[29], "torch": EVIL[30]},
        ),
        declared=named,
        metrics={
            **whole.metrics,
            **dict.fromkeys(named, 0.25),
            evil(): 0.5,
            "reward_start": 0.1,
            "forgetting": 0.1,
            "reward_final": 0.5,
            "policy_kl": 1.0,
        },
        phases={**whole.phases, f"train.{evil()}": Phase(seconds=1.0), evil(): Phase(seconds=1.0)},
        details={
            evil(): evil(),
            "warm_start": {"from": evil()},
            "general_text": {"name": EVIL[16], "fingerprint": EVIL[17], "passages": EVIL[18]},
            "reward": {"name": evil(), "revision": evil()},
            "preferences": {"source": {"name": evil(), "fingerprint": evil()}, "derived": True},
            "policy": {"curve": [{"kl": 0.1, "reward": 0.2}, {"kl": 0.2, "reward": 0.3}]},
        },
        phase=evil() if number % 2 else None,
        message=evil() if number % 2 else None,
        log=evil() if number % 2 else None,
        started_at=evil(),
        finished_at=evil(),
    )


@pytest.fixture
def files(make):
    """Every report on these records."""
    return render([spread(make, number) for number in range(len(EVIL))], [f"{text}: broken" for text in EVIL])


class Page(html.parser.HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text.append(data)


def test_html_has_only_the_elements_of_its_template(files):
    page = Page(files["leaderboard.html"])
    assert page.tags.count("script") == 1
    assert page.tags.count("style") == 1
    assert not {"img", "a", "b", "http:", "iframe", "link"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    text = "".join(page.text)
    for shown in (EVIL[12], EVIL[14], EVIL[16], EVIL[17], EVIL[28]):
        assert shown in text
    assert "49" not in re.findall(r"\b49\b", text)


@pytest.mark.parametrize("name", ["leaderboard.html", "leaderboard.md", "reward-kl.svg"])
def test_nothing_that_a_terminal_obeys_or_that_turns_directions(files, name):
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", files[name])


def test_a_plot_is_still_xml(files):
    import xml.etree.ElementTree as ElementTree

    for file in ("reward-kl.svg", "trade-offs.svg"):
        names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(files[file]).iter()}
        assert names <= {"svg", "style", "rect", "path", "circle", "text", "title", "g"}


def test_no_cell_of_a_spreadsheet_is_a_formula(files):
    for name in ("leaderboard.csv", "records.csv"):
        rows = list(csv.reader(io.StringIO(files[name], newline="")))
        assert len({len(row) for row in rows}) == 1  # no text broke out of its row
        assert len(rows) == len(EVIL) + 1
        texts = [cell for row in rows for cell in row if not is_number(cell)]
        seen = [re.sub("^[\\s\x00-\x20\xa0\u200b\ufeff]+", "", cell) for cell in texts]
        assert not [cell for cell in seen if cell.startswith(tuple("=+-@＝＋－＠"))]
        assert not [cell for cell in texts if cell.startswith(("\t", "\r", "\n"))]
        assert [cell for cell in texts if cell.startswith("'=HYPERLINK")]


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "－" not in cell  # which float() reads, too


def test_numbers_of_a_spreadsheet_stay_numbers(make):
    record = make("lora", metrics={"rougeL": 0.25, "reward_gain_sd": -0.5, "heldout_loss": 1e-7})
    text = render([make("base", metrics={"rougeL": 0.5}), record])["leaderboard.csv"]
    row = next(row for row in csv.DictReader(io.StringIO(text)) if row["variant"] == "lora")
    assert (row["gain_rougeL"], row["reward_gain_sd"], row["heldout_loss"]) == ("-0.25", "-0.5", "1e-07")


def test_lists_in_a_cell_stay_json(make):
    import json

    lists = [-1, "=1", {"=a": "@b"}]
    text = render([make("base"), make("lora", details={"list": lists})])["records.csv"]
    assert lists in [json.loads(row["details.list"] or "null") for row in csv.DictReader(io.StringIO(text))]


def test_markdown_has_only_the_blocks_of_its_template(files):
    lines = files["leaderboard.md"].splitlines()
    ours = {"Fine-tuning methods compared", "What was compared", "Ranking", "Trade-offs", "Outputs",
            "Preference learning",
            "Are the differences real?", "Probability of improvement", "Means, deviations and intervals", "Tuning",
            "Learning curves",
            "Reward and policy", "What the judge is worth", "Reward against KL", "Stages of training",
            "What failed, and why", "Settings that differ", "Warnings"}  # fmt: skip
    headings = [re.sub("^[>\\- ]*#+ ", "", line) for line in lines if re.match(r"[>\- ]*#+ ", line)]
    assert [heading for heading in headings if heading not in ours] == [
        line.removeprefix("## ") for line in lines if line.startswith("## ")
    ]
    assert not [line for line in lines if re.match(r"[>\- ]*(```|~~~|\[[^\]]*\]:|---+$|> >|- -|\d+[.)] )", line)]
    unescaped = re.sub(r"\\.", "", files["leaderboard.md"])
    assert re.findall(r"\]\(([^)]*)\)", unescaped) == ["trade-offs.svg", "reward-kl.svg"]
    assert "<" not in unescaped
    assert "`" not in unescaped
    for table in re.findall(r"(?:^\|.*\n)+", unescaped, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_command_writes_them_all(run_here, make, tmp_path):
    store = RunStore(tmp_path / "run")
    for number in range(len(EVIL)):
        store.add(spread(make, number))
    (tmp_path / "run" / "records" / "=cmd <b>|.json").write_text("{")
    done = run_here("report", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Page((tmp_path / "run" / "leaderboard.html").read_text("utf-8")).tags.count("script") == 1
    assert "Set aside" in (tmp_path / "run" / "leaderboard.md").read_text("utf-8")


def test_secrets_in_records_of_others_reach_no_report(make, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "correct horse battery")
    store = RunStore(tmp_path)
    path = tmp_path / "records" / f"{(record := make('lora')).trial_id}.json"
    store.add(dataclasses.replace(record, details={"x": "PLACE"}))
    token = "hf_" + "a1B2" * 8
    url = "https://me:pw123@h/x?token=t0k3n"
    path.write_text(path.read_text().replace("PLACE", f"correct horse battery, {token}, {url}"))
    from reports.leaderboard import write

    for file in write([tmp_path], tmp_path / "out").paths:
        text = file.read_text()
        assert not [secret for secret in ("correct horse", token, "pw123", "t0k3n") if secret in text]
    assert (
        "[redacted], [redacted], https://[redacted]@h/x?token=[redacted]" in (tmp_path / "out/records.csv").read_text()
    )
