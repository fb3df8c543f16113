"""Pairs of a Hugging Face ``datasets.Dataset``.

Pictures are taken as the bytes that the dataset carries and put down as files. Where it carries
paths instead (``imagefolder`` does), they must lie in a folder that the caller names; the library,
which would open or fetch whatever they say, is not asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unisem.common.skipped import Skipped
from unisem.errors import ImageError, TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs.pair import Pair, ReadPairs
from unisem.pairs.sources.unpacking import Unpacked


def read_dataset(
    dataset: Any, unpack_to: Path, image: str, caption: str, image_root: Path | None = None
) -> ReadPairs:
    """Read a dataset's rows.

    Args:
        dataset: A ``datasets.Dataset`` (one split) with an ``Image`` column.
        unpack_to: The folder for its pictures.
        image: The name of the picture column.
        caption: The name of the caption column; strings, or lists of strings.
        image_root: The folder that pictures which are carried as paths must lie in; such rows are
            skipped if ``None``.

    Raises:
        TrainingError: Not a dataset, or without these columns.
    """
    try:
        from datasets import Dataset, Image  # type: ignore[import-untyped]
    except ImportError:
        raise TrainingError("Hugging Face datasets need pip install 'unisem[train]'") from None
    if not isinstance(dataset, Dataset):
        raise TrainingError(
            f"pass one split as a datasets.Dataset, not {type(dataset).__name__}; "
            "for a DatasetDict that is dataset['train']"
        )
    missing = [name for name in (image, caption) if name not in dataset.column_names]
    if missing:
        raise TrainingError(
            f"the dataset has no column {' or '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, dataset.column_names))}"
        )
    if not isinstance(dataset.features[image], Image):
        raise TrainingError(f"the column {image!r} is not of the type datasets.Image")
    unpacked = Unpacked(unpack_to)
    root = None if image_root is None else image_root.resolve()
    rows = dataset.select_columns([image, caption]).cast_column(image, Image(decode=False))
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    for number, row in enumerate(rows):
        found = _pairs_of(row[image], row[caption], f"row {number}", unpacked, root)
        if isinstance(found, str):
            skipped.append(Skipped(f"row {number}", found))
        else:
            pairs += found
    return tuple(pairs), tuple(skipped)


def _pairs_of(
    picture: Any, captions: Any, name: str, unpacked: Unpacked, root: Path | None
) -> list[Pair] | str:
    if isinstance(captions, str):
        captions = [captions]
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        return "its caption must be a string or a list of strings"
    try:
        image = _image(picture, name, unpacked, root)
    except ImageError as error:
        return error.reason
    return image if isinstance(image, str) else [Pair.of(image, text, name) for text in captions]


def _image(picture: Any, name: str, unpacked: Unpacked, root: Path | None) -> ImageRef | str:
    if not isinstance(picture, dict):
        return "has no picture"
    if isinstance(picture.get("bytes"), bytes):
        return unpacked.add(picture["bytes"], name)
    if not isinstance(picture.get("path"), str):
        return "has no picture"
    if root is None:
        return "its picture is not carried as bytes but as a path; name its folder (image_root)"
    return ImageRef(path=root / picture["path"], root=root)
