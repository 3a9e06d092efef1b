"""What a staged method leaves for people to inspect is there when it is whole."""

from __future__ import annotations

import pytest

from harness.worker.observer import TrialObserver


def observer(folder, *, keep_models=True):
    return TrialObserver(None, folder, keep_models=keep_models, on_stage=lambda name: None)


def test_the_model_of_a_stage_is_there_once_it_is_whole(tmp_path):
    with observer(tmp_path).keep("reward_model") as folder:
        (folder / "model.safetensors").write_bytes(b"weights")
        assert not (tmp_path / "reward_model").exists()
    assert [path.name for path in (tmp_path / "reward_model").iterdir()] == ["model.safetensors"]
    with pytest.raises(ValueError, match="a slip"), observer(tmp_path).keep("policy"):
        raise ValueError("a slip")
    assert [path.name for path in tmp_path.iterdir()] == ["reward_model"]


def test_no_folder_is_made_where_no_model_is_kept(tmp_path):
    with observer(tmp_path / "stages", keep_models=False).keep("reward_model") as folder:
        assert folder is None
    assert not (tmp_path / "stages").exists()


def test_rows_replace_those_that_were_written_before(tmp_path):
    for text in ("first", "second"):
        observer(tmp_path).rows("samples", [{"text": text}])
    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]
    assert (tmp_path / "samples.jsonl").read_text() == '{"text": "second"}\n'
