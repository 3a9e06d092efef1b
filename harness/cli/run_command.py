"""`run`: fine-tunes, evaluates and ranks methods. The main command."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.help import add_command
from harness.cli.run_flags import add_flags, read_request

if TYPE_CHECKING:
    from harness.planning.plan import Plan
    from harness.planning.planner import Planner
    from harness.spec.spec import Spec
    from reports.records.record import Record
    from reports.records.store import RunStore

EXAMPLES = r"""examples:
  python -m harness run --methods lora,qlora
  python -m harness run --methods full,lora --seeds 0,1,2 --budget steps=300
  python -m harness run --methods lora --set lora.r=16 \
      --model smollm2-135m-instruct --task dialogsum --data DIR
  python -m harness run --methods lora --task file --data mine.jsonl \
      --input-field text --target-field summary \
      --input-tokens 256 --target-tokens 64
  python -m harness run --methods full,lora --tune lr --tries 6 --seeds 0,1,2
  python -m harness run --methods rlhf,dpo --preferences pairs.jsonl
  python -m harness run --config spec.yaml
"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser = add_command(
        commands,
        "run",
        usage="--methods NAMES [flags]",
        help="Fine-tune with several methods, evaluate each, and rank them.",
        examples=EXAMPLES,
    )
    add_flags(parser)
    parser.set_defaults(action=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Plan, run and report; return the exit code, 0 if every trial ended ok."""
    from harness.launchers.interruption import turn_signals_into_keyboard_interrupt
    from harness.spec.spec import build_spec

    spec = build_spec(read_request(arguments))

    from harness.planning.planner import build_planner
    from harness.running.progress import say
    from reports.records.store import RunStore

    with turn_signals_into_keyboard_interrupt():
        planner = build_planner(spec)
        plan = planner.plan()  # reports everything wrong with the request before anything runs
        store = RunStore(spec.directory)
        chosen = choose_reruns(spec, plan, store)
        with store.lock():
            for sentence in store.tidy():
                say(f"set aside: {sentence}")
            if chosen:
                store.write_rerun_list(store.read_rerun_list() | chosen)
                for trial_id in chosen:
                    store.drop_checkpoint(trial_id)
            return _run(planner, plan, store, build_resume_command(arguments.words))


def _run(planner: Planner, plan: Plan, store: RunStore, resume: str) -> int:
    """Run the plan and report. The exit code is not 2 from here on, since trials may have run."""
    from rich.console import Console

    from harness.launchers.interruption import Interruption
    from harness.launchers.registry import build_launcher
    from harness.running.knob_search import count_trials, search_and_plan
    from harness.running.progress import choose_progress, say
    from harness.running.rescoring import Rescorer
    from harness.running.runner import Runner
    from reports.errors import ReportError
    from reports.leaderboard import write
    from reports.records.secrets import make_redactor

    what = f"{plan.model.name} on {plan.task.name}"
    spec = planner.spec
    count = count_trials(planner)
    say(f"{count} trials of {what}; device {plan.device}; {store.directory}")
    if plan.given.preferences is not None:
        say(f"preferences: {plan.given.preferences.note}")
    if plan.task.note:
        say(f"data: {plan.task.note}")
    for sentence in plan.metrics.list_blind_spots():
        say(f"note: {sentence}")
    records: list[Record] = []
    interrupted = False
    with Interruption() as interruption:
        launcher = build_launcher(spec.launcher, spec.trial_timeout, interruption)
        try:
            try:
                with choose_progress(count, Console()) as progress:
                    rescorer = Rescorer(plan.task, plan.metrics, store)
                    runner = Runner(store, launcher, progress, lambda: interruption.asked, rescorer)
                    records = runner.run(search_and_plan(planner, runner) if spec.tune else plan)
            except KeyboardInterrupt:
                interrupted = True
            if not interruption.at_once and (not interrupted or store.read()[0]):
                written = write([store.directory], store.directory, allow_mixed=spec.allow_mixed)
                say(f"\n{written.summary}\n")
                say("\n".join(f"wrote {path}" for path in written.paths))
        except (ReportError, OSError) as error:
            # Finished trials are kept, and the same command resumes.
            advice = f"solve this, then resume with: {resume}"
            print(f"error: {make_redactor()(str(error))}; {advice}", file=sys.stderr)
            return 1
    if interrupted:
        print(f"interrupted; to resume: {resume}", file=sys.stderr)
        return 130
    return 0 if all(record.ok for record in records) else 1


def choose_reruns(spec: Spec, plan: Plan, store: RunStore) -> frozenset[str]:
    """Ids of the finished trials to run again. Raises `SpecError` for an id that is not in the plan.

    The tries of a search are not known in advance, so for them the id must be one that has a record.
    """
    from harness.errors import SpecError

    wanted, known = spec.rerun, [trial.trial_id for trial in plan.trials]
    if spec.tune and wanted == "all":
        raise SpecError("--rerun all and --tune cannot be combined; choose another --out to start again")
    if spec.tune:
        known += [record.trial_id for record in store.read()[0]]
    if wanted == "failed":  # trials that are not ok always run again
        return frozenset()
    if wanted != "all" and wanted not in known:
        raise SpecError(f"--rerun {wanted}: this command has no such trial; its trials are {', '.join(known)}")
    return frozenset(known if wanted == "all" else [wanted])


def build_resume_command(given: Sequence[str]) -> str:
    """The command that resumes a run, without `--rerun`, which the run directory remembers."""
    from reports.records.secrets import make_redactor

    words, rest = [], iter(given)
    for word in rest:
        if word == "--rerun":
            next(rest, None)
        elif not word.startswith("--rerun="):
            words.append(word)
    return shlex.join(["python", "-m", "harness", *map(make_redactor(), words)])
