"""DialogSum and E2E: their layouts, on small files and, where they are at hand, on the real ones."""

from __future__ import annotations

import json

import pytest

from harness.errors import DataError
from harness.tasks import TaskRequest, load_task
from harness.tasks.prompts import DATA_TO_TEXT, DIALOGUE_SUMMARY, OWN_DATA
from methods.base import Example


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def dialogue(i, **fields):
    return {"fname": f"x_{i}", "dialogue": f"#Person1#: {i}\n#Person2#: yes", "topic": "t"} | fields


TRAIN = [dialogue(i, summary=f"s{i}") for i in range(30)]
TEST = [dialogue(100 + i, summary1="a", summary2=f"b{i}", summary3="c") for i in range(3)]


def dialogsum(directory, **more):
    return load_task(TaskRequest("dialogsum", data=str(directory), **more))


@pytest.mark.parametrize("prompts", [DIALOGUE_SUMMARY, DATA_TO_TEXT, OWN_DATA])
def test_prompts_hold_the_input_once_and_differ(prompts):
    assert all(prompt.count("{input}") == 1 for prompt in prompts)
    assert len(set(prompts)) == len(prompts)


def test_first_summary_prompt():
    assert DIALOGUE_SUMMARY[0] == "Summarize the following dialogue.\n\n{input}\n\nSummary:\n"
    assert len(DIALOGUE_SUMMARY) >= 4


@pytest.mark.parametrize("prefix", ["", "dialogsum."])
def test_original_layout(tmp_path, prefix):
    jsonl(tmp_path / f"{prefix}train.jsonl", TRAIN)
    jsonl(tmp_path / f"{prefix}test.jsonl", TEST)
    task = dialogsum(tmp_path)
    assert task.test[1] == Example("x_101", "#Person1#: 101\n#Person2#: yes", ("a", "b1", "c"))
    assert [len(split) for split in task.splits.values()] == [27, 3, 3]
    assert task.note == "validation is a seeded split of 3 rows of " + f"{prefix}train.jsonl (seed 0)"
    assert task.templates == DIALOGUE_SUMMARY


@pytest.mark.parametrize("name", ["dev.jsonl", "dialogsum.dev.jsonl", "validation.jsonl"])
def test_development_file_is_the_validation_split(tmp_path, name):
    jsonl(tmp_path / "train.jsonl", TRAIN)
    jsonl(tmp_path / "test.jsonl", TEST)
    jsonl(tmp_path / name, [dialogue(200 + i, summary="v") for i in range(5)])
    task = dialogsum(tmp_path)
    assert [len(split) for split in task.splits.values()] == [30, 5, 3]
    assert task.note is None


def test_shared_dialogues_leave_training_and_validation_and_are_told(tmp_path):
    spaced = dialogue(100, summary="s", dialogue="#Person1#: 100 \n#Person2#: yes")
    jsonl(
        tmp_path / "train.jsonl",
        [*TRAIN, spaced, dialogue(200, summary="s")],
    )
    jsonl(tmp_path / "dev.jsonl", [dialogue(200, summary="v"), dialogue(101, summary="v")])
    jsonl(tmp_path / "test.jsonl", TEST)
    # That is more than 1% of these few rows, so it must be allowed.
    with pytest.raises(DataError, match=r"1 of its rows .* --allow-unusable"):
        dialogsum(tmp_path)
    task = dialogsum(tmp_path, allow_unusable=True)
    assert task.train == tuple(Example(row["fname"], row["dialogue"], (row["summary"],)) for row in TRAIN)
    assert [example.id for example in task.validation] == ["x_200"]
    assert task.unusable == 3
    assert (
        task.left_out
        == (
            "train.jsonl line 31: its input is also in test",
            "train.jsonl line 32: its input is also in validation",
            "dev.jsonl line 2: empty 'summary1'",
        )
        or task.left_out[2] == "dev.jsonl line 2: its input is also in test"
    )


def test_made_validation_has_at_most_200_examples(tmp_path):
    jsonl(tmp_path / "train.jsonl", [dialogue(1000 + i, summary="s") for i in range(2500)])
    jsonl(tmp_path / "test.jsonl", TEST)
    assert [len(split) for split in dialogsum(tmp_path).splits.values()] == [2300, 200, 3]


