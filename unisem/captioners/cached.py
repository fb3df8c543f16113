"""`CachedCaptioner`: never asks twice about the same picture."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from unisem.captioners.base import LONGEST, Captioned, Captioner, tidy
from unisem.common.cache_file import opened_cache
from unisem.errors import CaptionerError, ImageError
from unisem.images.reference import ImageRef, ImageSource, sources_as_list

CAPTIONS_FILE = "captions.sqlite"
"""The cache's name inside a space; it can be deleted at any time."""

_AT_ONCE = 500  # digests that are looked up by one statement
_LARGEST = 64 * LONGEST  # bytes of a row or statement, more than any of ours has
_CREATE = """CREATE TABLE IF NOT EXISTS captions (
    captioner TEXT, image TEXT, caption TEXT, PRIMARY KEY (captioner, image)) WITHOUT ROWID"""
_FIND = "SELECT image, caption FROM captions WHERE captioner = ? AND image IN "
_KEEP = "INSERT OR REPLACE INTO captions VALUES (?, ?, ?)"


class CachedCaptioner(Captioner):
    """Keeps what a captioner wrote, by its fingerprint and by the digest of the picture's bytes.

    What it could say nothing of is kept, too; failures are not. Every process and thread may use
    the same file.

    Args:
        captioner: Writes captions that are not known yet.
        path: The file, made if absent; ``None`` keeps them in memory.

    Attributes:
        reused: How many captions were known already.

    Raises:
        CaptionerError: When captions are asked for, if the file is damaged or cannot be written.
    """

    def __init__(self, captioner: Captioner, path: Path | None = None) -> None:
        self._captioner = captioner
        self._path = path
        self._memory: dict[str, str] = {}
        self.batch_size = captioner.batch_size
        self.reused = 0

    @property
    def name(self) -> str:
        return self._captioner.name

    @property
    def fingerprint(self) -> str:
        return self._captioner.fingerprint

    def caption(self, images: Sequence[ImageSource]) -> list[Captioned]:
        sources = sources_as_list(images)
        found: list[Captioned] = [None] * len(sources)
        places: dict[str, list[int]] = {}
        references: dict[str, ImageRef] = {}
        for place, source in enumerate(sources):
            try:
                image = ImageRef.of(source)
                image = image if image.sha256 else image.inspected()
            except ImageError as error:
                found[place] = error
                continue
            assert image.sha256 is not None
            places.setdefault(image.sha256, []).append(place)
            references[image.sha256] = image
        known = self._known(list(places))
        new = [digest for digest in places if digest not in known]
        self.reused += len(sources) - sum(len(places[digest]) for digest in new)
        answers: dict[str, Captioned] = dict(known)
        if new:
            answers |= self._asked({digest: references[digest] for digest in new})
        for digest, owners in places.items():
            for place in owners:
                found[place] = answers[digest] or None
        return found

    def _asked(self, images: Mapping[str, ImageRef]) -> dict[str, Captioned]:
        said = self._captioner.caption(list(images.values()))
        if len(said) != len(images):
            raise CaptionerError(
                f"the captioner {self.name!r} gave {len(said)} answers for {len(images)} pictures"
            )
        answers = {
            digest: tidy(answer) if isinstance(answer, str) else answer
            for digest, answer in zip(images, said, strict=True)
        }
        self._keep(
            {
                digest: answer or ""
                for digest, answer in answers.items()
                if answer is None or isinstance(answer, str)
            }
        )
        return answers

    def _known(self, digests: Sequence[str]) -> dict[str, str]:
        if self._path is None:
            return {it: self._memory[it] for it in digests if it in self._memory}
        known: dict[str, str] = {}
        if not digests or not self._path.exists():
            return known
        with self._opened() as connection:
            for start in range(0, len(digests), _AT_ONCE):
                part = digests[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = connection.execute(f"{_FIND}({marks})", (self.fingerprint, *part))
                known |= {str(image): tidy(str(caption)) or "" for image, caption in rows}
        return known

    def _keep(self, captions: Mapping[str, str]) -> None:
        if self._path is None:
            self._memory |= captions
        elif captions:
            with self._opened() as connection, connection:
                rows = [(self.fingerprint, image, text) for image, text in captions.items()]
                connection.executemany(_KEEP, rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        assert self._path is not None
        try:
            with opened_cache(self._path, _CREATE, largest=_LARGEST) as connection:
                yield connection
        except sqlite3.Error as error:
            raise CaptionerError(
                f"{self._path}: the cache of captions cannot be used ({error}); if it is damaged, "
                "delete it, and captions are written anew"
            ) from error
