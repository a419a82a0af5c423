"""Files are whole, and have the permissions that files written directly have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from routespace.files import atomic_path, write_atomically


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        assert temporary.suffix == ".png" and temporary.parent == tmp_path
        temporary.write_text("half of the ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, umask: None) -> None:
    write_atomically(tmp_path / "new", b"new")
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o640


def test_a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_one(tmp_path: Path, umask: None) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o604)
    link.symlink_to(path)
    write_atomically(link, "é")
    assert link.is_symlink() and path.read_bytes() == "é".encode() and path.stat().st_mode & 0o7777 == 0o604
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_no_file_is_written_to_itself(tmp_path: Path) -> None:
    write_atomically(Path(os.devnull), "gone")
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, "text")
    assert not list(tmp_path.iterdir())


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        write_atomically(tmp_path / "nowhere" / "file", "text")
    assert error.value.filename == str(tmp_path / "nowhere" / "file")
