"""Pictures in folders of classes: ``FOLDER/CLASS/…/picture.jpg``; the class is the caption."""

from __future__ import annotations

from pathlib import Path

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.pairs.pair import Pair, ReadPairs
from unisem.readers.documents.document import Document
from unisem.readers.folder import FolderReader


def read_class_folders(folder: Path) -> ReadPairs:
    """Read every picture below the folders in a folder; captions beside them are passed over.

    Args:
        folder: The folder.

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
            label, below, _ = str(item.metadata.get("file_name", "")).partition("/")
            if below:
                pairs.append(Pair.of(item.image, label, item.id))
            else:
                skipped.append(Skipped(item.image.name, "lies in no folder of a class"))
    return tuple(pairs), (*skipped, *reader.unread())
