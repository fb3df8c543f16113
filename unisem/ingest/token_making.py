"""`TokenMaker`: what a reranker needs of a space's pictures, made once and kept in the space."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.owned import is_own_file
from unisem.common.skipped import Skipped
from unisem.common.threads import workers
from unisem.encoders.base import Encoder
from unisem.errors import ImageError, RerankerError
from unisem.images.reference import ImageRef
from unisem.rerank.base import Reranker
from unisem.rerank.cross_modal.reranker import CrossModalReranker
from unisem.rerank.token_store import TokenStore, damaged_rows
from unisem.stores import Store
from unisem.stores.maintenance import Finding
from unisem.stores.selection import Selection

_AT_ONCE = 32  # pictures whose tokens are stored by one transaction
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenReport:
    """What became of a space's pictures.

    Attributes:
        made: Pictures whose tokens were made now.
        present: Pictures that had theirs already.
        dropped: Pictures that are in the space no more, whose tokens are gone now, too.
        skipped: Pictures that cannot be used, with reasons; a search judges them by what it can.
    """

    made: int = 0
    present: int = 0
    dropped: int = 0
    skipped: tuple[Skipped, ...] = ()


class TokenMaker:
    """Makes a reranker's tokens of pictures, and keeps them in a space's directory.

    `Intake` has it make those of what is added; `fill` makes what a space lacks. Threads may share
    one.

    Args:
        reranker: A `CrossModalReranker`.
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
        if not isinstance(reranker, CrossModalReranker):
            raise RerankerError(
                f"the reranker {reranker.name!r} keeps no tokens of pictures; those of "
                "`unisem train-reranker` do"
            )
        self._reranker = reranker
        self._tokens = TokenStore(directory, reranker.fingerprint, reranker.token_shape)

    @classmethod
    def of(cls, reranker: str | Reranker, directory: Path | None, encoder: Encoder) -> Self:
        """The same of a reranker or its name; it shares an encoder, if it was trained with that."""
        from unisem.rerank.loading import load_reranker

        return cls(load_reranker(reranker, encoder=encoder), directory)

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
        if pixels is not None and encoder is self._reranker.encoder:
            return pixels
        if self._tokens.read([image.sha256 or ""]):
            return None
        try:
            return self._reranker.prepare_image(data)
        except ImageError as error:  # its record may be found by other vectors
            _LOGGER.warning("no tokens are made of the picture %s", error.named(image.name))
            return None

    def keep(self, prepared: Mapping[str, Image.Image]) -> int:
        """Make and keep the tokens of pictures that lack them, by digest; how many those were.

        Raises:
            RerankerError: The reranker does not load, or the disk refused; none is kept.
        """
        present = self._tokens.read(prepared)
        new = {digest: image for digest, image in prepared.items() if digest not in present}
        if new:
            rows = self._reranker.tokens_of_prepared(list(new.values()))
            self._tokens.write(dict(zip(new, rows, strict=True)))
        return len(new)

    def fill(
        self, store: Store, *, progress: Callable[[int, int], None] | None = None
    ) -> TokenReport:
        """Make the tokens of every picture that has none or damaged ones; drop those of others.

        Batches are kept one by one: an interruption costs the last one, and the same call goes on.

        Args:
            store: Keeps the records.
            progress: Called with (pictures done, pictures in all).

        Raises:
            RerankerError: As `keep`; earlier batches are kept.
        """
        images: dict[str, ImageRef] = {}  # copies of a picture once
        for record in store.select(Selection(modality="image")):
            if record.image is not None and record.image.sha256 is not None:
                images.setdefault(record.image.sha256, record.image)
        digests, made = list(images), 0
        skipped: list[Skipped] = []

        def opened(image: ImageRef) -> Image.Image | ImageError:
            try:
                return self._reranker.prepare_image(_unchanged(image))
            except ImageError as error:
                return error.named(image.name)

        with workers("unisem-decode") as pool:
            for start in range(0, len(images), _AT_ONCE):
                raise_if_interrupted()
                batch = digests[start : start + _AT_ONCE]
                present = self._tokens.read(batch)
                new = [digest for digest in batch if digest not in present]
                found = dict(zip(new, pool.map(opened, [images[it] for it in new]), strict=True))
                made += self.keep(
                    {it: image for it, image in found.items() if isinstance(image, Image.Image)}
                )
                skipped += [Skipped.of(it) for it in found.values() if isinstance(it, ImageError)]
                if progress is not None:
                    progress(start + len(batch), len(images))
        dropped = self._tokens.keep_only(images)
        return TokenReport(made, len(images) - made - len(skipped), dropped, tuple(skipped))


def check_tokens(directory: Path) -> Iterator[Finding]:
    """Look for damage in the tokens that a space's directory has; nothing is changed."""
    remedy = "`unisem tokens` makes them anew, and searches look at pictures until then"
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
                text = f"{path.name}: those of {damaged:,} pictures are damaged; {remedy}"
                yield Finding("tokens", True, text)


def _unchanged(image: ImageRef) -> bytes:
    """A picture's bytes, if they are those that were added.

    Raises:
        ImageError: They cannot be read, or are others.
    """
    content = image.read_bytes()
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise ImageError(image.name, "has changed since it was added; add its record again")
    return content
