"""`DuplicateGroup`: files that show one picture, and which of them to keep."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from unisem.captions import is_generated
from unisem.images.looks import first_near, is_look
from unisem.records import Record

Merit = Literal["largest", "oldest", "best captioned"]


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a picture.

    Attributes:
        record: Its record; of several the one that is most worth keeping.
        pixels: Width times height; 0 if that is not known.
        size: The file's bytes; 0 if it is gone, or lies elsewhere.
        modified: When the file was changed last; ``None`` likewise.
        is_gone: Whether the file is there no more.
        file: What tells it from other files: names and links that lead to one file are one.
        merits: In what none of its group is better, and some are worse.
    """

    record: Record
    pixels: int
    size: int
    modified: datetime | None
    is_gone: bool
    file: object
    merits: tuple[Merit, ...] = ()

    @classmethod
    def of(cls, record: Record) -> Copy:
        """Look at a record's file, which is not opened."""
        image = record.image
        assert image is not None
        pixels = (image.width or 0) * (image.height or 0)
        if image.path is None:
            return cls(record, pixels, 0, None, is_gone=False, file=record.id)
        status = _status(image.path)
        if status is None:
            return cls(record, pixels, 0, None, is_gone=True, file=image.path)
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        file = status.st_dev, status.st_ino
        return cls(record, pixels, status.st_size, modified, is_gone=False, file=file)

    @property
    def caption_rank(self) -> tuple[bool, int]:
        """Better captioned is more: words of a person before generated ones, then more words."""
        text = self.record.text or ""
        return bool(text) and not is_generated(self.record), len(text.split())


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that show one picture, two at least.

    Attributes:
        copies: The one to keep first: of files that are there the one with the most pixels, then
            the best captioned, then the one with the most bytes, the oldest, the first by id.
        kind: ``"same"`` if all have the same bytes, else ``"near"``.
    """

    copies: tuple[Copy, ...]
    kind: Literal["same", "near"]

    @property
    def spare(self) -> int:
        """The bytes of all files but the one to keep."""
        return sum(copy.size for copy in self.copies[1:])


def duplicate_groups(
    records: Iterable[Record], *, near: bool, looks: Mapping[str, str] | None = None
) -> list[DuplicateGroup]:
    """Which files show one picture; largest groups first.

    Those of the same digest are one. With ``near``, pictures are gone through from the one that
    is most worth keeping to the one that is least: each joins the first of those before it that
    it is near to and that has joined no other, see `unisem.images.looks`. So no chain of pictures
    that are each near the next makes a group.

    Args:
        records: Those without an inspected picture are passed over, and so are parts of documents,
            whose file is no picture that could go.
        near: Whether pictures count that look nearly the same.
        looks: By digest, of pictures whose records have none.
    """
    copies: dict[str, list[Copy]] = {}
    for record in records:
        image = record.image
        if image is not None and image.region is None and image.sha256 is not None:
            copies.setdefault(image.sha256, []).append(Copy.of(record))
    for some in copies.values():
        some.sort(key=_worth)
    ordered = sorted(copies.values(), key=lambda some: _worth(some[0]))
    known = dict(looks or {})
    found = [_look(some, known) if near else None for some in ordered]
    first = first_near(found)
    groups: dict[int, list[Copy]] = {}
    for place, some in enumerate(ordered):
        groups.setdefault(first[place], []).extend(some)
    made = [_group(some) for some in groups.values()]
    found_twice = [group for group in made if len(group.copies) > 1]
    return sorted(found_twice, key=lambda it: (-len(it.copies), _worth(it.copies[0])))


def _group(copies: Sequence[Copy]) -> DuplicateGroup:
    files: dict[object, Copy] = {}
    for copy in sorted(copies, key=_worth):
        files.setdefault(copy.file, copy)
    images = [copy.record.image for copy in files.values()]
    digests = {image.sha256 for image in images if image is not None}
    return DuplicateGroup(_judged([*files.values()]), "near" if len(digests) > 1 else "same")


def _look(copies: Sequence[Copy], known: Mapping[str, str]) -> str | None:
    for copy in copies:
        image = copy.record.image
        if image is not None and (look := image.look or known.get(image.sha256 or "")):
            return look if is_look(look) else None
    return None


def _worth(copy: Copy) -> tuple[object, ...]:
    """Less is more worth keeping."""
    is_written, words = copy.caption_rank
    age = copy.modified.timestamp() if copy.modified is not None else float("inf")
    return (
        copy.is_gone,
        -copy.pixels,
        not is_written,
        -words,
        -copy.size,
        age,
        copy.record.id,
    )


def _judged(copies: Sequence[Copy]) -> tuple[Copy, ...]:
    there = [copy for copy in copies if not copy.is_gone]
    ages = [copy.modified for copy in there if copy.modified is not None]
    sizes = [copy.pixels for copy in there]
    captions = [copy.caption_rank for copy in copies]
    judged = []
    for copy in copies:
        merits: list[Merit] = []
        if copy in there and min(sizes) < copy.pixels == max(sizes):
            merits.append("largest")
        if copy.modified is not None and copy.modified == min(ages) < max(ages):
            merits.append("oldest")
        if min(captions) < copy.caption_rank == max(captions):
            merits.append("best captioned")
        judged.append(replace(copy, merits=tuple(merits)))
    return tuple(judged)


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
