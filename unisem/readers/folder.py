"""`FolderReader`: a folder of pictures with captions, and of texts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from unisem.common.skipped import Skipped
from unisem.errors import RecordError
from unisem.images.reference import ImageRef
from unisem.readers.base import Reader
from unisem.readers.captions import METADATA_FILES, Description, read_metadata, read_sidecar
from unisem.readers.chunks import chunk_text
from unisem.readers.texts import read_text
from unisem.records import Record

PICTURES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
TEXTS = {".txt", ".md"}
_UNSUPPORTED = {".avif", ".heic", ".heif", ".ico", ".jxl", ".psd", ".raw", ".svg", ".eps"}


class FolderReader(Reader):
    """Records of a folder's pictures and texts, subfolders included, in sorted order.

    Ids are the folder's name and the path inside it, ``photos/cats/tom.jpg``; a text that needs
    several chunks gives ``photos/about.md#1``, ``#2`` …, linked as ``previous`` and ``next``.
    Metadata are the columns of the metadata file, and ``file_name``. Hidden files, other spaces
    and links to other folders are passed over; see `unisem.readers.captions` for captions.

    Args:
        folder: The folder.
        chunk_size: Characters a text chunk may have.
        locate: Names a file in ``Record.source_id``; its absolute path by default.

    Raises:
        NotADirectoryError: There is no such folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        chunk_size: int = 1000,
        locate: Callable[[Path], str] = lambda path: path.resolve().as_posix(),
    ) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder")
        self._chunk_size = chunk_size
        self._locate = locate

    def __len__(self) -> int:
        return sum(
            path.suffix.lower() in PICTURES or path.suffix.lower() in TEXTS for path in self._files
        )

    def __iter__(self) -> Iterator[Record | Skipped]:
        described: dict[Path, Description] = {}
        for path in self._files:
            if path.name in METADATA_FILES:
                yield from self._describe(path, described)
        stems = {path.with_suffix("") for path in self._files if path.suffix.lower() in PICTURES}
        for path in self._files:
            suffix = path.suffix.lower()
            if suffix in PICTURES:
                yield self._picture(path, described.get(path))
            elif suffix in TEXTS and not (suffix == ".txt" and path.with_suffix("") in stems):
                yield from self._text(path)
            elif suffix in _UNSUPPORTED:
                yield Skipped(str(path), f"{suffix} is not supported; convert it to PNG or JPEG")

    @cached_property
    def _files(self) -> list[Path]:
        found: list[Path] = []
        for folder, subfolders, names in os.walk(self.folder):
            here = Path(folder)
            subfolders[:] = sorted(
                name
                for name in subfolders
                if not name.startswith(".") and not (here / name / "catalog.sqlite").exists()
            )
            found += [here / name for name in sorted(names) if not name.startswith(".")]
        return found

    def _describe(self, path: Path, described: dict[Path, Description]) -> Iterator[Skipped]:
        known = set(self._files)
        for entry in read_metadata(path, self.folder):
            if isinstance(entry, Skipped):
                yield entry
                continue
            name, description = entry
            picture = Path(os.path.normpath(path.parent / name))
            if not picture.is_relative_to(self.folder):
                yield Skipped(f"{path}: {name}", "leads outside the folder")
            elif picture not in known:
                yield Skipped(f"{path}: {name}", "is listed but does not exist")
            elif picture in described:
                yield Skipped(f"{path}: {name}", "is described twice; the first line counts")
            else:
                described[picture] = description

    def _picture(self, path: Path, description: Description | None) -> Record | Skipped:
        description = description or Description(None)
        name = path.relative_to(self.folder).as_posix()
        try:
            return Record(
                id=f"{self.folder.name}/{name}",
                text=description.caption or read_sidecar(path, self.folder) or None,
                image=ImageRef(path=path, root=self.folder),
                metadata={"file_name": name} | description.metadata,
                source_id=self._locate(path),
            )
        except RecordError as error:
            return Skipped(str(path), str(error))

    def _text(self, path: Path) -> Iterator[Record | Skipped]:
        try:
            path.name.encode()  # a name that is not Unicode could not be stored
            text = read_text(path, self.folder)
        except ValueError as error:
            yield Skipped(str(path), f"cannot be read as UTF-8 text: {error}")
            return
        chunks = chunk_text(text, self._chunk_size)
        if not chunks:
            yield Skipped(str(path), "is empty")
        name = path.relative_to(self.folder).as_posix()
        base = f"{self.folder.name}/{name}"
        ids = [f"{base}#{n}" for n in range(1, len(chunks) + 1)] if len(chunks) > 1 else [base]
        for position, chunk in enumerate(chunks):
            links: dict[str, str] = {}
            if position > 0:
                links["previous"] = ids[position - 1]
            if position + 1 < len(ids):
                links["next"] = ids[position + 1]
            yield Record(
                id=ids[position],
                text=chunk,
                metadata={"file_name": name},
                source_id=self._locate(path),
                links=links,
            )
