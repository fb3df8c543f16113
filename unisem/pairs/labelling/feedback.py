"""`Feedback`: what was searched, what was shown, and which of it a person says was right.

Kept only where somebody has asked for it, in one file in the space's directory, and nowhere else. A
right picture and its query are a pair to learn from; what was shown above it is a wrong picture for
that query, and so is all that was shown where nothing was right.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unisem.common.cache_file import opened_cache
from unisem.errors import LabelError
from unisem.pairs.dataset import PairDataset
from unisem.pairs.input import Input
from unisem.pairs.pair import Pair
from unisem.space import SemanticSpace
from unisem.stores.personal_files import FEEDBACK_FILE

_LARGEST = 1 << 20  # bytes of a row
_TABLE = """CREATE TABLE IF NOT EXISTS searches (
    number INTEGER PRIMARY KEY AUTOINCREMENT, query TEXT NOT NULL, shown TEXT NOT NULL,
    chosen TEXT)"""


@dataclass(frozen=True, slots=True)
class JudgedSearch:
    """One search that was kept.

    Attributes:
        number: Searches are counted on.
        query: The words.
        shown: Ids of the records that were found, the best first.
        chosen: Those that a person says are right; empty if none was, ``None`` if nobody has said.
    """

    number: int
    query: str
    shown: tuple[str, ...]
    chosen: tuple[str, ...] | None

    @property
    def wrong(self) -> tuple[str, ...]:
        """Ids that were shown above the last right one and are not right; all, if none is."""
        if self.chosen is None:
            return ()
        places = [self.shown.index(name) for name in self.chosen]
        above = self.shown[: max(places)] if places else self.shown
        return tuple(name for name in above if name not in self.chosen)


class Feedback:
    """The searches of one space; see the module. Every process may use the same file.

    Args:
        directory: The space's.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FEEDBACK_FILE

    @property
    def is_on(self) -> bool:
        """Whether searches are kept."""
        return self.path.is_file()

    def begin(self) -> None:
        """Keep searches from now on.

        Raises:
            LabelError: The file cannot be made.
        """
        with self._opened():
            self.path.chmod(0o600)  # what somebody looks for is theirs

    def erase(self) -> None:
        """Delete all that was kept, and keep no more."""
        self.path.unlink(missing_ok=True)

    def keep(self, query: str, shown: Sequence[str]) -> int:
        """Keep a search; its number.

        Raises:
            LabelError: Searches are not kept, or cannot be.
        """
        with self._opened(must_be_on=True) as connection:
            row = connection.execute(
                "INSERT INTO searches (query, shown) VALUES (?, ?)", (query, json.dumps([*shown]))
            )
            assert row.lastrowid is not None
            return row.lastrowid

    def judge(self, ranks: Sequence[int], number: int | None = None) -> JudgedSearch:
        """Say which hits of a search were right.

        Args:
            ranks: From 1; none if nothing was right.
            number: The search; the last one if ``None``.

        Raises:
            LabelError: There is no such search, or it has no such hit.
        """
        (found,) = self._searches(number, last=number is None) or (None,)
        if found is None:
            raise LabelError("there is no such search; unisem feedback list says which there are")
        for rank in ranks:
            if not 1 <= rank <= len(found.shown):
                raise LabelError(f"search {found.number} has {len(found.shown)} hits, no {rank}")
        chosen = [found.shown[rank - 1] for rank in dict.fromkeys(ranks)]
        with self._opened(must_be_on=True) as connection:
            connection.execute(
                "UPDATE searches SET chosen = ? WHERE number = ?",
                (json.dumps(chosen), found.number),
            )
        return JudgedSearch(found.number, found.query, found.shown, tuple(chosen))

    def searches(self) -> list[JudgedSearch]:
        """All that were kept, the oldest first; none if searches are not kept.

        Raises:
            LabelError: The file is damaged.
        """
        return self._searches(None, last=False) if self.is_on else []

    def pairs(self, space: SemanticSpace) -> PairDataset:
        """Queries with their right pictures, and with the wrong ones that were shown above.

        Records that are gone, and texts, are left out.

        Args:
            space: The space.
        """
        found = []
        for search in self.searches():
            wrong = tuple(
                Input(image=record.image, image_id=record.id)
                for record in space.get(search.wrong)
                if record is not None and record.image is not None
            )
            for record in space.get(search.chosen or ()):
                if record is not None and record.image is not None:
                    found.append(Pair.of(record.image, search.query, record.id, wrong))
        return PairDataset(tuple(found))

    def _searches(self, number: int | None, *, last: bool) -> list[JudgedSearch]:
        query = "SELECT number, query, shown, chosen FROM searches WHERE number = ? OR ? IS NULL"
        query += " ORDER BY number DESC LIMIT 1" if last else " ORDER BY number"
        with self._opened(must_be_on=True) as connection:
            rows = connection.execute(query, (number, number)).fetchall()
        try:
            return [
                JudgedSearch(int(place), str(words), _names(shown), chosen and _names(chosen))
                for place, words, shown, chosen in rows
            ]
        except ValueError as error:
            raise self._damaged(error) from error

    @contextmanager
    def _opened(self, *, must_be_on: bool = False) -> Iterator[sqlite3.Connection]:
        if must_be_on and not self.is_on:
            raise LabelError(
                f"{self.path.parent} keeps no searches; unisem feedback on makes it keep them"
            )
        try:
            with opened_cache(self.path, _TABLE, largest=_LARGEST) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> LabelError:
        return LabelError(
            f"{self.path}: searches cannot be kept ({error}); if the file is damaged, erase it"
        )


def _names(text: object) -> tuple[str, ...]:
    names = json.loads(str(text))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("not a list of ids")
    return tuple(names)
