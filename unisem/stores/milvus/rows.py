"""A record as rows of Milvus and back.

A record's rows share the start of their primary keys: when their batch was begun, in microseconds,
who wrote it, and the record's place in it. So they are in the order in which records were added,
and the newest of one id comes last. What of a record is longer than a text of Milvus may be goes on
in further rows, its pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

import numpy as np

from unisem.errors import CorruptStoreError
from unisem.images.library import ImageLibrary
from unisem.records import VECTOR_KINDS, EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores.milvus.facts import facts_of
from unisem.stores.milvus.server import MOST_TEXT, Row
from unisem.stores.milvus.words import words_of

BATCH = 22
"""How many characters of a primary key say which batch it is of."""
RECORD = BATCH + 6
"""And which record."""
_FUSED = 1 << 16
"""What a fused vector adds to the number of pictures' vectors: so a collection's fields stay as
they were before there were any."""
_NOTHING: Row = {"pieces": 0, "texts": 0, "images": 0, "facts": [], "ordered": {}, "words": ""}


def key_of(record_id: str) -> str:
    """What stands for an id, which may be any string, of any length."""
    return blake2b(record_id.encode(), digest_size=16).hexdigest()


def own_row(pk: str, role: str, body: str = "") -> Row:
    """A row that is of no record, but of the store itself."""
    return {"pk": pk, "key": "", "role": role, "body": body, **_NOTHING}


def pieces_of(pk: str, role: str, body: str) -> list[Row]:
    """As `own_row`, of a text of any length, in ASCII."""
    return [own_row(f"{pk}{n:05x}", role, part) for n, part in enumerate(_cut(body))]


def rows_of(
    batch: str, place: int, item: EmbeddedRecord, image_library: ImageLibrary
) -> tuple[list[Row], list[Row]]:
    """The rows of one record, and of its vectors."""
    record, pk = item.record, f"{batch}{place:06x}"
    key, known = key_of(record.id), facts_of(record)
    shared: Row = {"key": key, "facts": known.facts, "ordered": known.order}
    vectors = [
        {
            "pk": f"{pk}{kind[0]}{number:04x}",
            "record": pk,
            "kind": kind,
            "vector": row,
            **shared,
        }
        for kind in VECTOR_KINDS
        for number, row in enumerate(np.atleast_2d(item.vectors.get(kind, np.empty((0, 0)))))
        if len(row)
    ]
    counts = {kind: sum(row["kind"] == kind for row in vectors) for kind in VECTOR_KINDS}
    body = json.dumps(_parts(record, image_library), separators=(",", ":"), default=dict)
    parts = list(
        zip_longest(_cut(body), _cut_words(words_of(record.text, record.metadata)), fillvalue="")
    )
    rows = [
        {
            **shared,
            "pk": pk if number == 0 else f"{pk}+{number:05x}",
            "role": "record" if number == 0 else "piece",
            "body": part,
            "words": said,
            "pieces": len(parts),
            "texts": counts["text"],
            "images": counts["image"] + _FUSED * counts["both"],
        }
        for number, (part, said) in enumerate(parts)
    ]
    return rows, vectors


def pks_of(rows: Iterable[Row]) -> tuple[list[str], list[str]]:
    """The primary keys of all rows of some records, and of their vectors, from their first rows."""
    found, vectors = [], []
    for row in rows:
        pk = row["pk"]
        found += [pk, *(f"{pk}+{number:05x}" for number in range(1, row["pieces"]))]
        for kind, count in counts_of(row).items():
            vectors += [f"{pk}{kind[0]}{number:04x}" for number in range(count)]
    return found, vectors


def counts_of(row: Row) -> dict[VectorKind, int]:
    """How many vectors of each kind a record has, from its first row."""
    fused, images = divmod(row["images"], _FUSED)
    return {"text": row["texts"], "image": images, "both": fused}


def record_of(body: str, image_library: ImageLibrary, where: str) -> Record:
    """A record from its text.

    Raises:
        CorruptStoreError: It cannot be understood.
    """
    try:
        parts: dict[str, Any] = json.loads(body)
        image = parts.pop("image")
        restored = None if image is None else image_library.from_json(image)
        return Record.restored(**parts, image=restored)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptStoreError(f"{where}: a record cannot be read ({error})") from error


def vectors_of(rows: Iterable[Row]) -> dict[str, dict[VectorKind, Vector]]:
    """The vectors of records, by the first of their rows."""
    found: dict[str, dict[VectorKind, list[Vector]]] = {}
    for row in sorted(rows, key=lambda it: (VECTOR_KINDS.index(it["kind"]), it["pk"])):
        vector = np.asarray(row["vector"], np.float32)
        found.setdefault(row["record"], {}).setdefault(row["kind"], []).append(vector)
    return {
        pk: {kind: given[0] if len(given) == 1 else np.stack(given) for kind, given in one.items()}
        for pk, one in found.items()
    }


def _parts(record: Record, image_library: ImageLibrary) -> dict[str, Any]:
    return {
        "id": record.id,
        "text": record.text,
        "image": None if record.image is None else image_library.to_json(record.image),
        "metadata": record.metadata,
        "source_id": record.source_id,
        "links": record.links,
        "payload": record.payload,
    }


def _cut(text: str) -> list[str]:
    return [text[start : start + MOST_TEXT] for start in range(0, len(text), MOST_TEXT)] or [""]


def _cut_words(words: str) -> list[str]:
    """Between words, where there are any; a character may have four bytes."""
    most, parts = MOST_TEXT // 4, []
    while len(words) > most:
        end = words.rfind(" ", 1, most)
        end = most if end < 0 else end
        parts.append(words[:end])
        words = words[end:]
    return [*parts, words]
