"""`check_pairs`: every picture opened, every caption looked at, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from unisem.common.skipped import Skipped
from unisem.errors import ImageError
from unisem.images.decoding import decode_image
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import PairDataset, caption_key

_OPENERS = 4  # threads; Pillow lets go of the interpreter while it decodes
_MIN_SIDE = 32  # enough to notice a truncated JPEG, at an eighth of the cost of decoding it


@dataclass(frozen=True, slots=True)
class PairReport:
    """What was found in a dataset.

    Attributes:
        pairs: Pairs that were read.
        usable: Pairs that can be trained on.
        images: Distinct pictures of the usable pairs, by content.
        captions: Distinct captions of the usable pairs.
        unread: Inputs that gave no pair.
        missing: Pictures that do not exist.
        broken: Pictures that exist and cannot be used.
        empty_captions: Pairs without a caption.
        repeated: Pairs that are there again: same picture by content, same caption.
        shared_captions: Captions that describe several pictures; their pairs are no negatives of
            each other.
        copies: Picture files whose content is another's.
    """

    pairs: int
    usable: int
    images: int
    captions: int
    unread: tuple[Skipped, ...]
    missing: tuple[Skipped, ...]
    broken: tuple[Skipped, ...]
    empty_captions: int
    repeated: int
    shared_captions: int
    copies: int


@dataclass(frozen=True, slots=True)
class CheckedPairs:
    """The usable pairs, their pictures' digests filled in, and the report."""

    dataset: PairDataset
    report: PairReport


def check_pairs(
    dataset: PairDataset, *, progress: Callable[[int, int], None] | None = None
) -> CheckedPairs:
    """Open every picture once and leave out the pairs that cannot be trained on.

    Args:
        dataset: The pairs as read. Those that are not valid Unicode (lone surrogates, from JSON or
            from file names) count as not read, since no model can read them.
        progress: Called with pictures done and pictures in all.

    Returns:
        Pairs whose `ImageRef` carries the content's SHA-256, and what was left out.
    """
    dataset, count = _unicode_only(dataset), len(dataset)
    references = {pair.image_id: pair.image for pair in dataset}
    opened: dict[str, ImageRef] = {}
    missing: list[Skipped] = []
    broken: list[Skipped] = []
    with ThreadPoolExecutor(_OPENERS, "unisem-check") as pool:
        results = pool.map(_opened, references.values())
        for done, (picture, result) in enumerate(zip(references, results, strict=True), start=1):
            if isinstance(result, ImageRef):
                opened[picture] = result
            else:
                kind = missing if result.summary == "does not exist" else broken
                kind.append(Skipped(result.name, result.reason))
            if progress is not None:
                progress(done, len(references))
    empty = repeated = 0
    usable = []
    seen: set[tuple[str | None, str]] = set()
    for pair in dataset:
        key = caption_key(pair.caption)
        image = opened.get(pair.image_id)
        if not key:
            empty += 1
        elif image is not None:
            if (image.sha256, key) in seen:
                repeated += 1
                continue
            seen.add((image.sha256, key))
            usable.append(replace(pair, image=image, caption=pair.caption.strip()))
    images_of: dict[str, set[str | None]] = {}
    for digest, key in seen:
        images_of.setdefault(key, set()).add(digest)
    contents = {image.sha256 for image in opened.values()}
    report = PairReport(
        pairs=count,
        usable=len(usable),
        images=len({digest for digest, _ in seen}),
        captions=len(images_of),
        unread=dataset.skipped,
        missing=tuple(missing),
        broken=tuple(broken),
        empty_captions=empty,
        repeated=repeated,
        shared_captions=sum(len(digests) > 1 for digests in images_of.values()),
        copies=len(opened) - len(contents),
    )
    return CheckedPairs(PairDataset(tuple(usable)), report)


def _unicode_only(dataset: PairDataset) -> PairDataset:
    kept, skipped = [], []
    for pair in dataset:
        try:
            f"{pair.caption}{pair.image_id}".encode()
        except UnicodeEncodeError as error:
            skipped.append(Skipped(pair.image.name, f"is not valid Unicode ({error.reason})"))
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
