"""Files and folders are written whole or not at all."""

from __future__ import annotations

import errno
import os

import pytest

from reports.records import files


def test_a_file_takes_the_place_of_the_one_before_once_it_is_synced(tmp_path, monkeypatch):
    path, synced = tmp_path / "new" / "file", []
    files.write_text(path, "first")
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    inodes = []

    def fill(stream):
        stream.write(b"second")
        stream.flush()
        assert path.read_text() == "first"
        inodes.append(os.fstat(stream.fileno()).st_ino)

    files.write(path, fill)
    assert path.read_text() == "second"
    assert path.stat().st_ino == inodes[0]
    assert synced == [inodes[0], path.parent.stat().st_ino]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("a slip")])
def test_what_is_not_written_leaves_nothing(tmp_path, error):
    path = tmp_path / "file"
    files.write_text(path, "first")

    def fill(stream):
        stream.write(b"half")
        raise error

    with pytest.raises(type(error)):
        files.write(path, fill)
    with pytest.raises(type(error)), files.draft_folder(tmp_path / "folder") as draft:
        files.write(draft / "deep" / "file", fill)
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "first"


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path):
    other, path = tmp_path / "other", tmp_path / "file"
    other.write_text("mine")
    files.make_draft_path(path).symlink_to(other)
    files.write_json_lines(path, [{"half": "\ud800"}, {"é": 1}])
    assert other.read_text() == "mine"
    assert path.read_text("utf-8") == '{"half": "\\ud800"}\n{"é": 1}\n'


def test_a_folder_replaces_what_was_there(tmp_path):
    path, outside = tmp_path / "folder", tmp_path / "outside"
    outside.mkdir()
    for old in ("nothing", "folder", "file", "link"):
        files.remove(path)
        if old == "folder":
            files.write_text(path / "old" / "file", "old")
        elif old == "file":
            path.write_text("old")
        elif old == "link":
            path.symlink_to(outside)
        with files.draft_folder(path) as draft:
            files.write_text(draft / "new" / "file", "new")
            assert not (path / "new").exists()
        assert [found.name for found in path.iterdir()] == ["new"], old
        assert sorted(found.name for found in tmp_path.iterdir()) == ["folder", "outside"]
        assert not list(outside.iterdir())


def test_everything_in_a_folder_is_synced_before_it_is_there(tmp_path, monkeypatch):
    path, synced = tmp_path / "folder", []
    with files.draft_folder(path) as draft:
        files.write_text(draft / "deep" / "file", "text")
        (draft / "link").symlink_to(tmp_path / "nowhere")
        monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_ino, path.exists())))
    inside = {found.stat().st_ino for found in (path, path / "deep", path / "deep" / "file")}
    assert {inode for inode, there in synced if not there} == inside
    assert (tmp_path.stat().st_ino, True) in synced


def test_a_folder_that_cannot_take_its_place_leaves_the_one_before(tmp_path):
    files.write_text(tmp_path / "folder" / "file", "old")
    with pytest.raises(FileNotFoundError), files.draft_folder(tmp_path / "folder"):
        pass  # nothing was made
    assert (tmp_path / "folder" / "file").read_text() == "old"


def test_a_folder_that_is_not_to_be_kept_goes(tmp_path):
    with files.draft_folder(tmp_path / "folder", keep=False) as draft:
        files.write_text(draft / "file", "text")
    assert not list(tmp_path.iterdir())
