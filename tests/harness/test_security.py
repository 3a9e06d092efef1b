"""What must not leak does not, what is foreign does not run, and no name leads out of the run directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.cli import main
from harness.cli.run_command import build_resume_command
from harness.errors import ModelError
from harness.feedback.rewards import resolve_reward as resolve_reward
from harness.launchers.local import build_worker_environment
from harness.launchers.log import LONGEST_LINE, Log
from harness.models.source import EMBEDDED_FOLDER, resolve_model
from harness.names import make_file_name
from harness.planning.planner import make_plan
from harness.spec.spec import build_spec
from harness.worker.observer import TrialObserver
from reports.errors import StoreError
from reports.records.record import dump
from reports.records.secrets import Redactor
from reports.records.store import RunStore

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).parent / "sample_plugins"
TOY = ("run", "--model", "toy", "--task", "toy", "--budget", "steps=2", "--out", "out")

SECRETS = {
    "HF_TOKEN": "hf_" + "aB3dE6gH" * 4,
    "WANDB_API_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    "MY_PASSWORD": 'Tr0ub4dor"&3\\/ für',
    "DEPLOY_SECRET": "first line of it\nsecond line of it",
}
KNOWN_BY_SHAPE = ("HF_TOKEN",)


@pytest.fixture
def leaky(tmp_path):
    """A function that runs the harness with the method `leaky` in a directory that holds the secrets."""
    info = tmp_path / "site" / "harness_leaky_plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harness-leaky-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness.methods]\nleaky = harness_leaky_plugin:Leaky\n")
    (tmp_path / "secrets.json").write_text(json.dumps(list(SECRETS.values())))

    def run(*arguments, **environment):
        path = os.pathsep.join(map(str, (ROOT, PLUGIN, tmp_path / "site")))
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, **environment},
            timeout=120,
            check=False,
        )

    return run


def forms(secret: str) -> set[bytes]:
    """The ways in which a secret may stand in a file; of several lines, each."""
    lines = {secret, *secret.split("\n")}
    escaped = {json.dumps(line, ensure_ascii=ascii)[1:-1] for line in lines for ascii in (True, False)}
    return {form.encode() for form in lines | escaped | {repr(line)[1:-1] for line in lines}} | {
        quote(line, safe="").encode() for line in lines
    }


def found_in(folder: Path, names) -> set[tuple[str, str]]:
    """(name of the secret, file) for each secret in a file of a folder, in whatever form."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(files) > 8
    return {
        (name, path.relative_to(folder).parts[0])
        for name in names
        for form in forms(SECRETS[name])
        for path, content in files.items()
        if form in content
    }


def test_no_secret_of_the_environment_reaches_a_run_directory_or_the_screen(leaky, tmp_path):
    done = leaky(*TOY, "--methods", "leaky,leaky[fail=true]", **SECRETS)
    assert done.returncode == 1, done.stderr
    out = tmp_path / "out"
    assert found_in(out, SECRETS) == set()
    held = [json.loads(path.read_text()) for path in (out / "records").glob("*.json")]
    assert sorted(record["status"] for record in held) == ["error", "ok", "ok"]
    assert [record["message"] for record in held if record["status"] == "error"] == [
        "RuntimeError: cannot log in with [redacted] and [redacted] and [redacted] and [redacted]"
    ]
    assert sum("[redacted]" in record["details"].get("leak", {}) for record in held) == 2
    assert b"cannot log in" in done.stdout
    for name in SECRETS:
        assert not any(form in done.stdout + done.stderr for form in forms(SECRETS[name])), name
    logs = b"".join(path.read_bytes() for path in (out / "logs").iterdir())
    assert b"plain [redacted] in JSON" in logs
    assert b"\xff\xfe[redacted]\n" in logs  # what is no text is kept


def test_without_their_variables_only_what_has_a_shape_is_known(leaky, tmp_path):
    """The test above would see a secret that is there."""
    assert leaky(*TOY, "--methods", "leaky,leaky[fail=true]").returncode == 1
    found = found_in(tmp_path / "out", SECRETS)
    unknown = set(SECRETS) - set(KNOWN_BY_SHAPE)
    assert {name for name, _ in found} == unknown
    assert {place for _, place in found} >= {"records", "logs", "leaderboard.md", "leaderboard.html", "records.csv"}


