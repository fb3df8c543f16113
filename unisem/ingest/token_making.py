"""`TokenMaker`: what a reranker needs of a space's records, made once and kept in the space."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from numpy.typing import NDArray
from PIL import Image

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.owned import is_own_file
from unisem.common.skipped import Skipped
from unisem.common.threads import workers
from unisem.encoders.base import Encoder
from unisem.errors import ImageError, RerankerError
from unisem.images.reference import ImageRef
from unisem.rerank.base import Reranker
from unisem.rerank.token_reranker import TokenReranker
from unisem.rerank.token_store import TokenStore, damaged_rows
from unisem.stores import Store
from unisem.stores.maintenance import Finding
from unisem.stores.selection import Selection

_AT_ONCE = 32  # pictures or texts whose tokens are stored by one transaction
_LOGGER = logging.getLogger(__name__)
_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class TokenReport:
    """What became of a space's pictures and texts.

    Attributes:
        made: Pictures whose tokens were made now.
        present: Pictures that had theirs already.
        texts_made: Texts whose tokens were made now; of a reranker that keeps such.
        texts_present: Texts that had theirs already.
        dropped: Pictures and texts that are in the space no more, whose tokens are gone now, too.
        skipped: What cannot be used, with reasons; a search judges it by what it can.
    """

    made: int = 0
    present: int = 0
    texts_made: int = 0
    texts_present: int = 0
    dropped: int = 0
    skipped: tuple[Skipped, ...] = ()


class TokenMaker:
    """Makes a reranker's tokens of pictures and texts, and keeps them in a space's directory.

    `Intake` has it make those of what is added; `fill` makes what a space lacks. Threads may share
    one.

    Args:
        reranker: A `TokenReranker`: a `CrossModalReranker`, which has tokens of pictures, or a
            `LateInteractionReranker`, which has those of texts, too.
        directory: The space's.

    Raises:
        RerankerError: There is no directory, the reranker has no tokens or too large ones, or it
            does not load.
    """

    def __init__(self, reranker: Reranker, directory: Path | None) -> None:
        if directory is None:
            raise RerankerError(
                "tokens are kept in a space's directory, and this one has none; of a space that a "
                "service keeps they are made where it lies, by `unisem tokens`"
            )
        if not isinstance(reranker, TokenReranker):
            raise RerankerError(
                f"the reranker {reranker.name!r} keeps no tokens; those of "
                "`unisem train-reranker` and late-interaction models do"
            )
        self._reranker = reranker
        self._directory = directory
        _ = self._tokens

    @property
    def _tokens(self) -> TokenStore[Any]:
        """Where tokens are, in the form that they have there now."""
        return self._reranker.tokens_in(self._directory)

    @classmethod
    def of(cls, reranker: str | Reranker, directory: Path | None, encoder: Encoder) -> Self:
        """The same of a reranker or its name; it shares an encoder, if it was trained with that.

        Raises:
            RerankerError: As of a `TokenMaker`, or the space has tokens that are pooled otherwise.
        """
        from unisem.rerank.loading import load_reranker

        made = cls(load_reranker(reranker, encoder=encoder), directory)
        made._tokens.check_form()
        return made

    def prepared(
        self, image: ImageRef, data: bytes, pixels: Image.Image | None, encoder: Encoder | None
    ) -> Image.Image | None:
        """One picture as `keep` takes it; ``None`` if it has its tokens or cannot be used.

        Args:
            image: The picture, inspected.
            data: Its bytes.
            pixels: What an encoder made of them, if it did; used again if it is the reranker's.
            encoder: That encoder.
        """
        if not self._reranker.keeps_images:
            return None
        if pixels is not None and encoder is self._reranker.shared_encoder:
            return pixels
        if self._tokens.read([image.sha256 or ""]):
            return None
        try:
            return self._reranker.prepare_image(data)
        except ImageError as error:  # its record may be found by other vectors
            _LOGGER.warning("no tokens are made of the picture %s", error.named(image.name))
            return None

    def keep(self, prepared: Mapping[str, Image.Image], texts: Iterable[str | None] = ()) -> None:
        """Make and keep the tokens of pictures, by digest, and of texts that lack them.

        What the model fails on is named in the log, and has none.

        Raises:
            RerankerError: The reranker does not load, or the disk refused; none is kept.
        """
        lacking = self._lacking(prepared)
        self._keep({it: prepared[it] for it in lacking}, self._reranker.tokens_of_prepared)
        keyed = self._keyed(texts)
        lacking = self._lacking(keyed)
        self._keep({it: keyed[it] for it in lacking}, self._reranker.tokens_of_texts)

    def fill(
        self, store: Store, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenReport:
        """Make the tokens of all that has none or damaged ones; drop those of others.

        Batches are kept one by one: an interruption costs the last one, and the same call goes on.
        Tokens that are pooled otherwise than the reranker was told are dropped before.

        Args:
            store: Keeps the records.
            progress: Called with (pictures and texts done, pictures and texts in all).

        Raises:
            RerankerError: As `keep`; earlier batches are kept.
        """
        self._tokens.drop_other_forms()
        images: dict[str, ImageRef] = {}  # copies of a picture once
        if self._reranker.keeps_images:
            for record in store.select(Selection(modality="image")):
                if record.image is not None and record.image.sha256 is not None:
                    images.setdefault(record.image.sha256, record.image)
        owners: dict[str, str] = {}  # of each text a record that has it
        if self._reranker.text_key("a") is not None:
            for record in store.select():
                if (key := self._reranker.text_key(record.text)) is not None:
                    owners.setdefault(key, record.id)
        count = len(images) + len(owners)

        def told(done: int) -> None:
            if progress is not None:
                progress(done, count)

        made, present, skipped = self._fill_images(images, told)
        texts = self._fill_texts(store, owners, lambda done: told(len(images) + done))
        dropped = self._tokens.keep_only(images.keys() | owners.keys())
        return TokenReport(made, present, texts[0], texts[1], dropped, (*skipped, *texts[2]))

    def _fill_images(
        self, images: Mapping[str, ImageRef], told: Callable[[int], None]
    ) -> tuple[int, int, list[Skipped]]:
        made = present = 0
        skipped: list[Skipped] = []

        def opened(image: ImageRef) -> Image.Image | ImageError:
            try:
                return self._reranker.prepare_image(_unchanged(image))
            except ImageError as error:
                return error.named(image.name)

        with workers("unisem-decode") as pool:
            for batch in _batches(list(images), told):
                new = self._lacking(batch)
                found = dict(zip(new, pool.map(opened, [images[it] for it in new]), strict=True))
                usable = {
                    it: image for it, image in found.items() if isinstance(image, Image.Image)
                }
                failed = self._keep(usable, self._reranker.tokens_of_prepared)
                present += len(batch) - len(new)
                made += len(usable) - len(failed)
                skipped += [Skipped.of(it) for it in found.values() if isinstance(it, ImageError)]
                skipped += [Skipped(images[it].name, why) for it, why in failed.items()]
        return made, present, skipped

    def _fill_texts(
        self, store: Store, owners: Mapping[str, str], told: Callable[[int], None]
    ) -> tuple[int, int, list[Skipped]]:
        made = present = 0
        skipped: list[Skipped] = []
        for batch in _batches(list(owners), told):
            new = self._lacking(batch)
            records = store.get([owners[key] for key in new])
            keyed = self._keyed([record.text for record in records if record is not None])
            usable = {key: keyed[key] for key in new if key in keyed}  # not what changed just now
            failed = self._keep(usable, self._reranker.tokens_of_texts)
            present += len(batch) - len(new)
            made += len(usable) - len(failed)
            skipped += [Skipped(owners[key], why) for key, why in failed.items()]
        return made, present, skipped

    def _lacking(self, keys: Collection[str]) -> list[str]:
        present = self._tokens.read(keys)
        return [key for key in keys if key not in present]

    def _keyed(self, texts: Iterable[str | None]) -> dict[str, str]:
        keyed = ((self._reranker.text_key(text), text) for text in texts)
        return {key: text for key, text in keyed if key is not None and text is not None}

    def _keep(
        self, things: Mapping[str, _Thing], make: Callable[[list[_Thing]], Iterable[NDArray[Any]]]
    ) -> dict[str, str]:
        """Make and keep the tokens of things by key; why some have none."""
        if not things:
            return {}
        self._reranker.load()
        tokens, failed = self._tokens, {}
        packed = tokens.form.packed
        try:
            made = make(list(things.values()))
            contents = {key: packed(it) for key, it in zip(things, made, strict=True)}
        except RerankerError:  # one strange thing must not cost the others
            contents = {}
            for key, thing in things.items():
                try:
                    (made_alone,) = make([thing])
                    contents[key] = packed(made_alone)
                except RerankerError as error:
                    _LOGGER.warning("no tokens are kept of %s: %s", key, error)
                    failed[key] = str(error)
        tokens.write(contents)
        return failed


def check_tokens(directory: Path) -> Iterator[Finding]:
    """Look for damage in the tokens that a space's directory has; nothing is changed."""
    remedy = "`unisem tokens` makes them anew, and searches look at records until then"
    for path in sorted(directory.glob("tokens-*.sqlite")):
        if not is_own_file(path):
            yield Finding("tokens", True, f"{path.name} is a link or no file, and not used")
            continue
        try:
            damaged = damaged_rows(path)
        except sqlite3.Error as error:
            yield Finding("tokens", True, f"{path.name} cannot be read ({error}); {remedy}")
        else:
            if damaged:
                text = f"{path.name}: those of {damaged:,} pictures or texts are damaged; {remedy}"
                yield Finding("tokens", True, text)


def _batches(keys: Sequence[str], told: Callable[[int], None]) -> Iterator[Sequence[str]]:
    """Keys, as many at once as are stored by one transaction; says how many are done."""
    for start in range(0, len(keys), _AT_ONCE):
        raise_if_interrupted()
        batch = keys[start : start + _AT_ONCE]
        yield batch
        told(start + len(batch))


def _unchanged(image: ImageRef) -> bytes:
    """A picture's bytes, if they are those that were added.

    Raises:
        ImageError: They cannot be read, or are others.
    """
    content = image.read_bytes()
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise ImageError(image.name, "has changed since it was added; add its record again")
    return content
