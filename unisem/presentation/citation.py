"""What is said of a record beside its text: `citation`, `told` of its metadata, `way` to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

_LONGEST = 120  # characters of a section's name


def citation(metadata: Mapping[str, Any]) -> str | None:
    """Name the document, page, figure and section of a record that was read from a document.

    Args:
        metadata: The record's, as `unisem.readers.documents.assembly` describes them.

    Returns:
        ``None`` for a record that is no part of a document.

    >>> citation({"file_name": "a/manual.pdf", "kind": "figure", "page": 12, "page_label": "12",
    ...           "label": "Figure 3", "section": "2 Care > 2.1 Cleaning"})
    'manual.pdf, p. 12, Figure 3, § 2.1 Cleaning'
    """
    name, kind = metadata.get("file_name"), metadata.get("kind")
    if not isinstance(name, str) or not isinstance(kind, str):
        return None
    parts = [PurePosixPath(name).name]
    page, label = metadata.get("page"), metadata.get("page_label")
    if page is not None:
        parts.append(f"p. {page}" if label in (None, str(page)) else f"p. {label} ({page})")
    if isinstance(shown := metadata.get("label"), str):
        parts.append(shown)
    if isinstance(section := metadata.get("section"), str):
        last = section.rpartition(" > ")[2]
        parts.append(f"§ {last[:_LONGEST]}")
    return ", ".join(parts)


def told(metadata: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """What a model is told of a record's metadata: its place in a document, and some fields.

    Args:
        metadata: The record's own.
        fields: Those that are told, where the record has them.

    >>> told({"year": 2024, "owner": "ada"}, ["year", "month"])
    {'year': 2024}
    """
    place = citation(metadata)
    shown = {} if place is None else {"place": place}
    return shown | {name: metadata[name] for name in fields if name in metadata}


def way(path: Sequence[str]) -> dict[str, str]:
    """What a model is told of the way through a knowledge graph to a record, if there is one.

    >>> way(("string instrument", "banjo"))
    {'way': 'string instrument → banjo'}
    """
    return {"way": " → ".join(path)} if path else {}
