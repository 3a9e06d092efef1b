"""`run`: fine-tune, evaluate and rank. The main job."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.plan import Plan
    from harness.planner import Planner
    from harness.spec import Spec
    from reports.record import Record
    from reports.store import RunStore

EXAMPLES = """examples:
  python -m harness run --methods lora,qlora
  python -m harness run --methods full,lora,prefix --seeds 0,1,2 --budget steps=300
  python -m harness run --model smollm2-135m-instruct --task dialogsum --data DIR --methods lora --set lora.r=16
  python -m harness run --task file --data mine.jsonl --input-field text --target-field summary --methods lora
  python -m harness run --methods full,lora --tune lr --tries 6 --seeds 0,1,2
  python -m harness run --methods rlhf,dpo --preferences pairs.jsonl
  python -m harness run --config spec.yaml
"""

# flag, key of the request, help; the spec checks and types every value
FLAGS = (
    ("--methods", "methods", "comma-separated, such as lora,qlora or lora[r=8],lora[r=64], or a grid: lora[r=8|64]"),
    (
        "--model",
        "model",
        "embedded (default), embedded-seq2seq, a preset, a directory, or ORG/NAME[@REVISION]",
    ),
    ("--task", "task", "embedded (default), dialogsum, e2e or file"),
    ("--data", "data", "directory or file with the task's data"),
    ("--test", "test", "test file, for --task file"),
    ("--input-field", "input_field", "column of the input text, for --task file"),
    (
        "--target-field",
        "target_fields",
        "column of the target text; several, comma-separated, are references",
    ),
    ("--template", "template", "prompt with {input} in it, instead of the task's own"),
    (
        "--preferences",
        "preferences",
        "file or hub id with prompt, chosen and rejected, for methods that learn from them",
    ),
    (
        "--reward",
        "reward",
        "rouge, MODULE:FUNCTION, a model's directory or ORG/NAME, instead of a learned reward model",
    ),
    (
        "--metrics",
        "metrics",
        "comma-separated (rouge, which is always measured); see `list metrics`; your own as MODULE:FUNCTION",
    ),
    (
        "--general-text",
        "general_text",
        "embedded (default), none, a file of passages or ORG/NAME: what forgetting is measured on",
    ),
    ("--train-examples", "train_examples", "use at most this many training examples"),
    ("--validation-examples", "validation_examples", "use at most this many validation examples"),
    ("--test-examples", "test_examples", "use at most this many test examples"),
    ("--split-seed", "split_seed", "seed of splits that are made here (0)"),
    ("--seeds", "seeds", "comma-separated (0)"),
    ("--tune", "tune", "knobs to search on the validation split, such as lr or lr,lora.r=4|8|16 or warmup=0..0.2"),
    ("--tries", "tries", "settings that each method's search tries (8)"),
    ("--budget", "budget", "steps=N, epochs=N, tokens=N or minutes=N, the same for every method (steps=300)"),
    ("--batch-size", "batch_size", "examples per forward pass (8)"),
    ("--accumulation", "accumulation", "forward passes per optimiser step (1)"),
    ("--eval-batch-size", "eval_batch_size", "examples per batch in evaluation (32)"),
    ("--input-tokens", "input_tokens", "limit on the prompt"),
    ("--target-tokens", "target_tokens", "limit on target and generated text"),
    ("--launcher", "launcher", "where trials run: local (default), or another of `list launchers`"),
    ("--device", "device", "auto, cpu, cuda or mps"),
    ("--dtype", "dtype", "auto, float32, bfloat16 or float16"),
    ("--out", "out", "run directory (runs/MODEL-TASK)"),
    ("--trial-timeout", "trial_timeout", "end a trial after this many seconds"),
    ("--on-oom", "on_oom", "record (default), or halve-batch: try again with half the batch, the effective one kept"),
    ("--rerun", "rerun", "failed (default), all, or a trial's id: what runs again although it has a record"),
    ("--checkpoint-every", "checkpoint_every", "steps=N, minutes=N or never (minutes=10): how a killed trial goes on"),
    ("--evaluate-every", "evaluate_every", "steps=N, tokens=N or never (never): points of a learning curve"),
    ("--curve-examples", "curve_examples", "evaluate the learning curve on the first so many validation examples (50)"),
    ("--target-quality", "target_quality", "ROUGE-L, 0 to 1: report time and tokens until the learning curve is there"),
    ("--price-per-hour", "price_per_hour", "price of this machine, for the cost column"),
)
SWITCHES = (
    ("--save-models", "save_models", "keep what each method ships"),
    ("--keep-checkpoints", "keep_checkpoints", "keep the last checkpoint of trials that have finished"),
    ("--allow-unusable", "allow_unusable", "go on although more than 1%% of the rows cannot be used"),
    ("--allow-mixed", "allow_mixed", "one leaderboard of what cannot be compared, with a warning"),
    ("--trust-remote-code", "trust_remote_code", "let a model run its own code; only for models you trust"),
)


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Declare the subcommand."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run", help="fine-tune, evaluate and rank", epilog=EXAMPLES, allow_abbrev=False
    )
    for flag, key, text in FLAGS:
        parser.add_argument(flag, dest=key, metavar=key.upper().replace("_", "-"), help=text)
    for flag, key, text in SWITCHES:
        parser.add_argument(flag, dest=key, action="store_const", const=True, help=text)
    parser.add_argument("--set", action="append", metavar="METHOD.KNOB=VALUE", help="change a knob; may be given often")
    parser.add_argument(
        "--plugin", action="append", metavar="FILE", help="run a Python file and use what it brings; may be given often"
    )
    parser.add_argument("--config", type=Path, help="YAML file with the same keys; flags override it")
    parser.set_defaults(action=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Plan, run and report; the exit code says whether every trial ended ok."""
    from harness.interruption import as_keyboard_interrupt
    from harness.spec import build_spec

    spec = build_spec(request_of(arguments))

    from harness.planner import prepare
    from harness.progress import say
    from reports.store import RunStore

    with as_keyboard_interrupt():
        planner = prepare(spec)
        plan = planner.plan()  # whatever is wrong with it is said before anything runs
        store = RunStore(spec.directory)
        chosen = to_rerun(spec, plan, store)
        with store.lock():
            for sentence in store.tidy():
                say(f"set aside: {sentence}")
            if chosen:
                store.ask_again(store.asked_again() | chosen)
                for trial_id in chosen:
                    store.drop_checkpoint(trial_id)
            return _run(planner, plan, store, resume_command(arguments.words))