def test_a_reward_that_fails_with_secrets(leaky, tmp_path):
    done = leaky(*TOY, "--methods", "leaky", "--reward", "harness_leaky_plugin:score", **SECRETS)
    assert done.returncode == 1, done.stderr
    assert found_in(tmp_path / "out", SECRETS) == set()
    assert "raised ValueError: [redacted]" in (tmp_path / "out" / "leaderboard.md").read_text().replace("\\", "")


def test_templates_and_urls_with_credentials(leaky, tmp_path):
    rows = [{"text": f"{i}?", "label": f"{i}"} for i in range(30)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = ("--model", "toy", "--task", "file", "--input-field", "text", "--target-field", "label", "--methods", "toy")
    template = "Ask https://me:longpassw0rd@example.com/x?max=3&api_key=k1k2k3k4#a as Bearer abcdefgh12: {input}"
    done = leaky("run", *file, "--data", "d.jsonl", "--template", template, "--out", "out")
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "out" / "records").glob("*.json")]
    assert {record["task"]["templates"][0] for record in records} == {
        "Ask https://[redacted]@example.com/x?max=3&api_key=[redacted]#a as Bearer [redacted]: {input}"
    }
    done = leaky("run", *file, "--data", "https://me:longpassw0rd@example.com/d.jsonl?token=k1k2k3k4")
    assert done.returncode == 2
    assert b"longpassw0rd" not in done.stderr
    assert b"k1k2k3k4" not in done.stderr
    assert b"[redacted]@example.com" in done.stderr


def test_a_secret_across_the_parts_of_an_endless_line(tmp_path):
    secret = SECRETS["WANDB_API_KEY"]
    for before in (LONGEST_LINE - 60, LONGEST_LINE - 20, LONGEST_LINE):
        path = tmp_path / f"{before}.log"
        log = Log(path, Redactor(SECRETS))
        for chunk in (b"x" * before + secret[:17].encode(), secret[17:].encode() + b"y" * 200_000, b"end"):
            log.write(chunk)
        log.close()
        assert path.read_bytes() == b"x" * before + b"[redacted]" + b"y" * 200_000 + b"end"


def test_a_worker_is_told_no_secret():
    """It has no need of them: what a hub asks a token for is downloaded when the run is planned."""
    given = {**SECRETS, "HF_HOME": "/cache", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "0", "HF_API_KEY": "x" * 9}
    told = build_worker_environment(given)
    assert not {*SECRETS, "HF_API_KEY"} & set(told)
    assert {"HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES"} <= set(told)


def test_the_command_that_resumes_holds_no_secret(monkeypatch):
    given = ["run", "--data", "https://me:pw@h/d", "--template", "it's so long"]
    monkeypatch.setenv("MY_PASSWORD", "it's so long")
    assert (
        build_resume_command(given) == "python -m harness run --data 'https://[redacted]@h/d' --template '[redacted]'"
    )


# Names

NAMES = (
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a\0b",
    "a\nb",
    "CON",
    "~",
    "-rf",
    "x" * 5000,
    "a/b@c",
    "é\u202e",
    "\\\\h\\s",
)


@pytest.mark.parametrize("name", NAMES)
def test_no_model_name_leads_out_of_the_place_for_runs(name):
    assert Path(make_file_name(name)).name == make_file_name(name)
    directory = build_spec({"methods": "toy", "model": name or "x", "task": name or "x"}).directory
    assert directory.parent == Path("runs")
    assert directory.name.isascii()
    assert directory.name.isprintable()
    assert 0 < len(directory.name) < 200
    assert directory.name[0] not in ".-"


