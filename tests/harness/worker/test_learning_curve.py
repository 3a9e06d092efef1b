"""Learning curves: what their points say, and that taking them changes nothing of the trial."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.measure.meter import Meter
from harness.measure.time_to_quality import find_time_to_quality, retarget
from harness.models.toy import ToyBackend
from harness.planning.planner import _plan_curve, make_plan
from harness.request import CurveRequest
from harness.scoring.summary import Evaluation
from harness.spec.spec import build_spec
from harness.worker.evaluation import Evaluator
from harness.worker.learning_curve import MOST_POINTS, LearningCurve
from harness.worker.stop_signal import StopSignal
from methods.base import Budget

pytestmark = pytest.mark.own

ROOT = Path(__file__).resolve().parents[3]
TOY = ["run", "--model", "toy", "--task", "toy", "--methods", "toy", "--out", "out"]


@pytest.fixture
def harness(run_here):
    """Return a function that runs a command line in this process; gives exit code, output and errors."""

    def harness(*arguments: str, cwd: Path) -> tuple[int, str, str]:
        done = run_here(*arguments, cwd=cwd)
        return done.returncode, done.stdout, done.stderr

    return harness


def record(cwd: Path, variant: str = "toy") -> dict:
    found = [json.loads(path.read_text()) for path in (cwd / "out" / "records").glob("*.json")]
    return next(record for record in found if record["variant"] == variant)


def shipped(request) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(request.places.artifacts).glob("*.safetensors")}


def points(outcome):
    return [{**point, "seconds": None} for point in outcome.learning_curve]


# --- what the points say


def test_a_run_keeps_a_curve_and_the_time_to_a_quality(harness, tmp_path):
    # The toy answers with one word more every hundred steps, and every word too many costs precision.
    asked = ["--budget", "steps=250", "--evaluate-every", "steps=100"]
    code, _, err = harness(*TOY, *asked, "--target-quality", "0.6", cwd=tmp_path)
    assert code == 0, err
    found, base = record(tmp_path), record(tmp_path, "base")
    curve = found["learning_curve"]
    assert [(p["step"], p["tokens"], p["loss"]) for p in curve] == [(100, 8000, None), (200, 16000, None),
                                                                   (250, 20000, None)]  # fmt: skip
    assert [p["rougeL"] for p in curve] == pytest.approx([2 / 3, 0.5, 0.5])
    assert 0 < curve[0]["seconds"] < curve[1]["seconds"] < curve[2]["seconds"] <= found["metrics"]["train_seconds"]
    assert found["metrics"]["tokens_to_quality"] == 8000
    assert found["metrics"]["seconds_to_quality"] == curve[0]["seconds"]
    told = found["details"]["learning_curve"]
    assert (told["every"], told["examples"], told["target_quality"]) == ("steps=100", 2, 0.6)
    assert base["learning_curve"] == []
    assert "learning_curve" not in base["details"]
    assert "seconds_to_quality" not in base["metrics"]

    # Another target is held against the curve that is there, in both directions.
    for target, tokens in (("0.7", None), ("0.5", 8000)):
        code, out, _ = harness(*TOY, *asked, "--target-quality", target, cwd=tmp_path)
        assert out.count("finished earlier") == 2
        assert record(tmp_path)["metrics"]["tokens_to_quality"] == tokens
        assert record(tmp_path)["learning_curve"] == curve
    code, out, _ = harness(*TOY, *asked, cwd=tmp_path)
    assert "tokens_to_quality" not in record(tmp_path)["metrics"]


def test_points_come_every_so_many_tokens(harness, tmp_path):
    code, _, err = harness(*TOY, "--budget", "steps=10", "--evaluate-every", "tokens=300", cwd=tmp_path)
    assert code == 0, err
    # 80 tokens a step: the first step at or past each multiple of 300, and the end.
    assert [p["tokens"] for p in record(tmp_path)["learning_curve"]] == [320, 640, 800]


CURVE = (
    {"step": 10, "tokens": 900, "seconds": 2.0, "loss": 3.0, "rougeL": 0.10},
    {"step": 20, "tokens": 1800, "seconds": 4.0, "loss": 2.5, "rougeL": 0.30},
    {"step": 30, "tokens": 2700, "seconds": 6.5, "loss": None, "rougeL": 0.25},
    {"step": 40, "tokens": 3600, "seconds": 8.0, "loss": 2.0, "rougeL": 0.40},
)


@pytest.mark.parametrize(
    ("target", "seconds", "tokens"),
    [(0.05, 2.0, 900), (0.1, 2.0, 900), (0.11, 4.0, 1800), (0.3, 4.0, 1800), (0.31, 8.0, 3600), (0.41, None, None)],
)
def test_the_first_point_that_is_good_enough_counts(target, seconds, tokens):
    assert find_time_to_quality(CURVE, target) == {"seconds_to_quality": seconds, "tokens_to_quality": tokens}


def test_a_curve_without_points_reaches_nothing():
    assert (
        set(find_time_to_quality((), 0.1).values())
        == set(find_time_to_quality(({"rougeL": None},), 0.1).values())
        == {None}
    )


# --- the curve under a clock that the test moves


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_curve(clock):
    """A function that makes a curve whose evaluations take 50 s each, and its meter."""

    def make(amount=2, unit="steps", stop=None, meter=None):
        meter, stop = meter or Meter("none", clock), stop or StopSignal()
        asked = CurveRequest(every=Budget(unit, amount), examples=3)

        class Slow(Evaluator):
            def evaluate(self, examples, on_progress):
                assert list(examples) == [0, 1, 2]
                clock.now += 50
                on_progress(1.0)
                return Evaluation({"rougeL": 0.5, "heldout_loss": float("inf")}, {}, [], 0)

        curve = LearningCurve(asked, meter, stop)
        curve.begin(Slow(ToyBackend(), None, None, (), None, None), range(9))
        return curve, meter

    return make


def test_the_time_of_evaluations_is_not_counted(make_curve, clock):
    curve, meter = make_curve()
    with meter.measure_phase("train"), meter.measure_phase("train.warm_start"):
        for step in range(1, 6):
            clock.now += 3
            curve.after_step({"steps": step, "tokens": 7 * step})
        curve.end({"steps": 5, "tokens": 35})
    assert [(p["step"], p["tokens"], p["seconds"]) for p in curve.points] == [(2, 14, 6), (4, 28, 12), (5, 35, 15)]
    assert {p["loss"] for p in curve.points} == {None}  # JSON has no word for infinity
    assert meter.phases["train"].seconds == meter.phases["train.warm_start"].seconds == 15
    assert meter.compute_metrics(None)["total_seconds"] == 15 + 3 * 50
    assert meter.read_clock() == 115


def test_the_last_step_has_one_point(make_curve):
    curve, meter = make_curve()
    with meter.measure_phase("train"):
        for step in (1, 2):
            curve.after_step({"steps": step, "tokens": step})
        curve.end({"steps": 2, "tokens": 2})
    assert [p["step"] for p in curve.points] == [2]


def test_a_step_that_passes_several_multiples_gets_one_point(make_curve):
    curve, meter = make_curve(100, "tokens")
    with meter.measure_phase("train"):
        for step, tokens in enumerate((90, 350, 390, 400, 499), start=1):
            curve.after_step({"steps": step, "tokens": tokens})
    assert [p["tokens"] for p in curve.points] == [350, 400]


def test_a_long_curve_becomes_coarser(make_curve):
    curve, meter = make_curve(1)
    with meter.measure_phase("train"):
        for step in range(1, 1002):
            curve.after_step({"steps": step, "tokens": step})
        curve.end({"steps": 1001, "tokens": 1001})
    assert [p["step"] for p in curve.points] == [*range(8, 1001, 8), 1001]
    assert len(curve.points) <= MOST_POINTS


def test_a_trial_that_is_to_end_does_not_wait_for_its_evaluation(make_curve):
    stop = StopSignal()
    stop.deferred = True
    curve, meter = make_curve(1, stop=stop)
    with meter.measure_phase("train"):
        curve.after_step({"steps": 1, "tokens": 1})
        stop.asked = True
        curve._measure({"steps": 2, "tokens": 2})  # the signal came while it was under way
        curve.after_step({"steps": 3, "tokens": 3})
    assert [p["step"] for p in curve.points] == [1]
    assert not curve.measuring


def test_a_curve_goes_on_in_another_process(make_curve, clock):
    whole, meter = make_curve(3)
    with meter.measure_phase("train"):
        for step in range(1, 12):
            clock.now += 1
            whole.after_step({"steps": step, "tokens": step})
    first, meter = make_curve(3)
    with meter.measure_phase("train"):
        for step in range(1, 6):
            clock.now += 1
            first.after_step({"steps": step, "tokens": step})
        kept = json.loads(json.dumps([meter.get_state(), first.get_state()]))
    second, meter = make_curve(3)
    meter.restore(kept[0])
    second.restore(kept[1])
    with meter.measure_phase("train"):
        for step in range(6, 12):
            clock.now += 1
            second.after_step({"steps": step, "tokens": step})
    assert second.points == whole.points
    assert [p["step"] for p in second.points] == [3, 6, 9]


# --- nothing of the trial is changed


def test_a_trial_with_a_curve_ends_with_the_same_weights_killed_or_not(make_request, work):
    asked = {"budget": "steps=6", "every": "steps=1", "evaluate_every": "steps=2", "curve_examples": 3}
    plain = make_request("lora[dropout=0.2]", name="a", **{**asked, "evaluate_every": "never", "curve_examples": None})
    curved, killed = (make_request("lora[dropout=0.2]", name=name, **asked) for name in "bc")
    first, second = work(plain), work(curved)
    assert work(killed, 5) is None  # after a point
    third = work(killed)
    assert [outcome.status for outcome in (first, second, third)] == ["ok"] * 3
    assert third.details["resumed"] == {"times": 1, "from_step": 4}
    assert shipped(killed) == shipped(curved) == shipped(plain) != {}
    assert Path(curved.places.predictions).read_bytes() == Path(plain.places.predictions).read_bytes()
    assert first.curve == second.curve == third.curve
    assert first.learning_curve == ()
    assert points(second) == points(third)
    assert [point["step"] for point in second.learning_curve] == [2, 4, 6]
    assert second.learning_curve[-1]["tokens"] == second.done["tokens"]
    times = [point["seconds"] for point in third.learning_curve]
    assert 0 < times[0] < times[1] < times[2] <= third.phases["train"].seconds


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "qlora[dropout=0.2]", "prefix"])
@pytest.mark.parametrize("model", ["embedded", "embedded-seq2seq"])
def test_the_last_point_is_what_the_final_evaluation_says(make_request, work, method, model):
    asked = {"budget": "steps=5", "every": "never", "model": model}
    plain, curved = (
        make_request(method, name="a", **asked),
        make_request(method, name="b", evaluate_every="steps=2", **asked),
    )
    first, second = work(plain), work(dataclasses.replace(curved, split="validation"))
    assert shipped(curved) == shipped(plain) != {}
    assert second.curve == first.curve
    assert [point["step"] for point in second.learning_curve] == [2, 4, 5]
    last = second.learning_curve[-1]
    assert (last["rougeL"], last["loss"]) == (second.metrics["rougeL"], second.metrics["heldout_loss"])


def test_memory_that_is_short_in_an_evaluation_is_not_the_trainings(make_request, work, monkeypatch):
    def no_room(*_):
        raise MemoryError

    monkeypatch.setattr(Evaluator, "evaluate", no_room)
    found = work(make_request("toy", evaluate_every="steps=3", model="toy", task="toy"))
    assert (found.status, found.phase, found.step) == ("oom", "evaluate", 3)


def test_a_budget_in_minutes_is_not_spent_on_evaluations(make_request, work, monkeypatch):
    evaluate = Evaluator.evaluate

    def slow(*arguments):
        time.sleep(0.3)  # as long as the whole budget
        return evaluate(*arguments)

    monkeypatch.setattr(Evaluator, "evaluate", slow)
    changes = {"model": "toy", "task": "toy", "budget": "minutes=0.005", "set": {"toy.seconds_per_step": 0.05}}
    found = work(make_request("toy", evaluate_every="steps=1", **changes))
    assert found.done["steps"] >= 2
    assert len(found.learning_curve) == found.done["steps"]
    assert found.details["learning_curve"]["evaluation_seconds"] >= 0.3 * found.done["steps"]


# --- what is asked for, and what is refused


def plan(**request):
    return make_plan(build_spec({"model": "toy", "task": "toy", "methods": "toy", "device": "cpu", **request}))


def test_a_curve_makes_another_trial_and_a_target_does_not():
    plain, curved = plan(), plan(evaluate_every="steps=10")
    aimed_at = plan(evaluate_every={"steps": 10}, target_quality="0.3")
    assert curved.trials[0].trial_id == plain.trials[0].trial_id  # the base learns nothing
    ids = {made.trials[1].trial_id for made in (plain, curved, aimed_at)}
    ids |= {plan(evaluate_every="steps=10", curve_examples=1).trials[1].trial_id}
    ids |= {plan(evaluate_every="tokens=10").trials[1].trial_id}
    assert curved.trials[1].trial_id == aimed_at.trials[1].trial_id
    assert len(ids) == 4
    assert plan(evaluate_every="never").trials[1].trial_id == plain.trials[1].trial_id


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"evaluate_every": "minutes=1"}, "--evaluate-every 'minutes=1': give steps=N, tokens=N or never"),
        ({"evaluate_every": "steps=0"}, "N is above 0"),
        ({"evaluate_every": "steps=1.5"}, "steps are whole"),
        ({"evaluate_every": "tokens=nan"}, "N is above 0"),
        ({"evaluate_every": "steps=5", "curve_examples": 0}, "--curve-examples must be at least 1"),
        ({"evaluate_every": "steps=5", "curve_examples": True}, "--curve-examples must be a whole number"),
        (
            {"evaluate_every": "steps=5", "target_quality": 1.5},
            "--target-quality must be a number above 0 and at most 1",
        ),
        ({"evaluate_every": "steps=5", "target_quality": "0"}, "--target-quality must be a number above 0"),
        ({"evaluate_every": "steps=5", "target_quality": "nan"}, "--target-quality must be a number above 0"),
        ({"evaluate_every": "steps=5", "target_quality": "good"}, "--target-quality must be a number"),
        ({"target_quality": 0.5}, "which needs --evaluate-every; give that too"),
        ({"curve_examples": 5, "evaluate_every": "never"}, "which needs --evaluate-every; give that too"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for_gets_one_sentence(asked, said):
    with pytest.raises(SpecError, match=said) as caught:
        plan(**asked)
    assert "\n" not in str(caught.value)


def test_a_task_without_validation_examples_has_no_curve():
    bare = dataclasses.replace(plan().task, validation=())
    with pytest.raises(SpecError, match="--evaluate-every measures on validation examples, and the task toy has none"):
        _plan_curve(build_spec({"methods": "toy", "evaluate_every": "steps=5"}), bare)


def test_a_record_is_held_against_another_target():
    made = plan(evaluate_every="steps=10", target_quality=0.3)
    asked = made.trials[1].request.learning_curve
    record = dataclasses.replace(made.trials[1].draft, learning_curve=CURVE, metrics={"tokens_to_quality": 1.0, "a": 2})
    assert retarget(record, asked) is record
    assert retarget(record, None) is record
    other = retarget(record, dataclasses.replace(asked, target_quality=0.4))
    assert other.metrics == {"a": 2, "seconds_to_quality": 8.0, "tokens_to_quality": 3600}
    assert other.details["learning_curve"]["target_quality"] == 0.4
    assert retarget(other, dataclasses.replace(asked, target_quality=None)).metrics == {"a": 2}
