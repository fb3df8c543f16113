"""Pairs of a folder of pictures with captions, in the conventions of `FolderReader`."""

from __future__ import annotations

from pathlib import Path

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.pairs.pair import Pair, ReadPairs
from unisem.readers.documents.document import Document
from unisem.readers.folder import FolderReader


def read_folder(folder: Path) -> ReadPairs:
    """Read the pictures of a folder that have a caption; texts beside them are passed over.

    Args:
        folder: The folder; captions as in `unisem.readers.captions`.

    Raises:
        TrainingError: There is no such folder.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder")
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    reader = FolderReader(folder, documents=False)
    for item in reader:
        if isinstance(item, Skipped):
            skipped.append(item)
        elif not isinstance(item, Document) and item.image is not None:
            if item.text is None:
                skipped.append(Skipped(item.image.name, "has no caption"))
            else:
                pairs.append(Pair.of(item.image, item.text, item.id))
    return tuple(pairs), (*skipped, *reader.unread())
