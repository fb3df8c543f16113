"""`make_tokens`: what a reranker needs of a space's pictures, made once and kept in the space."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from unisem.common.interrupts import raise_if_interrupted
from unisem.common.skipped import Skipped
from unisem.common.threads import workers
from unisem.errors import ImageError, RerankerError
from unisem.images.reference import ImageRef
from unisem.rerank.base import Reranker
from unisem.rerank.cross_modal.reranker import CrossModalReranker
from unisem.rerank.token_store import TokenStore
from unisem.stores import Store
from unisem.stores.selection import Selection

_AT_ONCE = 32  # pictures whose tokens are stored by one transaction


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


def make_tokens(
    store: Store,
    reranker: Reranker,
    directory: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> TokenReport:
    """Make and keep the tokens of every picture that has none or damaged ones.

    Batches are stored one by one: an interruption costs the last one, and the same call goes on.

    Args:
        store: Keeps the records.
        reranker: A `CrossModalReranker`.
        directory: The space's.
        progress: Called with (pictures done, pictures in all).

    Raises:
        RerankerError: The reranker has no tokens, does not load, or the disk refused; earlier
            batches are kept.
    """
    if not isinstance(reranker, CrossModalReranker):
        raise RerankerError(
            f"the reranker {reranker.name!r} keeps no tokens of pictures; those of "
            "`unisem train-reranker` do"
        )
    tokens = TokenStore(directory, reranker.fingerprint, reranker.token_shape)
    images: dict[str, ImageRef] = {}  # copies of a picture once
    for record in store.select(Selection(modality="image")):
        if record.image is not None and record.image.sha256 is not None:
            images.setdefault(record.image.sha256, record.image)
    digests, made = list(images), 0
    skipped: list[Skipped] = []

    def opened(image: ImageRef) -> Image.Image | ImageError:
        try:
            return reranker.prepare_image(_unchanged(image))
        except ImageError as error:
            return error

    with workers("unisem-decode") as pool:
        for start in range(0, len(images), _AT_ONCE):
            raise_if_interrupted()
            batch = digests[start : start + _AT_ONCE]
            present = tokens.read(batch)
            new = [digest for digest in batch if digest not in present]
            prepared = dict(zip(new, pool.map(opened, [images[it] for it in new]), strict=True))
            whole = {it: image for it, image in prepared.items() if isinstance(image, Image.Image)}
            if whole:
                rows = reranker.tokens_of_prepared(list(whole.values()))
                tokens.write(dict(zip(whole, rows, strict=True)))
            made += len(whole)
            skipped += [Skipped.of(it) for it in prepared.values() if isinstance(it, ImageError)]
            if progress is not None:
                progress(start + len(batch), len(images))
    dropped = tokens.keep_only(images)
    return TokenReport(made, len(images) - made - len(skipped), dropped, tuple(skipped))


def _unchanged(image: ImageRef) -> bytes:
    """A picture's bytes, if they are those that were added.

    Raises:
        ImageError: They cannot be read, or are others.
    """
    content = image.read_bytes()
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise ImageError(image.name, "has changed since it was added; add its record again")
    return content
