"""Temporary folders end with their process, or with the next one, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from unisem.common.filelock import FileLock
from unisem.common.scratch import ScratchFolder, _remove_left

PROGRAM = """
import os, sys
from unisem.common.scratch import ScratchFolder
folder = ScratchFolder()
(folder.path / "blob").write_bytes(b"x")
if sys.argv[1] == "fork" and os.fork():
    os._exit(0)  # the child has the folder, too
print(folder.path, os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _remove_left.cache_clear()
    return tmp_path


def started(how: str = "") -> tuple[subprocess.Popen[str], Path, int]:
    """A process that uses a folder until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    path, number = process.stdout.readline().split()
    return process, Path(path), int(number)


def end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(60)


def test_what_a_killed_process_leaves_goes_with_the_next(place: Path) -> None:
    killed, left, _ = started()
    killed.kill()
    end(killed)
    assert (left / "blob").exists()
    alive, used, _ = started()
    assert not left.exists()
    mine = ScratchFolder()
    assert used.exists()
    end(alive)
    assert not used.exists()
    mine.close()
    mine.close()
    assert list(place.iterdir()) == []


def test_a_childs_folder_stays_though_its_parent_has_ended(place: Path) -> None:
    parent, used, child = started("fork")
    parent.wait(60)
    ScratchFolder().close()
    assert used.exists()
    os.kill(child, signal.SIGKILL)
    end(parent)


def test_nothing_else_is_removed(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / ".owner").touch()
    (place / "unisem-link").symlink_to(elsewhere)
    for name in ("unisem-other", "unisem-linked", "unisem-held", "other"):
        (place / name).mkdir()
    (place / "unisem-linked" / ".owner").symlink_to(elsewhere / ".owner")
    (place / "other" / ".owner").touch()
    (place / "unisem-file").touch()
    before = set(place.iterdir())
    with FileLock(place / "unisem-held" / ".owner"):
        ScratchFolder().close()
        assert set(place.iterdir()) == before
    _remove_left.cache_clear()
    (place / "unisem-held" / "link").symlink_to(elsewhere)
    ScratchFolder().close()
    assert set(place.iterdir()) == before - {place / "unisem-held"}
    assert (elsewhere / ".owner").exists()
