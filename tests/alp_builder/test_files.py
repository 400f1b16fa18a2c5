from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from alp_builder.errors import UsageError
from alp_builder.files import atomic_file, exclusive, move, sha256_of, write_atomic


class StopError(Exception):
    pass


def test_a_file_appears_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "file"
    with atomic_file(target) as stream:
        stream.write(b"first half, ")
        assert not target.exists()
        stream.write(b"second half")
    assert target.read_bytes() == b"first half, second half"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")
    with pytest.raises(StopError):  # noqa: PT012, SIM117
        with atomic_file(target) as stream:
            stream.write(b"new")
            raise StopError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_move_makes_the_folder_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "file", b"data")
    move(tmp_path / "a" / "file", tmp_path / "b" / "c" / "file")
    assert (tmp_path / "b" / "c" / "file").read_bytes() == b"data"
    assert not list((tmp_path / "a").iterdir())


def test_sha256_is_of_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    write_atomic(tmp_path / "file", data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_a_lock_is_held_once_and_let_go(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "lock"
    with (
        exclusive(lock, "counting"),
        pytest.raises(UsageError, match="counting is under way in another process"),
        exclusive(lock, "counting"),
    ):
        pass
    with exclusive(lock, "counting"):
        pass


def test_the_system_lets_go_of_the_lock_of_a_dead_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import os, sys, pathlib; from alp_builder.files import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1]), 'x'):\n"
        "    os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(lock)]).returncode == -9
    with exclusive(lock, "counting"):
        assert lock.exists()