@pytest.mark.parametrize(
    "name", [*NAMES, "0123456789abcde", "0123456789abcdef/", "0123456789ABCDEF", "0123456789abcdef\n"]
)
def test_only_the_id_of_a_trial_becomes_a_path(name, tmp_path, toy_record):
    import dataclasses

    store = RunStore(tmp_path / "out")
    paths = (store.log_path, store.predictions_path, store.artifacts_path, store.stages_path, store.find_finished)
    for path in paths:
        with pytest.raises(StoreError, match="not the id of a trial"):
            path(name)
    with pytest.raises(StoreError, match="not the id of a trial"):
        store.add(dataclasses.replace(toy_record, trial_id=name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [*NAMES, "A", "1", "a.b", "a b"])
def test_only_plain_words_name_a_stage(name, tmp_path):
    observer = TrialObserver(None, tmp_path / "stages", keep_models=True, on_stage=lambda name: None)
    acts = (lambda: observer.rows(name, []), observer.keep(name).__enter__, lambda: observer.stage(name).__enter__())
    for act in acts:
        if name == "x" * 5000:
            continue  # the file system refuses it, and the trial ends in an error
        with pytest.raises(ValueError, match="is not a valid stage name"):
            act()
    assert not (tmp_path / "stages").exists() or not list((tmp_path / "stages").iterdir())


@pytest.fixture
def toy_record():
    return make_plan(build_spec({"methods": "toy", "model": "toy", "task": "toy"})).trials[1].draft


# Links


def test_a_record_replaces_a_link_and_does_not_write_through_it(tmp_path, toy_record):
    store, outside = RunStore(tmp_path / "out"), tmp_path / "outside"
    outside.write_text("mine")
    path = tmp_path / "out" / "records" / f"{toy_record.trial_id}.json"
    path.parent.mkdir(parents=True)
    path.symlink_to(outside)
    path.with_name(f".{path.name}.draft").symlink_to(outside)
    store.add(toy_record, replace=True)
    assert outside.read_text() == "mine"
    assert not path.is_symlink()
    assert path.read_text() == dump(toy_record)


def test_what_a_trial_writes_replaces_links_too(tmp_path):
    run = (*TOY, "--methods", "toy", "--save-models")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "harness", *run]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    out, outside = tmp_path / "out", tmp_path / "outside"
    trial = next(path.stem for path in (out / "records").iterdir() if '"variant": "toy"' in path.read_text())
    outside.mkdir()
    (outside / "file").write_text("mine")
    for link in (out / "artifacts" / trial, out / "stages" / trial):
        link.parent.mkdir(exist_ok=True)
        shutil.rmtree(link, ignore_errors=True)
        link.symlink_to(outside)
    predictions = (f"predictions/{trial}.jsonl", f"predictions/.{trial}.jsonl.draft")
    links = (f"logs/{trial}.log", *predictions, f"records/{trial}.json")
    for link in (out / name for name in links):
        link.unlink(missing_ok=True)
        link.symlink_to(outside / "file")
    done = subprocess.run([*command, "--rerun", "all"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine"
    assert (out / "artifacts" / trial / "toy.json").is_file()


# Models that would run code


@pytest.fixture
def model(tmp_path):
    """A copy of the embedded decoder-only model."""
    return Path(shutil.copytree(EMBEDDED_FOLDER / "decoder-only", tmp_path / "mine"))


CONVERSION = r"transformers\.LlamaForCausalLM\.from_pretrained\(DIR\)\.save_pretrained\(DIR\)"


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json", "model.ckpt"]
)
def test_pickled_weights_are_refused_with_the_way_to_convert_them(model, name):
    (model / "model.safetensors").rename(model / name)
    with pytest.raises(ModelError, match=f"mine: its weights are in {name}, which could run code.*{CONVERSION}$"):
        resolve_model(str(model))


def test_the_way_to_convert_pickled_weights_works(model, monkeypatch):
    import torch
    import transformers
    from safetensors.torch import load_file

    weights = load_file(model / "model.safetensors")
    torch.save(weights, model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    with pytest.raises(ModelError) as refused:
        resolve_model(str(model))
    command = str(refused.value).rpartition(": ")[2].replace("DIR", repr(str(model)))
    eval(command, {"transformers": transformers})  # as the sentence says, word for word
    resolve_model(str(model))
    converted = load_file(model / "model.safetensors")
    assert all(torch.equal(weights[key], converted[key]) for key in converted)


BOMB = b"\x80\x04cposix\nsystem\n\x8c\x10touch opened-it!\x85R."


def test_pickles_beside_safetensors_are_never_opened(model, tmp_path, monkeypatch):
    """Of a directory that has both, the safetensors are read; the pickles would leave a file if they were opened."""
    import torch

    from harness.models.loading import load_model

    monkeypatch.chdir(tmp_path)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl", "adapter_model.bin"):
        (model / name).write_bytes(BOMB)
    load_model(resolve_model(str(model)), device="cpu", dtype=torch.float32, options={})
    assert not (tmp_path / "opened-it!").exists()


def test_an_adapter_beside_a_model_would_be_loaded_with_it(model):
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"an adapter .* lies beside the model.*merge_and_unload"):
        resolve_model(str(model))
    (model / "config.json").unlink()
    with pytest.raises(ModelError, match="looks like an adapter, give its base model"):
        resolve_model(str(model))


@pytest.mark.parametrize("shard", ["../other.safetensors", "/etc/passwd", "pytorch_model.bin", 7, None, ["a"]])
def test_an_index_names_only_safetensors_beside_it(model, shard):
    (model / "model.safetensors").rename(model / "a.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": shard}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json cannot be read"):
        resolve_model(str(model))


def test_a_pickled_reward_model_is_refused_alike(model):
    config = json.loads((model / "config.json").read_text())
    config |= {"architectures": ["LlamaForSequenceClassification"], "num_labels": 1}
    (model / "config.json").write_text(json.dumps(config))
    resolve_reward(str(model))
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="lies beside the model"):
        resolve_reward(str(model))
    (model / "adapter_config.json").unlink()
    (model / "model.safetensors").rename(model / "pytorch_model-00001-of-00001.bin")
    with pytest.raises(ModelError, match=r"transformers\.LlamaForSequenceClassification\.from_pretrained\(DIR\)"):
        resolve_reward(str(model))


CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

Path(PLACE).write_text("the code of the model ran")


class MineConfig(LlamaConfig):
    model_type = "mine"


class MineForCausalLM(LlamaForCausalLM):
    config_class = MineConfig


class MineForSequenceClassification(LlamaForSequenceClassification):
    config_class = MineConfig
"""


@pytest.fixture
def own_code(model, tmp_path):
    """The model with code of its own, and the file that this code would write."""
    ran = tmp_path / "ran"
    (model / "mine.py").write_text(CODE.replace("PLACE", repr(str(ran))))
    config = json.loads((model / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "architectures": ["MineForCausalLM"],
        "auto_map": {
            "AutoConfig": "mine.MineConfig",
            "AutoModelForCausalLM": "mine.MineForCausalLM",
            "AutoModelForSequenceClassification": "mine.MineForSequenceClassification",
        },
    }
    (model / "config.json").write_text(json.dumps(config))
    return model, ran


def test_a_models_own_code_is_refused_before_any_of_it_runs(own_code, monkeypatch, capsys):
    pytest.importorskip("torch")  # without it Transformers says so, before our sentence
    folder, ran = own_code
    monkeypatch.chdir(folder.parent)
    assert main(["run", "--model", "mine", "--methods", "full"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: mine brings code of its own")
    assert "--trust-remote-code" in error
    with pytest.raises(ModelError, match="--reward mine brings code of its own"):
        resolve_reward("mine")
    assert not ran.exists()
    assert {path.name for path in folder.parent.iterdir()} == {"mine"}


def test_of_a_model_that_transformers_knows_no_own_code_runs(own_code, monkeypatch):
    """Its class of that name is transformers' own, whatever the directory brings."""
    import torch

    from harness.models.loading import load_model

    folder, ran = own_code
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    loaded, _ = load_model(resolve_model(str(folder)), device="cpu", dtype=torch.float32, options={})
    assert type(loaded).__module__.startswith("transformers.models.llama")
    assert not ran.exists()


@pytest.mark.slow
def test_with_the_flag_it_runs(own_code, tmp_path):
    """The test above would see code that ran."""
    folder, ran = own_code
    command = ["run", "--model", str(folder), "--methods", "full", "--budget", "steps=1", "--test-examples", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command, "--device", "cpu", "--trust-remote-code", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_MODULES_CACHE": str(tmp_path / "modules")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran.exists()
