"""What waits in a record until its run has come to the end: the record that was in its place.

A file that was renamed, or has changed its name with another, is stored under its new id before the
run knows where all the others are. Until then the payload keeps what was under that id, with all
that somebody has added to it, or says that the id is new and the content is not. So an interruption
loses nothing: the next run settles it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unisem.ingest.by_hand import added_to, without
from unisem.ingest.likeness import UNSETTLED
from unisem.records import Record, Vector, VectorKind

_CAPTION: dict[VectorKind, str] = {"text": "caption", "both": "fused"}  # keys of payloads


def is_unsettled(record: Record) -> bool:
    """Whether a record's run did not come to its end."""
    return UNSETTLED in record.payload


def settled(record: Record) -> Record:
    """The record without what waits in it."""
    return replace(record, payload=without(record.payload, UNSETTLED))


def arrived(record: Record) -> Record:
    """A new record whose content is known from another id."""
    return replace(record, payload={**record.payload, UNSETTLED: {}})


def keeping_waiting(old: Record, new: Record) -> Record:
    """What replaces a record of the same content: with what waits in that."""
    if not is_unsettled(old):
        return new
    return replace(new, payload={**new.payload, UNSETTLED: old.payload[UNSETTLED]})


def in_place_of(old: Record, new: Record, caption: Mapping[VectorKind, Vector]) -> Record:
    """What replaces a record of another content, which waits in it.

    Args:
        old: As it is stored; what waits in it waits further.
        new: What takes its place.
        caption: The old one's vectors of its caption, if no file has that; the fused one, too.
    """
    waiting: dict[str, Any]
    if waiting_in(old) is not None:
        waiting = dict(old.payload[UNSETTLED])
        waiting["metadata"] = {**added_to(old), **waiting["metadata"]}
    else:
        waiting = {
            "text": old.text,
            "sha256": None if old.image is None else old.image.sha256,
            "metadata": dict(old.metadata),
            "links": dict(old.links),
            "payload": without(old.payload, UNSETTLED),
            **{_CAPTION[kind]: _written(rows) for kind, rows in caption.items()},
        }
    return replace(new, payload={**new.payload, UNSETTLED: waiting})


def waiting_in(record: Record) -> Record | None:
    """The record that was in the place of this one; ``None`` if there was none."""
    it = record.payload.get(UNSETTLED)
    if not isinstance(it, Mapping) or not it.keys() >= {"text", "sha256", "metadata", "links"}:
        return None
    if (record.image is None) != (it["sha256"] is None):
        return None
    return Record(
        id=record.id,
        text=it["text"],
        image=record.image and replace(record.image, sha256=it["sha256"], look=None),
        metadata=it["metadata"],
        source_id=record.source_id,
        links=it["links"],
        payload=it.get("payload"),
    )


def caption_waiting_in(record: Record) -> dict[VectorKind, Vector]:
    """The vectors of the caption of what waits in a record, if no file has that."""
    waiting = record.payload.get(UNSETTLED)
    it = waiting if isinstance(waiting, Mapping) else {}
    found = {kind: _read(it.get(name)) for kind, name in _CAPTION.items()}
    return {kind: rows for kind, rows in found.items() if rows is not None}


def _written(rows: Vector) -> dict[str, Any]:
    """Vectors as JSON, a fifth of their decimals: base64 of little-endian float32."""
    data = np.ascontiguousarray(rows, "<f4").tobytes()
    return {"shape": list(rows.shape), "data": base64.b64encode(data).decode("ascii")}


def _read(written: Any) -> Vector | None:
    """What `_written` wrote, or an earlier version as decimals; ``None`` for what is neither."""
    try:
        if isinstance(written, list):
            return np.asarray(written, np.float32)
        data = base64.b64decode(written["data"], validate=True)
        return np.frombuffer(data, "<f4").astype(np.float32).reshape(written["shape"])
    except (KeyError, TypeError, ValueError):  # the caption is embedded again
        return None
