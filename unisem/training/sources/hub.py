"""Pairs of a Hugging Face ``datasets.Dataset``.

Pictures are taken as the bytes that the dataset carries and put down as files. A dataset that
carries paths or URLs instead is refused: the library would open or fetch what they name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unisem.errors import ImageError, TrainingError
from unisem.readers.base import Skipped
from unisem.training.pairs import Pair, PairDataset
from unisem.training.sources.unpacking import Unpacked


def read_dataset(dataset: Any, unpack_to: Path, image: str, caption: str) -> PairDataset:
    """Read a dataset's rows.

    Args:
        dataset: A ``datasets.Dataset`` (one split) with an ``Image`` column.
        unpack_to: The folder for its pictures.
        image: The name of the picture column.
        caption: The name of the caption column; strings, or lists of strings.

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
    rows = dataset.select_columns([image, caption]).cast_column(image, Image(decode=False))
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    for number, row in enumerate(rows):
        found = _pairs_of(row[image], row[caption], f"row {number}", unpacked)
        if isinstance(found, str):
            skipped.append(Skipped(f"row {number}", found))
        else:
            pairs += found
    return PairDataset(tuple(pairs), tuple(skipped))


def _pairs_of(picture: Any, captions: Any, name: str, unpacked: Unpacked) -> list[Pair] | str:
    data = picture.get("bytes") if isinstance(picture, dict) else None
    if not isinstance(data, bytes):
        return "its picture is not carried as bytes; read a folder or a table instead"
    if isinstance(captions, str):
        captions = [captions]
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        return "its caption must be a string or a list of strings"
    try:
        image = unpacked.add(data, name)
    except ImageError as error:
        return error.reason
    return [Pair(image, caption, name) for caption in captions]
