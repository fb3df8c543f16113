"""`LabelState`: who is asked what, and what was answered, in one file beside the records.

A question that is given to somebody is theirs until their lease ends, so that several people are
never asked about the same picture. An answer is written down here before it goes anywhere else, and
marked when it is everywhere: what a crash has interrupted is finished later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unisem.common.cache_file import opened_cache
from unisem.errors import LabelError
from unisem.stores.personal_files import SETTLED

_LARGEST = 1 << 24  # bytes of a row: a caption, and the metadata before it
_QUESTIONS = """CREATE TABLE IF NOT EXISTS questions (
    record TEXT PRIMARY KEY, place INTEGER NOT NULL, reason TEXT NOT NULL,
    who TEXT NOT NULL DEFAULT '', until REAL NOT NULL DEFAULT 0) WITHOUT ROWID"""
_ANSWERS = """CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL, who TEXT NOT NULL,
    caption TEXT, before TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0)"""

_FIND = "SELECT number, record, caption, before FROM answers"


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said of a picture.

    Attributes:
        number: Answers are counted on.
        record_id: The record's id.
        caption: The caption; ``None`` if the picture was skipped.
        before: The record's text and metadata before, as JSON.
    """

    number: int
    record_id: str
    caption: str | None
    before: str


class LabelState:
    """See the module. Every process and thread may use the same file.

    Args:
        path: The file, made if absent.

    Raises:
        LabelError: When it is used, if it is damaged or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, records: Sequence[tuple[str, str]]) -> None:
        """Put questions into the queue, behind those that wait.

        Args:
            records: Ids, each with the reason; one that waits already stays where it is.
        """
        with self._opened() as connection:
            (last,) = connection.execute("SELECT COALESCE(MAX(place), 0) FROM questions").fetchone()
            rows = [(name, last + 1 + row, why) for row, (name, why) in enumerate(records)]
            connection.executemany(
                "INSERT OR IGNORE INTO questions (record, place, reason) VALUES (?, ?, ?)", rows
            )

    def take(self, who: str, now: float, until: float) -> tuple[str, str] | None:
        """The next question for somebody, which is theirs then; the one that they have, if any.

        Args:
            who: Their name.
            now: Seconds; a lease that has ended before is nobody's.
            until: When theirs ends.

        Returns:
            The record's id and the reason, or ``None`` where all that waits is others'.
        """
        with self._opened() as connection:
            found = connection.execute(
                "SELECT record, reason FROM questions WHERE who = ? OR until < ?"
                " ORDER BY (who = ? AND until >= ?) DESC, place LIMIT 1",
                (who, now, who, now),
            ).fetchone()
            if found is None:
                return None
            connection.execute(
                "UPDATE questions SET who = ?, until = ? WHERE record = ?", (who, until, found[0])
            )
            return str(found[0]), str(found[1])

    def drop(self, record_id: str) -> None:
        """Take a question out of the queue, since there is nothing to ask any more."""
        with self._opened() as connection:
            connection.execute("DELETE FROM questions WHERE record = ?", (record_id,))

    def answer(self, record_id: str, who: str, caption: str | None, before: str) -> Answer:
        """Write an answer down, and take its question out of the queue.

        Args:
            record_id: The record's id.
            who: Whose answer it is.
            caption: The caption; ``None`` to skip the picture.
            before: The record's text and metadata, as JSON.

        Raises:
            LabelError: It is nobody's question, or somebody else's.
        """
        with self._opened() as connection:
            deleted = connection.execute(
                "DELETE FROM questions WHERE record = ? AND who = ?", (record_id, who)
            )
            if not deleted.rowcount:
                raise LabelError(
                    f"{record_id!r} is not yours to answer: you were not asked, or too long ago "
                    "and somebody else was; ask for the next one"
                )
            row = connection.execute(
                "INSERT INTO answers (record, who, caption, before) VALUES (?, ?, ?, ?)",
                (record_id, who, caption, before),
            )
            assert row.lastrowid is not None
            return Answer(row.lastrowid, record_id, caption, before)

    def finish(self, answer: Answer) -> None:
        """Mark an answer as being everywhere."""
        with self._opened() as connection:
            connection.execute("UPDATE answers SET done = 1 WHERE number = ?", (answer.number,))

    def unfinished(self) -> list[Answer]:
        """Answers that were written down and may not be everywhere, the oldest first."""
        return self._answers(f"{_FIND} WHERE done = 0 ORDER BY number", ())

    def last(self, who: str) -> Answer | None:
        """Somebody's last answer that was not taken back."""
        query = f"{_FIND} WHERE who = ? ORDER BY number DESC LIMIT 1"
        return next(iter(self._answers(query, (who,))), None)

    def take_back(self, answer: Answer, who: str, until: float) -> None:
        """Forget an answer, and ask its question again, of the same person first."""
        with self._opened() as connection:
            connection.execute("DELETE FROM answers WHERE number = ?", (answer.number,))
            connection.execute("UPDATE questions SET who = '', until = 0 WHERE who = ?", (who,))
            (first,) = connection.execute(
                "SELECT COALESCE(MIN(place), 0) FROM questions"
            ).fetchone()
            connection.execute(
                "INSERT OR REPLACE INTO questions VALUES (?, ?, ?, ?, ?)",
                (answer.record_id, first - 1, "taken back", who, until),
            )

    def settled(self) -> set[str]:
        """Ids of records that somebody has skipped, or whose caption is not everywhere yet."""
        with self._opened() as connection:
            return {str(name) for (name,) in connection.execute(SETTLED)}

    def waiting(self) -> set[str]:
        """Ids of records that are in the queue."""
        with self._opened() as connection:
            return {str(name) for (name,) in connection.execute("SELECT record FROM questions")}

    def rounds(self) -> int:
        """How many captions were written here; what a round's seed is made of."""
        with self._opened() as connection:
            (count,) = connection.execute("SELECT COUNT(caption) FROM answers").fetchone()
            return int(count)

    def _answers(self, query: str, values: tuple[str, ...]) -> list[Answer]:
        with self._opened() as connection:
            rows = connection.execute(query, values).fetchall()
        return [
            Answer(int(number), str(name), None if text is None else str(text), str(before))
            for number, name, text, before in rows
        ]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes during."""
        try:
            with opened_cache(self._path, _QUESTIONS, _ANSWERS, largest=_LARGEST) as connection:
                connection.isolation_level = None
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise LabelError(
                f"{self._path}: what was asked and answered cannot be kept ({error}); if the file "
                "is damaged, move it away: captions are in the space, and are not lost"
            ) from error
