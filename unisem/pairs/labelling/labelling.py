"""`Labelling`: a person is asked for captions, and what they say is written down everywhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from unisem.captioners import CachedCaptioner, Captioner
from unisem.captioners.cached import CAPTIONS_FILE
from unisem.captions import is_generated, lacks_caption, with_own_caption
from unisem.encoders.base import Encoder, rows_of
from unisem.errors import ImageError, LabelError
from unisem.ingest.fusing import captioned_vectors
from unisem.pairs.labelling.caption_file import remove_caption, write_caption
from unisem.pairs.labelling.question import Question
from unisem.pairs.labelling.state import Answer, LabelState
from unisem.pairs.labelling.strategies import DEFAULT, Head, Pool, Strategy, load_strategy
from unisem.pairs.labelling.suggesting import Suggester, image_row
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.space import SemanticSpace
from unisem.stores.personal_files import LABELS_FILE
from unisem.stores.selection import Selection

LEASE = 600.0
"""Seconds that a question is one person's."""
_ROUND = 20  # questions that are chosen together
_MOST = 10_000  # pictures that a round looks at, drawn by lot where there are more


class Labelling:
    """Asks about pictures of a space that have no caption, or a generated one.

    Questions are chosen in rounds and kept in the space's directory, with who has which. A caption
    goes into the record, into the ``metadata.jsonl`` of the folder that the picture was indexed
    with, and into the list of answers; `undo` takes it out of all three.

    Args:
        space: The space, in a directory; this process is to write to it.
        strategy: Chooses the questions; a name for `load_strategy`, or a strategy.
        seed: Decides what the strategy leaves to chance.
        who: Whose questions these are.
        captioner: Suggests a caption for each picture, beside tags and captions of like pictures.
        others: Further encoders, for a strategy that looks where they disagree.
        files: Whether captions are written beside pictures, too.
        clock: Tells seconds, for leases.

    Raises:
        LabelError: The space is in no directory.
        ValueError: There is no such strategy.
    """

    def __init__(
        self,
        space: SemanticSpace,
        *,
        strategy: str | Strategy = DEFAULT,
        seed: int = 0,
        who: str = "",
        captioner: Captioner | None = None,
        others: Sequence[Encoder] = (),
        files: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if space.path is None:
            raise LabelError("labelling keeps its state in the space's directory; this has none")
        self._space = space
        self._strategy = load_strategy(strategy) if isinstance(strategy, str) else strategy
        self._seed = seed
        self._who = who
        self._others = tuple(others)
        self._files = files
        self._clock = clock
        self._state = LabelState(space.path / LABELS_FILE)
        if captioner is not None:
            captioner = captioner.at(space.path)
            captioner = CachedCaptioner(captioner, space.path / CAPTIONS_FILE)
        self._suggester = Suggester(space, captioner)
        self._refused: list[str] = []
        for answer in self._state.unfinished():
            self._finish_later(answer)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why answers of before, that are kept, can still not be written beside their pictures."""
        return tuple(self._refused)

    def for_person(self, who: str) -> Self:
        """The same for somebody else's questions; what was computed for suggestions is shared."""
        other = copy(self)
        other._who = who
        return other

    def next(self) -> Question | None:
        """The next question, or the same again if it was not answered.

        Returns:
            ``None`` if there is nothing to ask, or others are being asked about all that is left.

        Raises:
            LabelError: The state cannot be kept.
            ValueError: The strategy lacks what it looks at.
        """
        while True:
            now = self._clock()
            taken = self._state.take(self._who, now, now + LEASE)
            if taken is None:
                if not self._ask_more():
                    return None
                continue
            name, reason = taken
            (record,) = self._space.get([name])
            if record is not None and record.image is not None and _is_open(record):
                image = record.image
                return Question(name, image, self._suggester.suggestions(record), reason)
            self._state.drop(name)  # removed, or captioned by another door

    def answer(self, record_id: str, caption: str) -> None:
        """Write a caption down.

        Args:
            record_id: The record's id, as of a question that was asked of this person.
            caption: What they say.

        Raises:
            LabelError: The caption is empty or not Unicode, or the question is another's. Or the
                file beside the picture cannot be written: then the space is not, either; the answer
                is kept, and is tried again when the space is opened for labelling again.
            StoreError: The space cannot be written to; the answer is kept in the same way.
        """
        caption = " ".join(caption.split())
        if not caption:
            raise LabelError("a caption needs words; skip the picture if there are none")
        try:
            caption.encode()
        except UnicodeEncodeError as error:
            raise LabelError(f"the caption is not valid Unicode ({error.reason})") from None
        self._write(record_id, caption)

    def skip(self, record_id: str) -> None:
        """Do not ask about a picture again.

        Raises:
            LabelError: The question is another's.
        """
        self._write(record_id, None)

    def undo(self) -> Question | None:
        """Take this person's last answer back, and ask again.

        Returns:
            The question; ``None`` if there is no answer of theirs.

        Raises:
            LabelError: The file beside the picture cannot be written; nothing was taken back.
        """
        answer = self._state.last(self._who)
        if answer is None:
            return None
        (record,) = self._space.get([answer.record_id])
        if record is not None and answer.caption is not None:
            if (place := self._place_beside(record)) is not None:
                remove_caption(*place, answer.caption)
            if record.text == answer.caption:
                before = json.loads(answer.before)
                bare = with_own_caption(record, before["text"], in_file=True)
                self._store(replace(bare, metadata=before["metadata"]))
        self._state.take_back(answer, self._who, self._clock() + LEASE)
        return self.next()

    def left(self) -> int:
        """How many pictures there are to ask about."""
        return len(self._open_records(self._state.settled()))

    def _write(self, record_id: str, caption: str | None) -> None:
        (record,) = self._space.get([record_id])
        if record is None:
            self._state.drop(record_id)
            raise LabelError(f"{record_id!r} is not in the space any more; ask for the next one")
        before = json.dumps({"text": record.text, "metadata": dict(record.metadata)})
        self._apply(self._state.answer(record_id, self._who, caption, before))

    def _finish_later(self, answer: Answer) -> None:
        """Finish an answer of before, unless another door has given a caption since."""
        (record,) = self._space.get([answer.record_id])
        if record is not None and not _is_open(record) and record.text != answer.caption:
            self._state.finish(answer)
            return
        try:
            self._apply(answer)
        except LabelError as error:
            self._refused.append(str(error))

    def _apply(self, answer: Answer) -> None:
        """Bring an answer where it belongs; twice does no harm.

        1. The file beside the picture; if that is refused, nothing else is touched.
        2. The space, where the caption is marked if no file has it.
        3. The answer is finished.
        """
        (record,) = self._space.get([answer.record_id])
        if answer.caption is not None and record is not None:
            place = self._place_beside(record)
            if place is not None:
                write_caption(*place, answer.caption)
            self._store(with_own_caption(record, answer.caption, in_file=place is not None))
        self._state.finish(answer)

    def _store(self, changed: Record) -> None:
        """Replace a record and its caption's vector; the picture's stays."""
        (vectors,) = self._space.store.vectors([changed.id])
        if vectors is None:
            return
        rows: dict[VectorKind, Vector] = {k: v for k, v in vectors.items() if k == "image"}
        if changed.text is not None:
            encoder = self._space.encoder
            (row,) = rows_of(encoder, encoder.encode_texts([changed.text]))
            rows = captioned_vectors(encoder, changed, rows, row)
        self._space.store.add([EmbeddedRecord(changed, rows)])

    def _place_beside(self, record: Record) -> tuple[Path, Path] | None:
        """The picture's file and its folder, where captions are written beside pictures."""
        return _folder_of(record, self._space.path) if self._files else None

    def _open_records(self, skipped: set[str]) -> list[Record]:
        records = self._space.store.select(Selection(modality="image"))
        return [it for it in records if _is_open(it) and it.id not in skipped]

    def _ask_more(self) -> bool:
        """Choose the next round's questions; whether there are any."""
        known = self._state.settled() | self._state.waiting()
        waiting, labelled = [], []
        for record in self._space.store.select(Selection(modality="image")):
            if not _is_open(record):
                labelled.append(record)
            elif record.id not in known:
                waiting.append(record)
        rng = np.random.default_rng([self._seed, self._state.rounds()])
        waiting, rows = self._with_rows(_drawn(waiting, rng))
        if not waiting:
            return False
        pool = self._pool(waiting, rows, self._with_rows(_drawn(labelled, rng))[1])
        chosen = self._strategy.choose(pool, _ROUND, int(rng.integers(1 << 31)))
        self._state.ask([(waiting[n].id, self._strategy.reason) for n in chosen])
        return True

    def _pool(self, records: Sequence[Record], rows: Vector, labelled: Vector) -> Pool:
        """Pictures as each encoder sees them; one that cannot be read now is like no tag."""
        head = Head(rows, self._suggester.tag_rows(self._space.encoder))
        others = []
        for encoder in self._others:
            seen = np.zeros((len(records), encoder.dimension), np.float32)
            for place, record in enumerate(records):
                assert record.image is not None
                with suppress(ImageError):
                    seen[place] = rows_of(encoder, encoder.encode_images([record.image]))[0]
            others.append(Head(seen, self._suggester.tag_rows(encoder)))
        return Pool(head, labelled, tuple(others))

    def _with_rows(self, records: Sequence[Record]) -> tuple[list[Record], Vector]:
        """Those whose pictures have a vector, and ``(n, d)`` unit vectors of them."""
        found = self._space.store.vectors([record.id for record in records])
        rows = [image_row(vectors) for vectors in found]
        kept = [record for record, row in zip(records, rows, strict=True) if row is not None]
        known = [row for row in rows if row is not None]
        dimension = self._space.encoder.dimension
        return kept, np.array(known, np.float32).reshape(-1, dimension)


def _drawn(records: list[Record], rng: np.random.Generator) -> list[Record]:
    """As many as are looked at in one round."""
    if len(records) <= _MOST:
        return records
    return [records[n] for n in rng.choice(len(records), _MOST, replace=False)]


def _is_open(record: Record) -> bool:
    """Whether nobody has written a caption for a picture."""
    return record.image is not None and (lacks_caption(record) or is_generated(record))


def _folder_of(record: Record, space: Path | None) -> tuple[Path, Path] | None:
    """A picture's file, and the folder that it was indexed with; ``None`` if it is no such file.

    Pictures inside a space and parts of documents have no place beside which a caption could be.
    """
    image = record.image
    if image is None or image.path is None or image.region is not None:
        return None
    path = image.path
    if space is not None and path.is_relative_to(space.resolve()):
        return None
    name = record.metadata.get("file_name")
    if isinstance(name, str) and "\\" not in name:
        parts = Path(name).parts
        if parts and ".." not in parts and path.parts[-len(parts) :] == parts:
            return path, Path(*path.parts[: -len(parts)])
    return path, path.parent