@pytest.mark.parametrize("task", ["dialogsum", "e2e"])
def test_directory_errors(tmp_path, task):
    def complaint(path) -> str:
        with pytest.raises(DataError) as caught:
            load_task(TaskRequest(task, data=str(path)))
        return str(caught.value)

    assert "does not exist" in complaint(tmp_path / "none")
    assert "no data file named train." in complaint(tmp_path)
    (tmp_path / "train.csv").write_text("x\n1\n")
    assert "is a file; --data takes the directory" in complaint(tmp_path / "train.csv")
    assert "is empty" in complaint(" ")
    (tmp_path / "train.csv").unlink()
    (tmp_path / "train.csv").mkdir()
    assert "train.csv is not a regular file" in complaint(tmp_path)


def test_hub_out_of_reach(monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("harness.tasks.dialogsum.HUB_ID", "nobody/nothing-of-this-name")
    with pytest.raises(DataError, match=r"cannot be had from the hub .*pass --data DIR") as caught:
        load_task(TaskRequest("dialogsum"))
    assert "\n" not in str(caught.value)


def test_hub_layout(tmp_path, monkeypatch):
    """`load_dataset` itself, on a directory in the layout of the hub's repository."""
    import datasets

    def table(name, rows):
        lines = [f'{i},"{d}",{s},t\n' for i, d, s in rows]
        (tmp_path / f"{name}.csv").write_text("id,dialogue,summary,topic\n" + "".join(lines))

    table("train", [(f"train_{i}", f"#Person1#: {i}\n#Person2#: no", f"s{i}") for i in range(4)])
    table("validation", [("dev_0", "#Person1#: v", "v")])
    table(
        "test",
        [(f"test_{i}_{k}", f"#Person1#: t{i}\n#Person2#: no", f"r{i}{k}") for i in (0, 1) for k in (1, 2, 3)],
    )
    monkeypatch.setattr("harness.tasks.dialogsum.HUB_ID", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    task = load_task(TaskRequest("dialogsum"))
    assert [len(split) for split in task.splits.values()] == [4, 1, 2]
    assert task.test[1] == Example("test_1_1", "#Person1#: t1\n#Person2#: no", ("r11", "r12", "r13"))
    assert task.note is None
    # The same files named with --data are the same data.
    assert dialogsum(tmp_path).fingerprint == task.fingerprint


@pytest.mark.parametrize("names", [("train", "test"), ("trainset", "testset_w_refs")])
def test_e2e_rows_that_share_an_mr(tmp_path, names):
    train, test = names
    (tmp_path / f"{train}.csv").write_text("mr,ref\na,1\na,2\nb,3\nc,4\n")
    (tmp_path / f"{test}.csv").write_text('mr,ref\n"t, u",x\n"t, u",y\nb,z\n')
    with pytest.raises(DataError, match=r"same input as a test example .* --allow-unusable"):
        load_task(TaskRequest("e2e", data=str(tmp_path)))
    task = load_task(TaskRequest("e2e", data=str(tmp_path), allow_unusable=True))
    assert task.test == (Example("2", "t, u", ("x", "y")), Example("4", "b", ("z",)))
    assert {example.input for example in task.train + task.validation} == {"a", "c"}
    assert task.unusable == 1
    assert f"{train}.csv line 4: its input is also in test" in task.note


def test_e2e_development_file(tmp_path):
    (tmp_path / "trainset.csv").write_text("mr,ref\na,1\nb,2\n")
    (tmp_path / "devset.csv").write_text("mr,ref\nd,1\nd,2\n")
    (tmp_path / "testset_w_refs.csv").write_text("mr,ref\nt,x\n")
    task = load_task(TaskRequest("e2e", data=str(tmp_path)))
    assert task.validation == (Example("2", "d", ("1", "2")),)
    assert len(task.train) == 2
    assert task.note is None


def test_real_dialogsum(data_dir):
    task = dialogsum(data_dir / "dialogsum")
    # 500 dialogues, of which 3 are test dialogues with another white space.
    assert len(task.train) + len(task.validation) == 497
    assert task.unusable == 3
    assert "train.jsonl line 41: its input is also in test" in task.note
    assert len(task.test) == 250
    assert {len(example.references) for example in task.test} == {3}
    assert task.test[0].id == "test_0"
    assert task.test[0].references[0].startswith("Ms. Dawson helps #Person1#")
    assert dialogsum(data_dir / "dialogsum").fingerprint == task.fingerprint


def test_real_e2e(data_dir):
    task = load_task(TaskRequest("e2e", data=str(data_dir / "e2e")))
    assert len(task.test) == 315
    assert sum(len(example.references) for example in task.test) == 2497
    assert len(task.validation) == 54  # a tenth of 547 different mrs
    assert len(task.train) + sum(len(example.references) for example in task.validation) == 4672
    assert task.unusable == 0
    assert not {e.input for e in task.train} & {e.input for e in task.validation + task.test}
