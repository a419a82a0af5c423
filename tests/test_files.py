"""Files are what they seem, are written whole, and have the permissions that files written directly have."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from routespace.files import atomic_path, read_file, remove_leftovers, write_atomically, write_together


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


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_or_a_socket_is_named_and_not_waited_for(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipe.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for path, kind in ((pipe, "a pipe"), (Path("socket"), "a socket"), (Path(), "a folder")):
            with pytest.raises(OSError, match=f"it is {kind}, not a file") as error:
                read_file(path, 100)
            assert error.value.filename == str(path)
        with pytest.raises(OSError) as error:
            write_atomically(Path("socket"), "text")
        assert error.value.filename == "socket"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty", "/dev/full"])
def test_devices_are_not_read(device: str) -> None:
    with pytest.raises(OSError, match="it is a device, not a file"):
        read_file(Path(device), 100)


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, more than the 4 that are read") as error:
        read_file(path, 4)
    assert error.value.errno == errno.EFBIG and error.value.filename == str(path)
    os.truncate(path, 2**40)
    with pytest.raises(OSError, match="more than the"):
        read_file(path, 2**30)


def test_links_are_followed_and_circles_of_them_are_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", 1) == b"1"
    (tmp_path / "circle").symlink_to("circle")
    for act in (lambda: read_file(tmp_path / "circle", 1), lambda: write_atomically(tmp_path / "circle", "2")):
        with pytest.raises(OSError, match="symbolic links") as error:
            act()
        assert error.value.filename == str(tmp_path / "circle")
    write_atomically(tmp_path / "link", "2")
    assert (tmp_path / "file").read_text() == "2" and (tmp_path / "link").is_symlink()


def test_a_name_that_no_file_can_have_is_an_error_of_its_file() -> None:
    for act in (lambda: read_file(Path("a\0b"), 1), lambda: write_atomically(Path("a\0b"), "2")):
        with pytest.raises(OSError, match="null"):
            act()


def test_a_pipe_is_written_to_where_it_is_read(pipe: Path) -> None:
    with pytest.raises(OSError, match="nobody reads") as error:
        write_atomically(pipe, "text")
    assert error.value.filename == str(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    while reader.is_alive() and not found:
        try:
            write_atomically(pipe, "x" * 300_000)
        except OSError:
            continue
        reader.join()
    assert found == [b"x" * 300_000] and list(pipe.parent.iterdir()) == [pipe]


def test_a_full_device_is_named_and_leaves_nothing() -> None:
    with pytest.raises(OSError, match="No space left") as error:
        write_atomically(Path("/dev/full"), "text")
    assert error.value.filename == "/dev/full"


def test_a_disk_that_is_full_is_told_of_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as error, atomic_path(tmp_path / "full.svg"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path / "full.svg") and not list(tmp_path.iterdir())


def test_several_files_are_written_before_the_first_takes_its_place(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("old")
    other.mkdir()
    with pytest.raises(OSError):
        write_together({one: b"new", other: b"new"})
    assert one.read_text() == "old" and sorted(tmp_path.iterdir()) == [one, other]
    other.rmdir()
    write_together({one: b"new", other: b"too"})
    assert one.read_bytes() == b"new" and other.read_bytes() == b"too" and sorted(tmp_path.iterdir()) == [one, other]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / f"{'long' * 12}[1].ckpt"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        left = temporary.read_text(), temporary.name
    (tmp_path / left[1]).write_text(left[0])
    others = [tmp_path / name for name in (".last.ckpt", ".last.mine.ckpt", "last.0123abcd.ckpt", path.name)]
    for other in others:
        other.write_text("mine")
    remove_leftovers(path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