def _run(planner: Planner, plan: Plan, store: RunStore, resume: str) -> int:
    """Carry out the plan and report; from here on the exit code is never 2, since trials have run."""
    from rich.console import Console

    from harness.interruption import Interruption
    from harness.launchers.registry import build
    from harness.progress import progress_for, say
    from harness.runner import Runner
    from harness.tuning import count_trials, tuned
    from reports.errors import ReportError
    from reports.leaderboard import short, write
    from reports.secrets import ours

    what = f"{plan.model.name} on {plan.task.name}"
    spec = planner.spec
    count = count_trials(planner)
    say(f"{count} trials of {what}; device {plan.device}; {store.directory}")
    if plan.given.preferences is not None:
        say(f"preferences: {plan.given.preferences.note}")
    records: list[Record] = []
    interrupted = False
    with Interruption() as interruption:
        launcher = build(spec.launcher, spec.trial_timeout, interruption)
        try:
            try:
                with progress_for(count, Console()) as progress:
                    runner = Runner(store, launcher, progress, asked_to_end=lambda: interruption.asked)
                    records = runner.run(tuned(planner, runner) if spec.tune else plan)
            except KeyboardInterrupt:
                interrupted = True
            if not interruption.at_once and (not interrupted or store.read()[0]):
                paths = write([store.directory], store.directory, allow_mixed=spec.allow_mixed)
                say(f"\n{short([store.directory], allow_mixed=spec.allow_mixed)}\n")
                say("\n".join(f"wrote {path}" for path in paths))
        except (ReportError, OSError) as error:
            # What is finished is kept, and the same command resumes.
            advice = f"free what is missing, then resume with: {resume}"
            print(f"error: {ours()(str(error))}; {advice}", file=sys.stderr)
            return 1
    if interrupted:
        print(f"interrupted; to resume: {resume}", file=sys.stderr)
        return 130
    return 0 if all(record.ok for record in records) else 1


def to_rerun(spec: Spec, plan: Plan, store: RunStore) -> frozenset[str]:
    """Ids of the finished trials that are to run again. Raises `SpecError` for an id that is none of the plan's.

    What a search will ask for cannot be known before; there it must be one that has a record.
    """
    from harness.errors import SpecError

    wanted, known = spec.rerun, [trial.trial_id for trial in plan.trials]
    if spec.tune and wanted == "all":
        raise SpecError("--rerun all and --tune do not go together; choose another --out to begin anew")
    if spec.tune:
        known += [record.trial_id for record in store.read()[0]]
    if wanted == "failed":  # whatever is not ok runs again in any case
        return frozenset()
    if wanted != "all" and wanted not in known:
        raise SpecError(f"--rerun {wanted}: this command has no such trial; its trials are {', '.join(known)}")
    return frozenset(known if wanted == "all" else [wanted])


def request_of(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """The request as keys and values: the YAML file's, and the flags' over them."""
    from harness.parsing import load_yaml, parse_changes

    request = dict(load_yaml(arguments.config)) if arguments.config else {}
    changes = parse_changes(request.pop("set", {}) or {})
    for method, knobs in parse_changes(arguments.set or []).items():
        changes.setdefault(method, {}).update(knobs)
    flags = {key: getattr(arguments, key) for _, key, _ in (*FLAGS, *SWITCHES)}
    flags["plugin"] = arguments.plugin
    request.update({key: value for key, value in flags.items() if value is not None})
    request["set"] = {f"{method}.{knob}": value for method, knobs in changes.items() for knob, value in knobs.items()}
    return request


def resume_command(given: Sequence[str]) -> str:
    """The command that resumes what these words started; without `--rerun`, which the run directory remembers."""
    from reports.secrets import ours

    words, rest = [], iter(given)
    for word in rest:
        if word == "--rerun":
            next(rest, None)
        elif not word.startswith("--rerun="):
            words.append(word)
    return shlex.join(["python", "-m", "harness", *map(ours(), words)])
