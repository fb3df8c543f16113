"""`Sources`: the pinned archives that `mini` is trained on, each refused unless its bytes match."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "tools" / "train_mini.lock.json"
FETCH = {
    "npm": ("npm", "pack", "--silent"),
    "apt": ("apt-get", "download", "-o", "APT::Sandbox::User=root"),
    "pip": (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", "."),
}
JOINED = {"npm": "@", "apt": "=", "pip": "=="}


class SourceError(Exception):
    """An archive cannot be had, or is not the pinned one."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One pinned package file.

    Attributes:
        name: The package.
        version: Its version.
        kind: ``npm``, ``apt``, ``pip`` or ``git``: the client that fetches it.
        filename: The file that the client writes; of ``git``, the folder.
        sha256: Of that file; of ``git``, nothing: a commit is its own checksum.
        licence: Of what is used from it, as an SPDX name.
    """

    name: str
    version: str
    kind: str
    filename: str
    sha256: str
    licence: str


class Sources:
    """The archives of the lock, in one folder; absent ones are fetched there.

    Args:
        folder: Where archives lie or are put. With all of them there, no network is used.
        lock: Which they are.
    """

    def __init__(self, folder: Path, lock: Path = LOCK) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        rows = json.loads(lock.read_text("utf-8"))["sources"]
        self.archives = {row["name"]: Archive(**row) for row in rows}

    def path(self, name: str) -> Path:
        """The archive of a package, its checksum verified.

        Raises:
            SourceError: It cannot be fetched, or differs from the pinned one.
        """
        archive = self.archives[name]
        path = self.folder / archive.filename
        if not path.exists():
            wanted = f"{archive.name}{JOINED[archive.kind]}{archive.version}"
            try:
                subprocess.run([*FETCH[archive.kind], wanted], cwd=self.folder, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise SourceError(
                    f"cannot fetch {wanted}; put {archive.filename} into {self.folder} yourself"
                ) from error
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
        if actual != archive.sha256:
            raise SourceError(
                f"{path} has sha256 {actual}, but {archive.sha256} is pinned; "
                "delete it and run again"
            )
        return path

    def json(self, name: str, member: str) -> Any:
        """The parsed JSON file ``member`` of an npm package."""
        return json.loads(self.member(name, member))

    def member(self, name: str, member: str) -> bytes:
        """The bytes of one file of an npm package."""
        with tarfile.open(self.path(name)) as tar:
            extracted = tar.extractfile(f"package/{member}")
            if extracted is None:
                raise SourceError(f"{name} has no file {member}")
            return extracted.read()

    def members(self, name: str, suffix: str) -> dict[str, bytes]:
        """All files of an npm package with this suffix, by their stems."""
        with tarfile.open(self.path(name)) as tar:
            found = {}
            for entry in tar:
                if entry.name.endswith(suffix) and (file := tar.extractfile(entry)) is not None:
                    found[Path(entry.name).stem] = file.read()
            return found

    def git_file(self, name: str, path: str) -> bytes:
        """The bytes of one file of a public repository, ``owner/name``, at the pinned commit.

        Raises:
            SourceError: The commit cannot be fetched.
        """
        archive = self.archives[name]
        clone = self.folder / archive.filename
        if not clone.exists():
            subprocess.run(["git", "init", "--quiet", "--bare", clone], check=True)
        show = ["git", "-C", clone, "show", f"{archive.version}:{path}"]
        found = subprocess.run(show, capture_output=True)
        if found.returncode:
            place = f"https://github.com/{name}"
            fetch = ["git", "-C", clone, "fetch", "--quiet", "--depth=1", place, archive.version]
            if subprocess.run(fetch).returncode:
                raise SourceError(f"cannot fetch {archive.version} of {place}")
            found = subprocess.run(show, capture_output=True, check=True)
        return found.stdout

    def debian_file(self, name: str, path: str) -> bytes:
        """The bytes of one file of a Debian package."""
        unpacked = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", self.path(name)], capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as tar:
            file = tar.extractfile(f"./{path}")
            if file is None:
                raise SourceError(f"{name} has no file {path}")
            return file.read()
