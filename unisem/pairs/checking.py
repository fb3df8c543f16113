"""`check_pairs`: every picture opened, every text looked at, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from unisem.common.skipped import Skipped
from unisem.errors import ImageError
from unisem.images.decoding import decode_image
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import PairDataset, caption_key
from unisem.pairs.input import Input
from unisem.pairs.pair import Pair

Content = tuple[str | None, str | None]  # a text's key, a picture's digest
_OPENERS = 4  # threads; Pillow lets go of the interpreter while it decodes
_MIN_SIDE = 32  # enough to notice a truncated JPEG, at an eighth of the cost of decoding it


@dataclass(frozen=True, slots=True)
class PairReport:
    """What was found in a dataset.

    Attributes:
        pairs: Pairs that were read.
        usable: Pairs that can be trained on.
        kinds: How many of the usable pairs are of each kind.
        images: Distinct pictures of the usable pairs' two sides, by content.
        captions: Distinct texts there, captions for the most part.
        negatives: Given negatives of the usable pairs.
        unread: Inputs that gave no pair.
        missing: Pictures that do not exist.
        broken: Pictures that exist and cannot be used.
        empty_captions: Pairs of which one side has an empty text and no picture.
        repeated: Pairs that are there again: the same content on both sides.
        shared_captions: Queries, captions for the most part, that have several documents; their
            pairs are no negatives of each other.
        copies: Picture files whose content is another's.
        refuted: Given negatives that a pair has as right for the same query; they are left out.
    """

    pairs: int
    usable: int
    kinds: dict[str, int]
    images: int
    captions: int
    negatives: int
    unread: tuple[Skipped, ...]
    missing: tuple[Skipped, ...]
    broken: tuple[Skipped, ...]
    empty_captions: int
    repeated: int
    shared_captions: int
    copies: int
    refuted: int


@dataclass(frozen=True, slots=True)
class CheckedPairs:
    """The usable pairs, their pictures' digests filled in, and the report."""

    dataset: PairDataset
    report: PairReport


def check_pairs(
    dataset: PairDataset, *, progress: Callable[[int, int], None] | None = None
) -> CheckedPairs:
    """Open every picture once and leave out the pairs that cannot be trained on.

    A negative that cannot be used costs itself alone.

    Args:
        dataset: The pairs as read. Those that are not valid Unicode (lone surrogates, from JSON or
            from file names) count as not read, since no model can read them.
        progress: Called with pictures done and pictures in all.

    Returns:
        Pairs whose `ImageRef` carries the content's SHA-256, and what was left out.
    """
    dataset, count = _unicode_only(dataset), len(dataset)
    opened, missing, broken = _open_all(dataset, progress)
    empty = 0
    usable: list[Pair] = []
    seen: set[tuple[Content, Content]] = set()
    repeated = 0
    for pair in dataset:
        query, document = _usable(pair.query, opened), _usable(pair.document, opened)
        if query is None or document is None:
            empty += _is_empty(pair.query) or _is_empty(pair.document)
            continue
        if (key := (_content(query), _content(document))) in seen:
            repeated += 1
            continue
        seen.add(key)
        negatives = (_usable(one, opened) for one in pair.negatives)
        usable.append(Pair(query, document, tuple(one for one in negatives if one is not None)))
    right: dict[Content, set[Content]] = {}
    for asked, found in seen:
        right.setdefault(asked, set()).add(found)
    given = sum(len(pair.negatives) for pair in usable)
    usable = [_without_right_ones(pair, right[_content(pair.query)]) for pair in usable]
    kept = sum(len(pair.negatives) for pair in usable)
    texts, pictures = (
        {side[part] for pair in seen for side in pair if side[part] is not None} for part in (0, 1)
    )
    checked = PairDataset(tuple(usable))
    report = PairReport(
        pairs=count,
        usable=len(usable),
        kinds=checked.kinds,
        images=len(pictures),
        captions=len(texts),
        negatives=kept,
        unread=dataset.skipped,
        missing=tuple(missing),
        broken=tuple(broken),
        empty_captions=empty,
        repeated=repeated,
        shared_captions=sum(len(found) > 1 for found in right.values()),
        copies=len(opened) - len({image.sha256 for image in opened.values()}),
        refuted=given - kept,
    )
    return CheckedPairs(checked, report)


def _open_all(
    dataset: PairDataset, progress: Callable[[int, int], None] | None
) -> tuple[dict[ImageRef, ImageRef], list[Skipped], list[Skipped]]:
    """The pictures that can be used, as given; those that do not exist; those that are broken."""
    references = dict.fromkeys(
        one.image for pair in dataset for one in pair.inputs if one.image is not None
    )
    opened: dict[ImageRef, ImageRef] = {}
    missing: list[Skipped] = []
    broken: list[Skipped] = []
    with ThreadPoolExecutor(_OPENERS, "unisem-check") as pool:
        results = pool.map(_opened, references)
        for done, (picture, result) in enumerate(zip(references, results, strict=True), start=1):
            if isinstance(result, ImageRef):
                opened[picture] = result
            else:
                kind = missing if result.summary == "does not exist" else broken
                kind.append(Skipped(result.name, result.reason))
            if progress is not None:
                progress(done, len(references))
    return opened, missing, broken


def _usable(one: Input, opened: dict[ImageRef, ImageRef]) -> Input | None:
    """An input as it is trained on; ``None`` if it is empty, or its picture is not usable."""
    text = (one.text or "").strip() or None
    if one.image is None:
        return None if text is None else Input(text)
    image = opened.get(one.image)
    return None if image is None else Input(text, image, one.image_id)


def _is_empty(one: Input) -> bool:
    return one.image is None and not (one.text or "").strip()


def _content(one: Input) -> Content:
    return (
        None if one.text is None else caption_key(one.text),
        None if one.image is None else one.image.sha256,
    )


def _without_right_ones(pair: Pair, right: set[Content]) -> Pair:
    """A pair without negatives that are its query, or right for it, and with each of them once."""
    left = {_content(one): one for one in pair.negatives}
    wrong = [one for key, one in left.items() if key not in right and key != _content(pair.query)]
    return replace(pair, negatives=tuple(wrong))


def _unicode_only(dataset: PairDataset) -> PairDataset:
    kept, skipped = [], []
    for pair in dataset:
        try:
            for one in pair.inputs:
                f"{one.text}{one.image_id}".encode()
        except UnicodeEncodeError as error:
            skipped.append(Skipped(pair.document.name, f"is not valid Unicode ({error.reason})"))
        else:
            kept.append(pair)
    return PairDataset(tuple(kept), (*dataset.skipped, *skipped)) if skipped else dataset


def _opened(image: ImageRef) -> ImageRef | ImageError:
    try:
        data = image.read_bytes()
        inspected = image.inspected(data)
        decode_image(data, image.name, min_side=_MIN_SIDE)
    except ImageError as error:
        return error.named(image.name)
    return inspected
