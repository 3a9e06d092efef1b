"""`--task file`: every format gives the same examples; splits are seeded, disjoint and recorded."""

from __future__ import annotations

import csv
import json

import pytest

from harness.errors import DataError
from harness.tasks import TaskRequest, load_task
from methods.base import Example

ROWS = [{"id": f"r{i}", "text": f'input {i}, "quoted"\nline', "label": f"target {i}"} for i in range(40)]


def write(path, rows):
    """Write rows in the format that the file's ending names."""
    ending = path.suffix
    if ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif ending == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif ending in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), delimiter="," if ending == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def request(data, test=None, targets=("label",), **more):
    return TaskRequest("file", data=data, test=test, input_field="text", target_fields=targets, **more)


@pytest.mark.parametrize("ending", ["json", "csv", "tsv", "parquet"])
def test_every_format_gives_the_examples_of_jsonl(tmp_path, ending):
    expected = load_task(request(write(tmp_path / "d.jsonl", ROWS)))
    task = load_task(request(write(tmp_path / f"d.{ending}", ROWS)))
    assert task.fingerprint == expected.fingerprint
    assert task.splits == expected.splits


def test_a_byte_order_mark_and_blank_lines_are_no_content(tmp_path):
    plain = [{"text": f"i{i}", "label": "t"} for i in range(3)]
    path = tmp_path / "d.jsonl"
    path.write_text("\ufeff\n" + "\n\n".join(json.dumps(row) for row in plain) + "\n\n", encoding="utf-8")
    task = load_task(request(str(path), write(tmp_path / "t.jsonl", [{"text": "q", "label": "t"}])))
    assert sorted(example.id for example in task.train + task.validation) == ["2", "4", "6"]


