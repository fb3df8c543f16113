"""`fitted_to`: a calibration of a store's own records, and `sample_of`, what it is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from unisem.calibration import Calibration, FewWords, Sample, fit_calibration
from unisem.calibration.few_words import few_words_of
from unisem.errors import CalibrationError
from unisem.records import Record, Vector
from unisem.stores.base import Store

MOST = 2048
"""The most texts, and pictures, that are looked at."""
MOST_FEW_WORDS = 1000
"""The most texts of which a few words ask."""
Encode = Callable[[Sequence[str], Literal["query", "document"]], Vector]
"""Makes ``(n, d)`` vectors of texts, as they are asked or as they are stored."""
_AT_ONCE = 256  # records


def fitted_to(
    store: Store,
    encode: Encode,
    fingerprint: str,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Fit a calibration to a store's own records; see `sample_of` and `fit_calibration`."""
    sample = sample_of(store, encode, seed=seed, progress=progress)
    return fit_calibration(sample, fingerprint=fingerprint, seed=seed)


def sample_of(
    store: Store,
    encode: Encode,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Sample:
    """Draw texts and pictures; at least half of them captioned pictures, if there are so many.

    A picture and its caption belong together, and so do records of the same words or of the same
    picture, byte for byte.

    Args:
        store: Whose records.
        encode: Makes vectors of texts.
        seed: Decides what is drawn.
        progress: Called with (records done, records in all).

    Raises:
        CalibrationError: No text, or no picture.
    """
    ids: dict[tuple[bool, bool], list[str]] = {}
    for record in store.select():
        ids.setdefault((bool(record.text), record.image is not None), []).append(record.id)
    texts, images = ids.get((True, False), []), ids.get((False, True), [])
    captioned = ids.get((True, True), [])
    both = min(len(captioned), max(MOST // 2, MOST - min(len(texts), len(images))))
    rng = np.random.default_rng(seed)
    chosen = [
        names[place]
        for names, count in ((captioned, both), (texts, MOST - both), (images, MOST - both))
        for place in np.sort(rng.permutation(len(names))[:count]).tolist()
    ]
    groups = _Groups()
    rows: dict[str, list[Vector]] = {"asked": [], "text": [], "image": [], "both": []}
    numbers: dict[str, list[int]] = {"text": [], "image": [], "both": []}
    said: list[str] = []
    for start in range(0, len(chosen), _AT_ONCE):
        page = chosen[start : start + _AT_ONCE]
        words: list[str] = []  # of the texts whose vectors are taken
        for found, vectors in zip(store.get(page), store.vectors(page), strict=True):
            if found is None or vectors is None:
                continue  # removed meanwhile
            group = groups.of(found)
            for kind, given in vectors.items():
                if kind == "image" or found.text:
                    rows[kind].append(np.atleast_2d(given)[0])
                    numbers[kind].append(group)
            if "text" in vectors and found.text:
                words.append(found.text)
        if words:
            rows["asked"].append(encode(words, "query"))
            said += words
        if progress is not None:
            progress(min(start + _AT_ONCE, len(chosen)), len(chosen))
    for kind, name in (("text", "text"), ("image", "picture")):
        if not rows[kind]:
            raise CalibrationError(
                f"there is no {name} here; a calibration makes scores of texts and of pictures "
                "comparable, and a space of one kind needs none"
            )
    return Sample(
        texts=np.stack(rows["text"]),
        asked=np.concatenate(rows["asked"]),
        images=np.stack(rows["image"]),
        text_groups=np.array(numbers["text"]),
        image_groups=np.array(numbers["image"]),
        few_words=_few_words(said, encode, rng),
        fused=np.stack(rows["both"]) if rows["both"] else None,
    )


def _few_words(texts: Sequence[str], encode: Encode, rng: np.random.Generator) -> FewWords | None:
    """Queries of a few words of some of the texts; ``None`` if none has enough."""
    words = few_words_of(texts, rng)
    able = [place for place, asked in enumerate(words) if asked is not None]
    drawn = [able[number] for number in np.sort(rng.permutation(len(able))[:MOST_FEW_WORDS])]
    asked = [found for place in drawn if (found := words[place]) is not None]
    return FewWords(encode(asked, "query"), np.array(drawn)) if asked else None


class _Groups:
    """Numbers of what belongs together."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._count = 0

    def of(self, record: Record) -> int:
        keys = [] if record.text is None else [f"text {record.text}"]
        if record.image is not None and record.image.sha256 is not None:
            keys.append(f"image {record.image.sha256}")
        group = next((self._known[key] for key in keys if key in self._known), self._count)
        self._count += group == self._count
        for key in keys:
            self._known.setdefault(key, group)
        return group
