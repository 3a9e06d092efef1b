"""A run directory that is written whole or not at all, and read without trust."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from reports.errors import StoreError
from reports.records import files
from reports.records.record import dump
from reports.records.store import RunStore, read_records, write_text

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "run")


def test_what_is_added_is_read_again(store, make, failed):
    good, bad = make("lora"), failed("full", "oom", "out of memory")
    store.add(good)
    store.add(bad)
    records, problems = store.read()
    assert sorted(r.trial_id for r in records) == sorted([good.trial_id, bad.trial_id])
    assert good in records
    assert problems == []
    assert store.find_finished(good.trial_id) == good
    assert store.find_finished(bad.trial_id) is None  # to be tried again
    assert store.find_finished("0" * 16) is None


def test_a_record_is_replaced_only_when_that_is_meant(store, make):
    store.add(make("lora"))
    with pytest.raises(StoreError, match="already"):
        store.add(make("lora"))
    store.add(make("lora", metrics={"rougeL": 0.9}), replace=True)
    assert store.read()[0][0].metrics["rougeL"] == 0.9


def test_no_draft_stays_behind(store, make):
    store.add(make("lora"))
    assert [path.suffix for path in (store.directory / "records").iterdir()] == [".json"]


def test_files_that_are_no_records_are_set_aside_and_named(store, make):
    good = make("lora")
    store.add(good)
    folder = store.directory / "records"
    whole = dump(make("full"))
    (folder / ("b" * 16 + ".json")).write_text(whole[: len(whole) // 2])
    (folder / ("c" * 16 + ".json")).write_text(dump(make("full")))
    (folder / ("d" * 16 + ".json")).write_text('{"schema_version": 99}')
    (folder / ("e" * 16 + ".json")).write_bytes(b"\xff\xfe")
    (folder / ("f" * 16 + ".json")).mkdir()
    (folder / "g.json").write_text(dump(make("full", trial_id="g")))
    records, problems = store.read()
    assert records == [good]
    assert [problem.split(":")[0] for problem in problems] == [*(letter * 16 + ".json" for letter in "bcdef"), "g.json"]
    assert "truncated" in problems[0]
    assert "another trial" in problems[1]
    assert "schema version 99" in problems[2]
    assert not [problem for problem in problems if str(store.directory) in problem]  # reports hold no paths
    assert [store.find_finished(letter * 16) for letter in "bcde"] == [None] * 4


@pytest.mark.parametrize("identity", ["../../etc/passwd", "A" * 16, "a" * 15, "", "a" * 16 + "\n"])
def test_only_ids_become_file_names(store, identity):
    for door in (store.find_finished, store.log_path, store.predictions_path, store.artifacts_path):
        with pytest.raises(StoreError, match="not the id of a trial"):
            door(identity)


def test_a_directory_without_records_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not a directory"):
        read_records(tmp_path / "none")
    with pytest.raises(StoreError, match="holds no records"):
        read_records(tmp_path)
    assert not list(tmp_path.iterdir())  # reading makes nothing


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    store = RunStore(tmp_path / "file" / "run")
    with pytest.raises(StoreError, match="choose another --out"), store.lock():
        pass


def test_a_failed_write_keeps_what_was_there(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "report.md"
    write_text(target, "first")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_text(target, "second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_half_a_character_is_written_as_its_escape(tmp_path):
    write_text(tmp_path / "report.md", "caf\udce9")
    assert (tmp_path / "report.md").read_text() == "caf\\udce9"


def test_a_file_system_without_locks_is_not_another_process(store, monkeypatch):
    def none(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(StoreError, match="without locks"), store.lock():
        pass


def test_a_second_process_is_kept_out_until_the_first_is_done(store):
    code = (
        "import sys; from pathlib import Path\n"
        "from reports.errors import StoreError; from reports.records.store import RunStore\n"
        "try:\n"
        "    with RunStore(Path(sys.argv[1])).lock(): print('in')\n"
        "except StoreError as error: print(error)"
    )

    def other():
        command = [sys.executable, "-c", code, str(store.directory)]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    with store.lock():
        assert "another process is working in" in other()
    assert other() == "in\n"


def test_a_run_moves_what_is_no_record_and_removes_drafts(store, make):
    store.add(make("lora"))
    folder = store.directory / "records"
    (folder / ("b" * 16 + ".json")).write_text("{")
    (folder / "notes.json").write_text("[]")
    (folder / f".{'c' * 16}.json.draft").write_text("half of a")
    said = store.tidy()
    assert len(said) == 2
    assert "truncated or foreign" in said[0]
    assert said[0].endswith(f"moved to set-aside/{'b' * 16}.json")
    assert sorted(path.name for path in (store.directory / "set-aside").iterdir()) == ["b" * 16 + ".json", "notes.json"]
    assert [path.suffix for path in folder.iterdir()] == [".json"]
    assert store.tidy() == []
    (folder / ("b" * 16 + ".json")).write_text("{ again")
    store.tidy()  # what was set aside earlier is kept, too
    assert (store.directory / "set-aside" / ("b" * 16 + ".1.json")).read_text() == "{ again"
    assert [record.variant for record in store.read()[0]] == ["lora"]


def test_whatever_a_killed_process_was_writing_is_removed_and_nothing_else(store, make):
    trial_id = make("lora").trial_id
    whole = [
        *(store.directory / "records" / f"{trial_id}.json", store.directory / "leaderboard.md"),
        *(store.predictions_path(trial_id), store.checkpoint_path(trial_id), store.log_path(trial_id)),
        *(store.stages_path(trial_id) / "samples.jsonl", store.stages_path(trial_id) / "reward_model" / "weights"),
        *(store.artifacts_path(trial_id) / "weights", store.artifacts_path(trial_id) / ".mine.draft"),
    ]
    store.add(make("lora"))
    for path in whole[1:]:
        files.write_text(path, "whole")
    before = {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()}
    assert before.keys() == {*whole}
    # Each is written by a process that ends in the middle, by the function that the harness writes it with.
    code = """if True:
        import os, pathlib, sys
        from reports.records import files
        what, path = sys.argv[1], pathlib.Path(sys.argv[2])
        if what == "file":
            files.write(path, lambda stream: os._exit(stream.write(b"half") and 9))
        with files.draft_folder(path) as draft:
            files.write_text(draft / "deep" / "weights", "half")
            os._exit(9)
    """
    left = [("file", path) for path in whole[:6]]
    left += [("folder", path.parent) for path in (whole[6], whole[7])]
    for what, path in left:
        assert subprocess.run([sys.executable, "-c", code, what, path], cwd=ROOT, check=False).returncode == 9
    drafts = [files.make_draft_path(path) for _, path in left]
    drafts.append(files.make_draft_path(store.directory / "artifacts" / f"{trial_id}.old"))  # a folder being replaced
    (drafts[-1] / "deep").mkdir(parents=True)
    drafts += [store.directory / "logs" / ".probe", store.directory / "predictions" / f"{trial_id}.tmp"]
    for path in drafts[-2:]:
        path.write_text("half")
    assert all(path.exists() for path in drafts)
    assert store.tidy() == []
    assert not [path for path in drafts if path.exists()]
    assert {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()} == before


def test_a_record_that_is_replaced_is_kept(store, make):
    first, second = make("lora", metrics={"rougeL": 0.1}), make("lora", metrics={"rougeL": 0.2})
    store.renew(first)
    store.write_rerun_list({first.trial_id, "a" * 16})
    store.renew(second)
    assert store.read()[0] == [second]
    assert (store.directory / "superseded" / f"{first.trial_id}.json").read_text() == dump(first)
    assert store.read_rerun_list() == {"a" * 16}  # the other one has not run yet


def test_an_interrupted_try_does_not_replace_a_finished_one(store, make):
    finished = make("lora")
    store.renew(finished)
    store.write_rerun_list({finished.trial_id})
    store.renew(make("lora", status="interrupted"))
    assert store.read()[0] == [finished]
    assert store.read_rerun_list() == {finished.trial_id}
    store.renew(make("full", status="error"))
    store.renew(make("full", status="interrupted"))  # of what has not finished it is the latest word
    assert {record.status for record in store.read()[0]} == {"ok", "interrupted"}


def test_a_finished_trial_leaves_no_checkpoint(store, make):
    path = store.checkpoint_path(make("lora").trial_id)
    path.parent.mkdir(parents=True)
    for name in (path.name, f"{path.name}.damaged", f".{path.name}.draft"):
        path.with_name(name).write_bytes(b"state")
    store.drop_checkpoint(make("lora").trial_id)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("folder", ["records", "predictions", "logs"])
def test_a_directory_that_cannot_be_used_is_refused_before_anything_runs(store, folder):
    store.directory.mkdir()
    (store.directory / folder).write_text("a file")
    with pytest.raises(StoreError, match=f"{folder}.*cannot be written"):
        store.tidy()
