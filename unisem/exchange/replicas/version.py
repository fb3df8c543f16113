"""`Version` and `Pointer`: what is published at a place, and which of it is the newest.

A place looks like this:

* ``latest.json``: the `Pointer`; it is put last, and names
* ``versions/00000012-ab12….json``: a `Version`, whose files are cut into
* ``objects/ab/ab12…``: parts, each under the SHA-256 of its content.

What is read here may be a stranger's: sizes are bounded, and no name leads out of its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from unisem._version import __version__
from unisem.errors import CorruptStoreError

POINTER = "latest.json"
VERSIONS = "versions"
OBJECTS = "objects"
FORMAT = 1
PART = 1 << 20
"""Bytes of a part: what is written anew where one page of a catalogue has changed."""

MOST_POINTER = 1 << 16
MOST_VERSION = 1 << 28  # bytes of a version's description: two million files
_MOST_PART = 1 << 26
_MOST_FILE = 1 << 44
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}(/[A-Za-z0-9][A-Za-z0-9._-]{0,199}){0,3}")
_DESCRIPTION = re.compile(rf"{VERSIONS}/(\d{{8}})-([0-9a-f]{{16}})\.json")
_PART = re.compile(rf"{OBJECTS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})")
_HALF = re.compile(
    rf"({VERSIONS}/\.\d{{8}}-[0-9a-f]{{16}}\.json|{OBJECTS}/[0-9a-f]{{2}}/\.[0-9a-f]{{64}})"
    r"\.[0-9a-f]{16}\.tmp"
)
_NEVER = re.compile(r"(replica\.json|.*\.lock|writer\.json|.*-(wal|shm|journal))", re.IGNORECASE)
"""What SQLite or UniSem would take for the trace of a process, and act upon."""

_Parsed = TypeVar("_Parsed")


def digest_of(data: bytes) -> str:
    """The SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def object_name(digest: str) -> str:
    """Where a part lies at a place."""
    return f"{OBJECTS}/{digest[:2]}/{digest}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a version.

    Attributes:
        size: In bytes.
        parts: SHA-256 of each part, in order; all but the last are equally long.
    """

    size: int
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One committed state of a space, as files.

    Attributes:
        number: Greater than that of the version before.
        published: When, in UTC as ISO 8601.
        moment: Names the state, for the store.
        lineage: The same as of the version before if records of both are numbered alike.
        files: By their names inside the space.
        part_bytes: Length of the parts.
        made_by: The version of unisem that has published it.
    """

    number: int
    published: str
    moment: str
    lineage: str
    files: Mapping[str, StoredFile]
    part_bytes: int = PART
    made_by: str = __version__

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files.values())

    @property
    def parts(self) -> set[str]:
        """The parts of all files."""
        return {part for file in self.files.values() for part in file.parts}

    def to_bytes(self) -> bytes:
        """As it is stored."""
        files = {name: [it.size, *it.parts] for name, it in sorted(self.files.items())}
        parts = {
            "format": FORMAT,
            "unisem": self.made_by,
            "number": self.number,
            "published": self.published,
            "moment": self.moment,
            "lineage": self.lineage,
            "part_bytes": self.part_bytes,
            "files": files,
        }
        return json.dumps(parts, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parsed(cls, data: bytes, name: str) -> Version:
        """Rebuild from `to_bytes`, checked as from a stranger.

        Raises:
            CorruptStoreError: It is damaged, of another format, or says what none may.
        """
        return _read(data, name, cls._checked)

    @classmethod
    def _checked(cls, told: dict[str, Any]) -> Version:
        part_bytes = _number(told["part_bytes"], 1 << 12, _MOST_PART)
        files = {}
        for name, (size, *parts) in told["files"].items():
            if not _NAME.fullmatch(name) or _NEVER.fullmatch(name.rpartition("/")[2]):
                raise ValueError(f"{name!r:.80} is no name of a file of a space")
            _number(size, 0, _MOST_FILE)
            if len(parts) != -(-size // part_bytes):
                raise ValueError(f"{name} has {len(parts)} parts for {size} bytes")
            files[name] = StoredFile(size, tuple(_text(part, _DIGEST) for part in parts))
        return cls(
            number=_number(told["number"], 1, 99_999_999),
            published=_text(told["published"], re.compile(r"[0-9T:+.Z-]{1,40}")),
            moment=_text(told["moment"], re.compile(r"[0-9a-z:.-]{0,100}")),
            lineage=_text(told["lineage"], _TOKEN),
            files=files,
            part_bytes=part_bytes,
            made_by=_text(told["unisem"], re.compile(r"[0-9a-zA-Z.+!-]{1,100}")),
        )


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version is the newest.

    Attributes:
        number: Its number.
        digest: SHA-256 of its description.
        size: Bytes of its description.
    """

    number: int
    digest: str
    size: int

    @classmethod
    def to(cls, version: Version) -> Pointer:
        """The pointer to a version."""
        data = version.to_bytes()
        return cls(version.number, digest_of(data), len(data))

    @property
    def name(self) -> str:
        """What the version is called, among files."""
        return f"{self.number:08}-{self.digest[:16]}"

    @property
    def description(self) -> str:
        """Where the version's description lies at a place."""
        return f"{VERSIONS}/{self.name}.json"

    def to_bytes(self) -> bytes:
        """As it is stored."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def parsed(cls, data: bytes, name: str) -> Pointer:
        """Rebuild from `to_bytes`, checked as from a stranger.

        Raises:
            CorruptStoreError: It is damaged, or of another format.
        """
        return _read(data, name, cls._checked)

    @classmethod
    def _checked(cls, told: dict[str, Any]) -> Pointer:
        return cls(
            number=_number(told["number"], 1, 99_999_999),
            digest=_text(told["digest"], _DIGEST),
            size=_number(told["size"], 2, MOST_VERSION),
        )


def numbered(name: str) -> int | None:
    """The number of the version whose description this is; ``None`` for any other name."""
    found = _DESCRIPTION.fullmatch(name)
    return None if found is None else int(found[1])


def part_named(name: str) -> str | None:
    """The SHA-256 of the part that lies there; ``None`` for any other name."""
    found = _PART.fullmatch(name)
    return None if found is None else found[2]


def is_half_written(name: str) -> bool:
    """Whether a directory's file is what a killed publication left of a description or a part."""
    return _HALF.fullmatch(name) is not None


def _read(data: bytes, name: str, checked: Callable[[dict[str, Any]], _Parsed]) -> _Parsed:
    try:
        told = json.loads(data)
        if told["format"] != FORMAT or isinstance(told["format"], bool):
            raise ValueError(f"its format is {told['format']!r:.20}, and here {FORMAT} is read")
        return checked(told)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptStoreError(
            f"{name} is damaged or of another version of unisem ({error}); publish the space again"
        ) from error


def _number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r:.40} is no number from {least} to {most}")
    return value


def _text(value: Any, allowed: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not allowed.fullmatch(value):
        raise ValueError(f"{value!r:.80} is not allowed there")
    return value