def test_csv_rows_are_numbered_by_their_first_line(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text('\ufefftext,label\n"a\nb",x\nc,y\n\n"d\n\ne",z\nf,w\n', encoding="utf-8")
    task = load_task(request(str(path), write(tmp_path / "t.jsonl", [{"text": "q", "label": "t"}])))
    ids = {example.id: example.input for example in task.train + task.validation}
    assert ids == {"2": "a\nb", "4": "c", "6": "d\n\ne", "9": "f"}


def test_split_is_seeded_disjoint_complete_and_recorded(tmp_path):
    data = write(tmp_path / "d.jsonl", ROWS)
    task = load_task(request(data))
    assert [len(split) for split in task.splits.values()] == [33, 3, 4]  # a tenth of 40, then of the other 36
    together = [example.id for split in task.splits.values() for example in split]
    assert sorted(together) == sorted(row["id"] for row in ROWS)
    assert task.note == (
        "test is a seeded split of 4 rows of d.jsonl (seed 0); "
        "validation is a seeded split of 3 rows of d.jsonl (seed 0)"
    )
    assert load_task(request(data)) == task
    other = load_task(request(data, split_seed=1))
    assert other.test != task.test
    assert "(seed 1)" in other.note
    order = {row["id"]: index for index, row in enumerate(ROWS)}
    for split in task.splits.values():
        assert (places := [order[example.id] for example in split]) == sorted(places)


def test_rows_that_share_an_input_are_never_split(tmp_path):
    rows = [{"text": f"input {i % 13}" + " " * (i % 2), "label": f"t{i}"} for i in range(60)]
    for seed in range(10):
        task = load_task(request(write(tmp_path / "d.jsonl", rows), split_seed=seed))
        inputs = [{example.input.strip() for example in split} for split in task.splits.values()]
        assert not inputs[0] & inputs[1] | inputs[0] & inputs[2] | inputs[1] & inputs[2]
        assert sum(map(len, inputs)) == 13


def test_a_split_has_at_least_one_and_at_most_500_rows(tmp_path):
    few = load_task(request(write(tmp_path / "few.jsonl", ROWS[:3])))
    assert [len(split) for split in few.splits.values()] == [1, 1, 1]
    many = [{"text": f"i{i}", "label": "t"} for i in range(6000)]
    task = load_task(request(write(tmp_path / "many.jsonl", many)))
    assert [len(split) for split in task.splits.values()] == [5000, 500, 500]


def test_two_different_inputs_are_too_few_for_three_splits(tmp_path):
    with pytest.raises(DataError, match=r"d\.jsonl: too few different inputs to hold out a validation split"):
        load_task(request(write(tmp_path / "d.jsonl", [*ROWS[:2]])))


def test_several_target_fields_are_references_of_the_test(tmp_path):
    train = write(tmp_path / "train.jsonl", ROWS)
    rows = [
        {"id": "1", "text": "p", "label": "a", "second": "b", "third": ""},
        {"id": "2", "text": "q", "label": "c", "second": None},
    ]
    task = load_task(request(train, write(tmp_path / "test.jsonl", rows), ("label", "second", "third")))
    assert task.test == (Example("1", "p", ("a", "b")), Example("2", "q", ("c",)))
    assert {len(example.references) for example in task.train} == {1}
    assert len(task.train) == 36
    assert len(task.validation) == 4
    with pytest.raises(DataError, match=r"test\.jsonl: no field 'fourth'; the fields there are 'id', 'text'"):
        load_task(request(train, str(tmp_path / "test.jsonl"), ("label", "fourth")))


def test_ids_come_from_id_then_fname_then_the_line(tmp_path):
    train = write(tmp_path / "train.jsonl", ROWS)
    for rows, ids in (
        ([{"id": 7, "fname": "x", "text": "p", "label": "a"}], ["7"]),
        ([{"fname": "x", "text": "p", "label": "a"}], ["x"]),
        ([{"text": "p", "label": "a"}, {"text": "q", "label": "a"}], ["1", "2"]),
    ):
        task = load_task(request(train, write(tmp_path / "test.jsonl", rows)))
        assert [example.id for example in task.test] == ids


def test_limits_take_nested_seeded_samples(tmp_path):
    data = write(tmp_path / "d.jsonl", [{"text": f"i{i}", "label": "t"} for i in range(300)])
    full = load_task(request(data))
    some = load_task(request(data, train_examples=10, validation_examples=5, test_examples=6))
    more = load_task(request(data, train_examples=20, validation_examples=10, test_examples=12))
    for name, amount in (("train", 10), ("validation", 5), ("test", 6)):
        assert len(some.splits[name]) == amount
        assert set(some.splits[name]) < set(more.splits[name]) < set(full.splits[name])
    assert some.train == more.train[:10]
    assert some.train != full.train[:10]
    assert list(some.test) == [example for example in full.test if example in some.test]
    assert load_task(request(data, train_examples=10, validation_examples=5, test_examples=6)) == some
    assert (
        load_task(request(data, test_examples=6, split_seed=3)).test != load_task(request(data, test_examples=6)).test
    )


def test_limits_beyond_what_there_is_use_all(tmp_path):
    data = write(tmp_path / "d.jsonl", ROWS)
    assert load_task(request(data, train_examples=999, test_examples=4)) == load_task(request(data))


def test_a_template_of_the_users_own(tmp_path):
    task = load_task(request(write(tmp_path / "d.jsonl", ROWS), template="Label: {input}\n"))
    assert task.templates == ("Label: {input}\n",)


def test_up_to_one_percent_unusable_is_counted_listed_and_noted(tmp_path):
    rows = [{"text": f"i{i}", "label": "t"} for i in range(200)]
    rows[4]["label"] = " \n"
    rows[9]["text"] = None
    data = write(tmp_path / "d.jsonl", rows)
    task = load_task(request(data))
    assert task.unusable == 2
    assert task.left_out == ("d.jsonl line 5: empty 'label'", "d.jsonl line 10: empty 'text'")
    assert "2 rows left out (d.jsonl line 5: empty 'label'; d.jsonl line 10: empty 'text')" in task.note
    assert sum(map(len, task.splits.values())) == 198


def test_beyond_one_percent_unusable_is_refused_unless_allowed(tmp_path):
    rows = [{"text": f"i{i}", "label": "t" if i % 40 else ""} for i in range(200)]
    data = write(tmp_path / "d.csv", rows)
    with pytest.raises(DataError) as caught:
        load_task(request(data))
    shown = "; ".join(f"d.csv line {line}: empty 'label'" for line in (2, 42, 82))
    assert str(caught.value) == (
        f"{data}: 5 of 200 rows (2.5%) cannot be used ({shown}; and 2 more); "
        "correct them, or leave them out with --allow-unusable"
    )
    task = load_task(request(data, allow_unusable=True))
    assert task.unusable == 5
    assert sum(map(len, task.splits.values())) == 195


def test_test_inputs_in_train_are_refused_unless_left_out_of_training(tmp_path):
    data = write(tmp_path / "train.jsonl", ROWS)
    shared = [{**ROWS[i], "id": f"t{i}", "text": ROWS[i]["text"] + " "} for i in (3, 5)]
    test = write(tmp_path / "test.jsonl", [*shared, {"id": "new", "text": "new", "label": "n"}])
    with pytest.raises(DataError) as caught:
        load_task(request(data, test))
    assert str(caught.value) == (
        f"{data}: 2 of its rows have the same input as a test example (line 4 = line 1 of test.jsonl; "
        "line 6 = line 2 of test.jsonl); remove them from one of the files, "
        "or leave them out of training with --allow-unusable"
    )
    task = load_task(request(data, test, allow_unusable=True))
    assert len(task.test) == 3
    assert len(task.train) + len(task.validation) == 38
    assert task.unusable == 2
    assert "train.jsonl line 4: its input is also in test" in task.note


def test_train_as_its_own_test_leaves_nothing(tmp_path):
    data = write(tmp_path / "train.jsonl", ROWS)
    with pytest.raises(DataError, match="every row is left out"):
        load_task(request(data, data, allow_unusable=True))


def test_notes_hold_no_directories(tmp_path):
    rows = [{"text": f"i{i}", "label": "t" if i else ""} for i in range(200)]
    task = load_task(request(write(tmp_path / "d.jsonl", rows)))
    assert str(tmp_path) not in task.note + "".join(task.left_out)
