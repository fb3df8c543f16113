"""`save` and `find`: a store's files where LlamaIndex's storage contexts look for them.

``{namespace}__vector_store.json`` is the marker. LlamaIndex's own loader takes any JSON object for
a store, an empty one if nothing in it is known. The marker therefore has, where that loader expects
the numbers of a vector, a sentence that says what to load it with: the loader fails on it with a
``ValueError`` that quotes the sentence. The marker names the directory beside it that holds the
records. That directory is new each time, and the marker is replaced in one step, so that whoever
loads finds the old state or the new one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from llama_index.core.vector_stores.types import DEFAULT_PERSIST_FNAME

from llama_index_unisem.vector_stores.open_stores import OpenStore
from unisem.common.atomic_files import publish
from unisem.common.scratch import ScratchFolder
from unisem.errors import CorruptStoreError, ImageError, StoreLockedError
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.records import EmbeddedRecord, Record
from unisem.stores.registry import DEFAULT, kind_at, kind_named

_log = logging.getLogger(__name__)

_BATCH = 1000
_FORMAT = 1
_KEY = "unisem_vector_store"
_MOST_NAME = 100
_NAMESPACE = re.compile(rf"(?!\.)[^/\\:\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{_MOST_NAME}}}")
_COPY = re.compile(r".*\.[0-9a-f]{8}\.unisem", re.DOTALL)  # as `save` names them
_MARKER_BYTES = 4096  # another store's file may be large, and is not read whole
_NOTE = (
    "This is a UniSemVectorStore and no SimpleVectorStore. Load it with "
    "llama_index_unisem.UniSemVectorStore.from_persist_dir and hand it to the StorageContext: "
    "StorageContext.from_defaults(persist_dir=..., vector_store=...)"
)


def file_of(namespace: str) -> str:
    """The name of a namespace's marker.

    Raises:
        ValueError: The namespace could lead out of the directory that it is looked for in.
    """
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise ValueError(
            f"a namespace is a name of at most {_MOST_NAME} characters without path separators, "
            f"colons, control characters or a leading dot, not {namespace!r:.80}"
        )
    return f"{namespace}__{DEFAULT_PERSIST_FNAME}"


def save(opened: OpenStore, path: str, fs: fsspec.AbstractFileSystem | None) -> None:
    """Write a copy of a store, pictures that came as bytes included.

    Raises:
        StoreLockedError: A process is writing to the store that would be replaced.
    """
    files, path = _local(path, fs)
    folder = files._parent(path)
    old = _directory(path, files) if files.exists(path) else None
    if isinstance(files, LocalFileSystem):
        if old is not None and opened.place == Path(old).resolve():
            return  # it lives there
        if old is not None:
            _check_unwritten(Path(old))
    files.makedirs(folder, exist_ok=True)
    stem = path.rsplit("/", 1)[-1].removesuffix(".json")
    name = f"{stem}.{uuid4().hex[:8]}.unisem"
    target = f"{folder}/{name}"
    if isinstance(files, LocalFileSystem):
        _copy(opened, Path(target))
    else:
        with TemporaryDirectory(prefix="unisem-") as scratch:
            _copy(opened, Path(scratch) / name)
            for file in sorted((Path(scratch) / name).rglob("*")):
                if file.is_file():
                    place = f"{target}/{file.relative_to(Path(scratch) / name).as_posix()}"
                    files.makedirs(files._parent(place), exist_ok=True)
                    files.put_file(str(file), place)
    _mark(path, name, files)
    # A marker may be a stranger's, and name a folder that is the user's own: that stays.
    if old is not None and _COPY.fullmatch(old.rsplit("/", 1)[-1]) and files.exists(old):
        files.rm(old, recursive=True)


def find(path: str, fs: fsspec.AbstractFileSystem | None) -> tuple[Path, ScratchFolder | None]:
    """Find a saved store's directory; one that is not on this machine is copied here.

    Returns:
        The directory and, of another file system, the temporary one that holds it, which must
        live as long as the store is in use.

    Raises:
        ValueError: There is nothing, or another store's file.
    """
    files, path = _local(path, fs)
    if not files.exists(path):
        raise ValueError(f"no UniSemVectorStore at {path}")
    directory = _directory(path, files)
    if directory is None:
        raise ValueError(
            f"{path} was not written by UniSemVectorStore; load it with the class that wrote it, "
            "for example SimpleVectorStore"
        )
    if not files.exists(directory):
        raise CorruptStoreError(f"{path} names {directory}, which is missing; restore both")
    if isinstance(files, LocalFileSystem):
        if Path(directory).is_symlink():
            raise CorruptStoreError(f"{directory} is a link; name the directory that it leads to")
        return Path(directory), None
    scratch = ScratchFolder()
    copy = scratch.path / "store"
    for file in files.find(directory):
        place = copy / file[len(directory) :].lstrip("/")
        if ".." in place.parts:
            raise CorruptStoreError(f"{file} would leave the directory that it is copied to")
        place.parent.mkdir(parents=True, exist_ok=True)
        files.get_file(file, str(place))
    return copy, scratch


def saved_namespaces(directory: str, fs: fsspec.AbstractFileSystem | None) -> list[str]:
    """The namespaces of the stores that were persisted in a directory, in order.

    Raises:
        ValueError: There is none.
    """
    files, directory = _local(directory, fs)
    ending = f"__{DEFAULT_PERSIST_FNAME}"
    names = files.ls(directory, detail=False) if files.isdir(directory) else []
    found = sorted(
        name.rsplit("/", 1)[-1].removesuffix(ending) for name in names if name.endswith(ending)
    )
    if not found:
        raise ValueError(f"no UniSemVectorStore in {directory}")
    return found


def _local(
    path: str, fs: fsspec.AbstractFileSystem | None
) -> tuple[fsspec.AbstractFileSystem, str]:
    files = fsspec.filesystem("file") if fs is None else fs
    if isinstance(files, LocalFileSystem):
        path = os.path.abspath(os.path.expanduser(path))
    return files, files._strip_protocol(path)


def _directory(path: str, files: fsspec.AbstractFileSystem) -> str | None:
    """The directory that a marker names; ``None`` if the file is no marker of ours.

    Raises:
        CorruptStoreError: A marker of a newer version.
    """
    with files.open(path, "rb") as file:
        text = file.read(_MARKER_BYTES + 1)
    try:
        facts = json.loads(text)[_KEY]
        name, version = facts["directory"], facts["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if version != _FORMAT:
        raise CorruptStoreError(
            f"{path} has format {version!r}; this version of unisem reads format {_FORMAT}"
        )
    if not isinstance(name, str) or "/" in name or "\\" in name or name.startswith("."):
        return None  # nothing outside the folder is opened or removed
    return f"{files._parent(path)}/{name}"


def _mark(path: str, name: str, files: fsspec.AbstractFileSystem) -> None:
    facts = {"directory": name, "format": _FORMAT}
    text = json.dumps({_KEY: facts, "embedding_dict": {"note": [_NOTE]}}, indent=1)
    if not isinstance(files, LocalFileSystem):
        files.pipe_file(path, text.encode())
        return
    temporary = Path(f"{path}.{uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, Path(path))
    finally:
        temporary.unlink(missing_ok=True)


def _check_unwritten(directory: Path) -> None:
    kind = kind_at(directory)
    writer = None if kind is None else kind.maintenance(directory, ImageLibrary(directory)).writer()
    if writer is not None:
        raise StoreLockedError(
            f"{directory} is being written by {writer}, and would be replaced; close that store "
            "first, or persist to another path"
        )


def _copy(opened: OpenStore, target: Path) -> None:
    image_library = ImageLibrary(target)
    try:
        store = kind_named(DEFAULT)().open(target, image_library)
        try:
            for items in _batches(opened):
                store.add([_settled(item, image_library) for item in items])
        finally:
            store.close()
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def contents_of(opened: OpenStore) -> list[EmbeddedRecord]:
    """All that a store holds, pictures that came as bytes as bytes, for `fill`."""
    return [item for items in _batches(opened) for item in items]


def fill(opened: OpenStore, items: Sequence[EmbeddedRecord]) -> None:
    """Add to an empty store what `contents_of` gave."""
    if items:
        opened.store.add([_settled(item, opened.image_library) for item in items])


def _batches(opened: OpenStore) -> Iterator[list[EmbeddedRecord]]:
    rest = opened.store.select()
    while records := list(islice(rest, _BATCH)):
        vectors = opened.store.vectors([record.id for record in records])
        yield [
            EmbeddedRecord(record=_movable(record, opened.image_library), vectors=kinds)
            for record, kinds in zip(records, vectors, strict=True)
            if kinds  # else deleted a moment ago
        ]


def _movable(record: Record, image_library: ImageLibrary) -> Record:
    """A picture that came as bytes goes along as bytes; a file stays where it is."""
    image = record.image
    if image is None or "blob" not in json.loads(image_library.to_json(image)):
        return record
    try:
        return record.with_image(ImageRef(data=image.read_bytes()))
    except ImageError as error:
        _log.warning("the picture of node %r is not copied: %s", record.id, error)
        return record


def _settled(item: EmbeddedRecord, image_library: ImageLibrary) -> EmbeddedRecord:
    image = item.record.image
    if image is None or image.data is None:
        return item
    return replace(item, record=item.record.with_image(image_library.keep(image, image.data)))
