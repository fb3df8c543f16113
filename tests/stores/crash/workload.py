"""What a writer does, decided by a seed alone, so that the controller knows it too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.oracle import BruteForce
from unisem import Record
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore
from unisem.stores.faiss.index_settings import KINDS
from unisem.stores.selection import EVERYTHING, Selection

DIMENSION = 8
IDS = tuple("abcdefghijkl")
_COLOURS = 5


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the store.

    Attributes:
        name: ``add``, ``delete``, ``compact`` or ``reopen``.
        items: For ``add``: ids and versions.
        selection: For ``delete``.
        kind: For ``compact``.
    """

    name: str
    items: tuple[tuple[str, int], ...] = ()
    selection: Selection = EVERYTHING
    kind: str = "flat"


def operation(seed: int, number: int) -> Operation:
    """The ``number``-th operation of a workload."""
    rng = np.random.default_rng([seed, number])
    name = rng.choice(["add", "delete", "compact", "reopen"], p=[0.55, 0.2, 0.15, 0.1])
    if name == "add":
        ids = rng.choice(IDS, rng.integers(1, 6))  # with repetition: the last one counts
        items = ((str(record_id), number * 10 + n) for n, record_id in enumerate(ids))
        return Operation("add", items=tuple(items))
    if name == "delete":
        some = tuple(str(record_id) for record_id in rng.choice(IDS, 3))
        selections = (
            Selection(ids=some),
            Selection(ids=some[:1]),
            Selection(source_ids=("s1",)),
            Selection(filter=Field("year") == 2000 + int(rng.integers(6))),
            Selection(modality="image"),
            EVERYTHING,
        )
        chances = [0.4, 0.2, 0.1, 0.15, 0.1, 0.05]
        return Operation("delete", selection=selections[rng.choice(len(selections), p=chances)])
    return Operation(str(name), kind=str(rng.choice([*KINDS, "auto"])))


@cache
def item(record_id: str, version: int) -> EmbeddedRecord:
    """A version of a record; no two versions share a vector, or the word ``v<version>``.

    Every third has a picture, one of a few; every fifth several vectors of its text.
    """
    rng = np.random.default_rng(version)
    rows = rng.standard_normal((4, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pictured = version % 3 == 0
    record = Record(
        id=record_id,
        text=f"common v{version} 東京 of {record_id}",
        image=picture(version % _COLOURS) if pictured else None,
        metadata={"version": version, "year": 2000 + version % 6, "tag": f"t{version}"},
        source_id=(None, "s1", "s2")[version % 3],
        links={"next": record_id},
        payload={"version": [version]},
    )
    text = rows[1:] if version % 5 == 0 else rows[1]
    return EmbeddedRecord(record, {"text": text, "image": rows[0]} if pictured else {"text": text})


@cache
def picture(colour: int) -> bytes:
    """A small PNG."""
    buffer = BytesIO()
    Image.new("RGB", (4, 4), (40 * colour, 100, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


def open_store(directory: Path) -> FaissStore:
    """Open a store whose pictures lie in its own blobs."""
    return FaissStore(directory, ImageLibrary(directory))


def perform(store: FaissStore, directory: Path, task: Operation) -> FaissStore:
    """Do it to a store; return the store to go on with."""
    match task.name:
        case "add":
            image_library = ImageLibrary(directory)
            store.add([kept(item(*named), image_library) for named in task.items])
        case "delete":
            store.delete(task.selection)
        case "compact":
            store.compact(task.kind)  # type: ignore[arg-type]
        case "reopen":
            store.close()
            return open_store(directory)
    return store


def kept(embedded: EmbeddedRecord, image_library: ImageLibrary) -> EmbeddedRecord:
    """The same with its picture written into the space, as `SemanticSpace` does before adding."""
    image = embedded.record.image
    if image is None:
        return embedded
    assert image.data is not None
    record = embedded.record.with_image(image_library.keep(image, image.data))
    return replace(embedded, record=record)


def after(oracle: BruteForce, task: Operation) -> BruteForce:
    """A new oracle that has seen the operation."""
    following = BruteForce()
    following.items = dict(oracle.items)
    if task.name == "add":
        following.add([item(*named) for named in task.items])
    elif task.name == "delete":
        following.delete(task.selection)
    return following


def query(seed: int) -> np.ndarray:
    """A unit query vector, ``(DIMENSION,)`` float32."""
    vector = np.random.default_rng([7, seed]).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)
