"""Which method is recommended, with numbers known beforehand, and what is said where none is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from reports.analysis import limits, mixed
from reports.analysis.limits import RESIDENT, parse_limit
from reports.analysis.standing import Standing
from reports.analysis.tables import build_tables
from reports.errors import LimitError
from reports.recommend import recommend_methods
from reports.records.store import RunStore
from reports.sections.certainty import describe_quality_difference

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
QUALITY = (0.1, 0.2, 0.3, 0.4)
"""Of four examples; their mean is 0.25."""


def row(make, variant, score, *, host=600.0, seconds=60.0, size=8.0, seed=0, **fields):
    """A record; memory and size in MiB."""
    metrics = {"rougeL": score, "peak_host_bytes": host * MIB, "peak_tensor_bytes": host * MIB / 4,
               "train_seconds": seconds, "shipped_bytes": size * MIB}  # fmt: skip
    return make(variant, seed=seed, metrics=metrics, **fields)


@pytest.fixture
def three(make):
    """The best is large, the second small, the third slow."""
    return [
        row(make, "base", 0.1, seconds=None, size=0.0),
        row(make, "full", 0.6, host=900.0, seconds=100.0, size=64.0),
        row(make, "lora", 0.5, host=700.0, seconds=90.0, size=1.0),
        row(make, "prefix", 0.3, host=500.0, seconds=200.0, size=0.5),
    ]


MAXIMA = {"--max-memory": RESIDENT, "--max-time": ("train_seconds",), "--max-size": ("shipped_bytes",),
          "--max-cost": ("cost",), "--min-rougeL": ("rougeL",)}  # fmt: skip


def ask(records, *given, prefer="quality", allow_mixed=False):
    wanted = [
        parse_limit(flag, flag[2:5], MAXIMA[flag], text) for flag, text in zip(given[::2], given[1::2], strict=True)
    ]
    made = build_tables(records)
    return recommend_methods(list(map(Standing, mixed.merge_tables(made) if allow_mixed else made)), wanted, prefer)


def one(*arguments, **options):
    (answer,) = ask(*arguments, **options)
    return answer


def said(answer, label):
    return [text for name, text in answer.lines if name == label]


@pytest.mark.parametrize(
    ("given", "prefer", "method", "second"),
    [
        ((), "quality", "full", "lora"),
        (("--max-memory", "800MiB"), "quality", "lora", "prefix"),
        (("--max-time", "95s"), "quality", "lora", None),
        (("--max-size", "1MiB"), "quality", "lora", "prefix"),  # what is just within a limit keeps it
        (("--max-memory", "800MiB", "--max-size", "600KiB"), "quality", "prefix", None),
        ((), "memory", "prefix", "lora"),
        ((), "time", "lora", "full"),
        ((), "size", "prefix", "lora"),
        (("--min-rougeL", "0.4"), "size", "lora", "full"),
        (("--min-rougeL", "0.5", "--max-memory", "1GiB"), "memory", "lora", "full"),
    ],
)
def test_the_best_within_the_limits_is_named_and_what_comes_second(three, given, prefer, method, second):
    answer = one(three, *given, prefer=prefer)
    assert answer.method == method
    assert said(answer, "recommended") == [method]
    assert [text.partition(":")[0] for text in said(answer, "runner-up")] == ([second] if second else [])
    if second is None:
        assert said(answer, "how sure") == ["nothing else qualifies, so there is nothing to choose between."]


def test_the_reason_has_the_numbers(three):
    answer = one(three, "--max-memory", "800MiB", "--min-rougeL", "0.2")
    assert said(answer, "why") == [
        "ROUGE-L 0.500 (+0.400 over the base), the highest of the 2 methods that qualify (3 tried); it keeps "
        "--max-memory 800MiB (peak host 700 MiB), --min-rougeL 0.2 (ROUGE-L 0.500)."
    ]
    assert said(answer, "left out") == ["full: peak host 900 MiB, 100 MiB more than --max-memory 800MiB allows"]
    (why,) = said(one(three, prefer="memory"), "why")
    assert why == (
        "peak tensors (CPU) 125 MiB, the lowest of the 3 methods that qualify (3 tried), "
        "ROUGE-L 0.300 (+0.200 over the base)."
    )


def test_where_nothing_qualifies_the_nearest_miss_comes_first(three):
    answer = one(three, "--max-memory", "400MiB", "--min-rougeL", "0.4")
    assert answer.method is None
    assert answer.lines == (
        ("recommended", "nothing: no method qualifies"),
        # 25% from either limit, the others 75% and 125% from one
        ("nearest miss", "prefix: peak host 500 MiB, 100 MiB more than --max-memory 400MiB allows; "
                         "ROUGE-L 0.300, 0.100 less than --min-rougeL 0.4 allows"),
        ("left out", "lora: peak host 700 MiB, 300 MiB more than --max-memory 400MiB allows"),
        ("left out", "full: peak host 900 MiB, 500 MiB more than --max-memory 400MiB allows"),
    )  # fmt: skip


def test_a_miss_that_rounds_to_nothing_is_told_all_the_same(make):
    answer = one([row(make, "lora", 0.29999)], "--min-rougeL", "0.3")
    assert said(answer, "nearest miss") == ["lora: ROUGE-L 0.300, 1e-05 less than --min-rougeL 0.3 allows"]


def test_what_does_not_beat_the_untouched_model_is_never_recommended(make):
    records = [row(make, "base", 0.4), row(make, "lora", 0.5), row(make, "prefix", 0.2, host=1.0)]
    answer = one(records, prefer="memory")
    assert answer.method == "lora"
    assert said(answer, "left out") == ["prefix: it does not beat the untouched model (ROUGE-L 0.200, -0.200)"]
    answer = one([records[0], records[2], row(make, "full", 0.4)])
    assert answer.method is None
    assert [text[:6] for text in said(answer, "nearest miss")] == ["full: "]


def test_what_was_not_measured_cannot_keep_a_limit(three, make):
    answer = one(three, "--max-cost", "5")
    assert answer.method is None
    assert "full: no cost was measured, so --max-cost 5 cannot be judged" in said(answer, "left out")
    assert said(answer, "nearest miss") == []
    answer = one([*three, row(make, "odd", 0.9, seconds=None)], prefer="time")
    assert answer.method == "lora"
    assert "odd: no train time was measured" in said(answer, "left out")


def test_a_limit_on_a_cost_holds_for_every_seed_and_one_on_quality_for_the_mean(make):
    records = [
        row(make, "lora", score, host=host, seed=seed) for seed, (score, host) in enumerate([(0.2, 1), (0.4, 9)])
    ]
    assert one(records, "--max-memory", "9MiB", "--min-rougeL", "0.3").method == "lora"
    answer = one(records, "--max-memory", "8MiB")
    assert said(answer, "nearest miss") == ["lora: peak host 9.00 MiB, 1.00 MiB more than --max-memory 8MiB allows"]


def test_memory_is_the_accelerators_where_there_is_one(make):
    record = make("lora", metrics={"peak_device_reserved_bytes": 9.0 * MIB, "peak_host_bytes": 999.0 * MIB})
    assert one([record], "--max-memory", "9MiB").method == "lora"
    assert "(peak device reserved 9.00 MiB)" in said(one([record], "--max-memory", "9MiB"), "why")[0]


def test_a_method_with_a_failed_seed_is_named_only_where_there_is_no_other(three, failed):
    records = [*three, failed("full", "oom", "out of memory", seed=1)]
    answer = one(records)
    assert (answer.method, [text[:4] for text in said(answer, "runner-up")]) == ("lora", ["pref"])
    assert said(answer, "note") == [
        "full would come first, but is not sure to work: seed 1 ended oom (out of memory)."
    ]  # fmt: skip
    answer = one(records, "--min-rougeL", "0.55")
    assert answer.method == "full"
    assert said(answer, "note") == ["full is not sure to work: seed 1 ended oom (out of memory)."]


def test_the_reason_says_that_a_higher_one_failed_with_some_seed(make, failed):
    """Five seeds of one method, and two of another that is better wherever it works."""
    steady = [row(make, "lora", 0.405, seed=s, scores={"rougeL": (0.4, 0.41)}) for s in range(5)]
    other = [row(make, "full", 0.505, seed=s, scores={"rougeL": (0.5, 0.51)}) for s in range(2)]
    answer = one([*steady, *other, *(failed("full", "diverged", "no", seed=s) for s in (2, 3, 4))])
    assert answer.method == "lora"
    (why,), (sure,) = said(answer, "why"), said(answer, "how sure")
    assert "the only one of 2 methods that qualifies and ended ok with every seed" in why
    assert "-0.100 ROUGE-L against full" in sure
    assert not sure.startswith("significantly different")


def test_what_is_not_significantly_different_from_the_base_is_recommended_with_that_note(make):
    """Where nothing else qualifies, doing nothing is what there is to choose instead."""
    dice = random.Random(0)
    examples = [dice.random() for _ in range(40)]
    base = row(make, "base", 0.5, scores={"rougeL": tuple(examples)})
    lora = [
        row(
            make, "lora", 0.51, seed=s, scores={"rougeL": tuple(value + dice.uniform(-0.3, 0.32) for value in examples)}
        )
        for s in range(3)
    ]
    answer = one([base, *lora])
    (sure,), (note,) = said(answer, "how sure"), said(answer, "note")
    assert sure.startswith("nothing else qualifies. not significantly different over 3 seeds: ")
    assert "ROUGE-L against base" in sure
    assert note.startswith("lora is not significantly different from the untouched model (95% interval ")


def test_one_mixed_row_is_not_sure_either(make):
    longer = row(make, "prefix", 0.05, trial_id="1" * 16, budget={"unit": "steps", "amount": 100.0})
    answer = one([row(make, "base", 0.1), row(make, "lora", 0.5), longer], allow_mixed=True)
    assert said(answer, "how sure") == ["not at all, since the rows differ in more than the method."]


def test_failures_fakes_and_the_base_are_never_recommended(make, failed):
    records = [row(make, "base", 0.1), failed("full", "error", "no"), row(make, "toy", 0.9, role="fake")]
    answer = one(records)
    assert answer.method is None
    assert said(answer, "left out") == ["full: seed 0 ended error (no), so it has no result"]
    assert said(one([records[0]]), "recommended") == ["nothing: no method was tried here"]


def test_methods_that_tie_are_told_by_their_time_and_then_their_name(make):
    assert one([row(make, "b", 0.5, seconds=9.0), row(make, "a", 0.50001, seconds=10.0)]).method == "b"
    assert one([row(make, "b", 0.5), row(make, "a", 0.5)]).method == "a"


def test_every_table_has_an_answer_of_its_own(three, make):
    longer = row(make, "prefix", 0.8, trial_id="1" * 16, budget={"unit": "steps", "amount": 100.0})
    made = ask([*three, longer])
    assert [(answer.heading, answer.method) for answer in made] == [
        ("1. tiny on file (steps=100)", "prefix"),
        ("2. tiny on file (steps=50)", "full"),
    ]


def test_mixed_tables_get_one_answer_that_warns_first_and_is_not_sure(three, make):
    longer = row(make, "prefix", 0.8, trial_id="1" * 16, budget={"unit": "steps", "amount": 100.0})
    answer = one([*three, longer], allow_mixed=True)
    assert answer.lines[0][0] == "warning"
    assert "cannot be compared" in answer.lines[0][1]
    assert "budget.amount" in answer.lines[0][1]
    assert answer.method == "prefix (steps=100)"
    assert said(answer, "how sure") == ["not at all, since the rows differ in more than the method."]


def test_without_scores_no_interval_is_claimed(three):
    (text,) = said(one(three), "how sure")
    assert text.startswith(
        "no interval can be given: the records hold no ROUGE-L of the same examples and seeds for both"
    )


def test_how_sure_a_cost_is(make):
    def asked(ours, theirs):
        records = [row(make, "a", 0.5, seconds=s, seed=n) for n, s in enumerate(ours)]
        records += [row(make, "b", 0.5, seconds=s, seed=n) for n, s in enumerate(theirs)]
        return said(one(records, prefer="time"), "how sure")

    assert asked([10.0, 12.0], [13.0, 20.0]) == [
        "train time was less with every seed: 10 s to 12 s against 13 s to 20 s of b."
    ]
    assert asked([10.0, 14.0], [13.0, 20.0]) == [
        "the seeds overlap: train time 10 s to 14 s against 13 s to 20 s of b. Either may be the cheaper one."
    ]
    assert asked([10.0], [13.0]) == ["one seed only: train time 10 s against 13 s of b; another run may differ."]


def difference(mean, low, high, seeds, p, improvement):
    stats = pytest.importorskip("reports.analysis.stats")
    return stats.Difference(
        interval=stats.Interval(mean, low, high, None, seeds),
        p=p, p_examples=p, effect=None, improvement=improvement, p_holm=p, p_examples_holm=p,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        (
            (0.05, 0.02, 0.08, 3, 0.01, 0.64),
            "significantly different over 3 seeds: +0.050 ROUGE-L against b (95% interval +0.020 to +0.080), "
            "p = 0.010, probability of improvement 0.64.",
        ),
        (
            (0.05, 0.02, 0.08, 3, 0.0002, 0.64),
            "significantly different over 3 seeds: +0.050 ROUGE-L against b (95% interval +0.020 to +0.080), "
            "p < 0.001, probability of improvement 0.64.",
        ),
        (
            (0.01, -0.02, 0.04, 2, 0.4, 0.5),
            "not significantly different over 2 seeds: +0.010 ROUGE-L against b (95% interval -0.020 to +0.040), "
            "p = 0.400, probability of improvement 0.50. Either may be the better one.",
        ),
        (
            (0.05, 0.02, 0.08, 1, 0.0001, 0.9),
            "one seed only: +0.050 ROUGE-L against b (95% interval +0.020 to +0.080), probability of improvement 0.90. "
            "This is about these two trained models, which are significantly different, and not about the "
            "methods: whether a is the better one takes more seeds.",
        ),
        (
            (0.01, -0.02, 0.04, 1, 0.4, 0.5),
            "one seed only: +0.010 ROUGE-L against b (95% interval -0.020 to +0.040), probability of improvement 0.50. "
            "This is about these two trained models, which are not significantly different even so, and not "
            "about the methods: whether a is the better one takes more seeds.",
        ),
    ],
)
def test_sentences_say_what_a_difference_supports(numbers, sentence):
    assert describe_quality_difference("a", "b", difference(*numbers)) == sentence


def scored(make, variant, shift, seed, **fields):
    scores = tuple(min(1.0, max(0.0, (n * 37 % 100) / 100 * 0.5 + shift)) for n in range(100))
    return row(make, variant, sum(scores) / 100, seed=seed, scores={"rougeL": scores}, **fields)


def test_what_is_not_significantly_different_from_the_best_and_cheaper_is_said(make):
    pytest.importorskip("reports.analysis.stats")
    shifts = {"full": (0.30, 0.32, 0.28), "lora": (0.305, 0.28, 0.30), "prefix": (0.10, 0.11, 0.09)}
    costs = {"full": {"host": 800.0, "size": 50.0}, "lora": {"host": 600.0, "size": 1.0, "seconds": 75.0},
             "prefix": {"size": 0.1}}  # fmt: skip
    records = [scored(make, v, s, n, **costs[v]) for v, of_seeds in shifts.items() for n, s in enumerate(of_seeds)]
    answer = one(records)
    assert answer.method == "full"
    assert said(answer, "how sure")[0].startswith(
        "not significantly different over 3 seeds: +0.005 ROUGE-L against lora"
    )
    assert said(answer, "cheaper") == [
        "lora is not significantly different from full and takes 25% less memory, 98% less to ship, "
        "though 25% more train time."
    ]
    answer = one([record for record in records if record.seed == 0 and record.variant != "lora"])
    assert said(answer, "how sure")[0].startswith("one seed only: +0.200 ROUGE-L against prefix")
    assert said(answer, "cheaper") == []  # the models are significantly different, though the methods are not
    answer = one([record for record in records if record.variant != "lora"])
    assert said(answer, "how sure")[0].startswith("significantly different over 3 seeds: +0.200 ROUGE-L against prefix")
    assert said(answer, "cheaper") == []


def test_a_limit_that_the_interval_reaches_beyond_is_not_sure_to_hold(make):
    pytest.importorskip("reports.analysis.stats")
    records = [scored(make, "lora", shift, seed) for seed, shift in enumerate((0.30, 0.32))]
    (note,) = said(one(records, "--min-rougeL", "0.55"), "note")
    assert note.startswith("--min-rougeL 0.55 is not sure to hold: the 95% interval over examples and 2 seeds is 0.")
    assert said(one(records, "--min-rougeL", "0.2"), "note") == []
    (note,) = said(one(records[:1], "--min-rougeL", "0.54"), "note")
    assert "over examples, with one seed, is" in note


def test_scores_of_other_examples_are_not_compared(make):
    records = [scored(make, "a", 0.3, 0), row(make, "b", 0.2, scores={"rougeL": QUALITY})]
    assert said(one(records), "how sure")[0].startswith("no interval can be given")


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (limits.parse_size, "8GiB", 8 * 1024**3),
        (limits.parse_size, "500MB", 500e6),
        (limits.parse_size, "1.5 kib", 1536),
        (limits.parse_size, "12B", 12),
        (limits.parse_seconds, "90s", 90),
        (limits.parse_seconds, "30min", 1800),
        (limits.parse_seconds, "1h", 3600),
        (limits.parse_seconds, "1h30min", 5400),
        (limits.parse_seconds, "1h 5 min 1.5s", 3901.5),
        (limits.parse_seconds, "2d", 172800),
        (limits.parse_number, "-0.5", -0.5),
    ],
)
def test_sizes_and_times_are_read(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("flag", "text", "sentence"),
    [
        ("--max-memory", "8", "--max-memory '8': not a size; write a number and its unit, such as 8GiB"),
        ("--max-memory", "-8GiB", "not a size"),
        ("--max-memory", "8G", "not a size"),
        ("--max-memory", "", "not a size"),
        ("--max-time", "60", "--max-time '60': not a time; write a number and its unit, such as 90s"),
        ("--max-time", "1h and a bit", "not a time"),
        ("--max-time", "1hour", "not a time"),
        ("--min-rougeL", "high", "--min-rougeL 'high': not a number"),
        ("--min-rougeL", "nan", "not a number"),
        ("--max-cost", "inf", "not a number"),
    ],
)
def test_what_is_no_limit_is_refused_in_one_sentence(flag, text, sentence):
    with pytest.raises(LimitError) as caught:
        parse_limit(flag, flag[2:5], MAXIMA[flag], text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def harness(run_here, tmp_path):
    """Return a function that runs the command `recommend` in this process."""
    return lambda *arguments: run_here("recommend", *arguments, cwd=tmp_path)


@pytest.fixture
def directory(three, tmp_path):
    store = RunStore(tmp_path)
    for record in three:
        store.add(record)
    return tmp_path


def test_the_command_names_a_method_and_its_exit_code_says_whether(harness, directory):
    done = harness(directory, "--max-memory", "800MiB", "--max-time", "1h", "--min-rougeL", "0.3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tiny on file\n  recommended  lora\n  why          ROUGE-L 0.500")
    done = harness(directory, "--min-rougeL", "0.7")
    assert (done.returncode, done.stderr) == (1, "")
    assert "nearest miss  full: ROUGE-L 0.600, 0.100 less than --min-rougeL 0.7 allows" in done.stdout
    done = harness(directory, "--prefer", "size", "--max-heldout_loss", "1.25", "--max-total_seconds", "1h")
    assert done.returncode == 1
    assert "no total time was measured" in done.stdout


def test_one_table_without_an_answer_is_enough_for_exit_code_1(harness, directory, make):
    poor = row(make, "ia3", 0.2, budget={"unit": "steps", "amount": 9.0})
    RunStore(directory).add(poor)
    done = harness(directory, "--min-rougeL", "0.3")
    assert done.returncode == 1
    assert "recommended  full" in done.stdout
    assert "nothing: no method qualifies" in done.stdout
    done = harness(directory, "--min-rougeL", "0.3", "--allow-mixed")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("  warning      These rows cannot be compared (--allow-mixed)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-memory", "lots"], "not a size"),
        (["--prefer", "speed"], "invalid choice: 'speed'"),
        (["--min-train_seconds", "3s"], "unknown flag --min-train_seconds"),
    ],
)
def test_a_wrong_request_ends_with_2(harness, directory, arguments, sentence):
    done = harness(directory, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_a_directory_without_records_ends_with_2(harness, tmp_path):
    done = harness(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "holds no records" in done.stderr


def test_names_cannot_command_the_terminal(harness, make, tmp_path):
    store = RunStore(tmp_path)
    store.add(row(make, "\x1b[31mred\x07\nrecommended  mine", 0.9))
    done = harness(tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert len(done.stdout.splitlines()) == 4
