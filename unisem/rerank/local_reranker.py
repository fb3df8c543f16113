"""`LocalReranker`: what rerankers whose model runs here have in common."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from unisem.common.counts import check_counts
from unisem.common.threads import workers
from unisem.errors import ImageError, RerankerError
from unisem.images.reference import ImageRef
from unisem.models.local_model import LocalModel
from unisem.records import Record, check_unicode
from unisem.rerank.base import Reranker

_LOGGER = logging.getLogger(__name__)


class LocalReranker(LocalModel, Reranker):
    """Shows a model the query beside each record, batch by batch, and bears what goes wrong.

    A record is judged by its picture and text, if the model sees pictures; one whose picture cannot
    be opened, or that the model fails on, by its text alone. What has no text then, or one that
    the model fails on, too, gets NaN; the log names it.

    Weights are loaded at the first call. Threads may share one; the model works for one at a time.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        dtype: Name of the floating type to compute in.
        batch_size: Pairs that go through the model at once. It changes no score beyond rounding.
        image_side: Pixels that a picture's longer side may have; larger ones are scaled down
            before the model's own preprocessing.

    Raises:
        ValueError: An argument is out of range.
    """

    role = "reranker"
    failure = RerankerError

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        device: str | None = None,
        dtype: str = "float32",
        batch_size: int = 16,
        image_side: int = 1024,
    ) -> None:
        super().__init__(name, directory, device=device, dtype=dtype)
        check_counts(batch_size=batch_size, image_side=image_side)
        self._batch_size = batch_size
        self._image_side = image_side

    def _settings(self) -> dict[str, Any]:
        own = {"batch_size": self._batch_size, "image_side": self._image_side}
        return super()._settings() | own

    @property
    @abstractmethod
    def sees_images(self) -> bool:
        """Whether the model looks at pictures; loads the weights."""

    @abstractmethod
    def _side(self, text: str | None, picture: Image.Image | None = None) -> Any:
        """One half of a pair, a query or a record, as the model reads it."""

    @abstractmethod
    def _scores(self, query: Any, sides: Sequence[Any]) -> ArrayLike:
        """One score for each record's half; one thread at a time calls it."""

    def _asked(self, side: Any) -> Any:
        """What is made of the query's half once, before records are judged by it."""
        return side

    def _parts(self, text: str | None, image: ImageRef | None) -> tuple[bool, bool]:
        """Whether records' pictures and records' texts are judged by such a query.

        Raises:
            RerankerError: The model cannot judge such a query at all.
        """
        if image is not None and not self.sees_images:
            raise RerankerError(
                f"the reranker {self.name!r} reads texts only and cannot judge a query with a "
                "picture; leave the picture or the reranker out, or load one that sees pictures"
            )
        return self.sees_images, True

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """Score records for a query; see `Reranker.score`, and the class for what gets NaN.

        Raises:
            RerankerError: The model does not load, cannot judge such a query, or fails on every
                record.
            ImageError: The query's picture cannot be used.
        """
        query, by_picture, by_text = self._query(text, image)
        scores, failures = self._judged(query, records, by_picture, by_text)
        if failures and np.isnan(scores).all():
            raise failures[-1]
        return scores

    def _query(self, text: str | None, image: ImageRef | None) -> tuple[Any, bool, bool]:
        """What is made of a query once, and what `_parts` says of it.

        Raises:
            RerankerError: As `score`.
            ImageError: As `score`.
        """
        if text is None and image is None:
            raise ValueError("a reranker needs the query's text, its image, or both")
        if text is not None:
            if not isinstance(text, str):
                raise TypeError(f"the query's text must be a string, not {type(text).__name__}")
            check_unicode(text, "the query's text")
        by_picture, by_text = self._parts(text, image)
        picture = None if image is None else self._open(image)
        side = self._side(text if image is None else text or None, picture)
        return self._guarded(lambda: self._asked(side)), by_picture, by_text

    def _judged(
        self, query: Any, records: Sequence[Record], by_picture: bool, by_text: bool
    ) -> tuple[NDArray[np.float32], list[RerankerError]]:
        """Score records, batch by batch; what the model failed on has NaN, and is in the list."""
        scores = np.full(len(records), np.nan, np.float32)
        failures: list[RerankerError] = []

        def judge(places: list[int], sides: list[Any]) -> None:
            try:
                scores[places] = self._predicted(query, sides)
            except RerankerError as error:
                if len(places) > 1:  # one strange record must not cost the others
                    for place, side in zip(places, sides, strict=True):
                        judge([place], [side])
                    return
                failures.append(error)
                _LOGGER.warning("the reranker failed on %r: %s", records[places[0]].id, error)

        shown = [p for p, record in enumerate(records) if by_picture and record.image is not None]
        with workers("unisem-decode") as pool:
            for batch in self._batches(shown):
                opened = list(pool.map(self._opened, [records[place] for place in batch]))
                seen = {p: picture for p, picture in zip(batch, opened, strict=True) if picture}
                judge(list(seen), [self._side(words_of(records[p]), seen[p]) for p in seen])
        unread = [p for p, record in enumerate(records) if np.isnan(scores[p]) and words_of(record)]
        unread.sort(key=lambda p: len(records[p].text or ""))  # little padding: equals sit together
        for batch in self._batches(unread if by_text else []):
            judge(batch, [self._side(records[place].text or "") for place in batch])
        return scores, failures

    def _opened(self, record: Record) -> Image.Image | None:
        assert record.image is not None
        try:
            return self._open(record.image)
        except ImageError as error:
            _LOGGER.warning(
                "the picture of %r cannot be used, %s: %s",
                record.id,
                "its caption is judged" if words_of(record) else "it is not judged",
                error,
            )
            return None

    def _open(self, image: ImageRef) -> Image.Image:
        picture = image.open(min_side=self._image_side)
        if max(picture.size) > self._image_side:
            picture.thumbnail((self._image_side, self._image_side), Image.Resampling.LANCZOS)
        return picture

    def _batches(self, places: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(places), self._batch_size):
            yield places[start : start + self._batch_size]

    def _predicted(self, query: Any, sides: list[Any]) -> NDArray[np.float32]:
        if not sides:
            return np.empty(0, np.float32)
        raw = self._guarded(lambda: self._scores(query, sides))
        scores = np.asarray(raw, np.float32).reshape(-1)
        if not np.isfinite(scores).all():
            remedy = "" if self._dtype == "float32" else '; load it with dtype="float32"'
            raise RerankerError(
                f"the reranker {self.name!r} gave a score that is not finite{remedy}"
            )
        return scores

    def _guarded(self, compute: Callable[[], Any]) -> Any:
        """What the model computes; what it raises is an error of the reranker's."""
        _ = self.model  # what is wrong with its files is said first
        try:
            with self._lock:
                return compute()
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise RerankerError(f"the reranker {self.name!r} failed: {error}") from error


def words_of(record: Record) -> str | None:
    """A record's text, ``None`` if there is nothing in it to read."""
    return record.text if record.text and record.text.strip() else None
