"""What UniSem puts into a document's metadata, and how the user's own come out unharmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.documents import Document

from unisem.presentation.citation import way
from unisem.records import Record

SCORE_KEY = "relevance_score"
"""Where LangChain's rerankers put their score and where readers look for one."""
DETAILS_KEY = "unisem"
"""What else a search says about a document: a dictionary that has ``modality``."""
IMAGE_KEY = "unisem_image"
"""The picture's file, as an absolute path."""
REGION_KEY = "unisem_region"
"""The part of a page that the picture is."""
SHA256_KEY = "sha256"
"""The hex digest of the file's bytes."""
MIME_TYPE_KEY = "mime_type"
"""The picture's type, by its content."""

COPIES = "copies"
"""In the details: the ids of other records with the same picture, or nearly the same."""
UNIQUE_KEY = "unique_key"
"""In the details: under which key a document has its own mark, see `add_details`."""
RENAMED = "renamed"
"""In the details: under which names the user's own values of our keys stand meanwhile."""
_OF_A_SEARCH = ("score", "reranker")  # details that come with a score


def set_aside(metadata: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Rename keys that ours would overwrite, ``source`` to ``original_source`` and so on.

    Args:
        metadata: Changed in place.
        names: Our keys.

    Returns:
        The new name of each key that was there.
    """
    renamed = {}
    for name in names:
        if name not in metadata:
            continue
        free = f"original_{name}"
        while free in metadata:
            free = f"original_{free}"
        metadata[free] = metadata.pop(name)
        renamed[name] = free
    return renamed


def add_details(
    metadata: dict[str, Any],
    details: dict[str, Any],
    score: float | None,
    unique_key: str | None = None,
) -> None:
    """Put what a search says into a record's metadata, in place; the record's own stay.

    Args:
        metadata: The record's own, in a copy.
        details: What goes under ``unisem``.
        score: What goes under ``relevance_score``; ``None`` for no such key.
        unique_key: Under which key goes a string that no other document has: the record's id,
            and the digest of its picture; ``None`` for no such key.
    """
    ours = [DETAILS_KEY, SCORE_KEY] if "score" in details else [DETAILS_KEY]
    if unique_key is not None:
        ours.append(unique_key)
        details[UNIQUE_KEY] = unique_key
    if renamed := set_aside(metadata, ours):
        details[RENAMED] = renamed
    if score is not None:
        metadata[SCORE_KEY] = score
    if unique_key is not None:
        metadata[unique_key] = " ".join(filter(None, (details["id"], details.get("sha256"))))
    metadata[DETAILS_KEY] = details


def put_score(
    metadata: dict[str, Any], score: float, reranker: str, judged: float | None = None
) -> None:
    """Give a document, in place, a reranker's score; a value that is not a search's stays.

    Args:
        metadata: The document's.
        score: Its score now.
        reranker: The reranker's name.
        judged: What the reranker itself gave it; ``None`` if it did not judge it.
    """
    details = details_of(metadata)
    if details is None:
        set_aside(metadata, [SCORE_KEY])
    elif not any(name in details for name in _OF_A_SEARCH):
        if renamed := set_aside(metadata, [SCORE_KEY]):
            details[RENAMED] = {**details.get(RENAMED, {}), **renamed}
        details["reranker"] = reranker
    if details is not None:
        details.pop("judged", None)
        if judged is not None:
            details["judged"] = judged
    metadata[SCORE_KEY] = score


def details_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a search said about a document; ``None`` if it comes from elsewhere."""
    details = metadata.get(DETAILS_KEY)
    known = isinstance(details, dict) and details.get("modality") in ("text", "image")
    return details if known else None


def search_score(metadata: Mapping[str, Any]) -> tuple[float | None, bool | None]:
    """The score that a search gave a document, and whether it is a cosine, if that is known."""
    details = details_of(metadata) or {}
    score, searched = details.get("score"), details.get("search_type")
    if score is None or searched is None:
        return score, None
    return score, searched not in ("keyword", "hybrid") and "reranker" not in details


def way_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What a model is told of the way through a knowledge graph to a document, if there is one."""
    path = (details_of(metadata) or {}).get("path")
    if not isinstance(path, list) or not all(isinstance(step, str) for step in path):
        return {}
    return way(path)


def own_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A document's metadata without what a search added, as its record has them."""
    own = dict(metadata)
    details = details_of(metadata)
    if details is None:
        return own
    del own[DETAILS_KEY]
    if any(name in details for name in _OF_A_SEARCH):
        own.pop(SCORE_KEY, None)
    if isinstance(mark := details.get(UNIQUE_KEY), str):
        own.pop(mark, None)
    renamed = details.get(RENAMED)
    for name, free in renamed.items() if isinstance(renamed, dict) else ():
        if isinstance(free, str) and free in own:
            own[name] = own.pop(free)
    return own


def record_details(record: Record) -> dict[str, Any]:
    """What tells a document's record and picture from any other, and how large the picture is.

    The id is among them because many a step between a search and a prompt copies text and
    metadata, and not the document's own id.
    """
    details: dict[str, Any] = {"id": record.id, "modality": record.modality}
    image = record.image
    if image is None:
        return details
    return details | {
        "mime_type": image.mime_type,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
    }


def record_id(document: Document) -> str | None:
    """The document's id; that of the record that it was found as, if a step has dropped it."""
    if document.id is not None:
        return document.id
    name = (details_of(document.metadata) or {}).get("id")
    return name if isinstance(name, str) else None


def image_digest(metadata: Mapping[str, Any]) -> str | None:
    """Digest of the picture that a document was found or made with; ``None`` for a text."""
    details = details_of(metadata)
    if details is not None:
        digest = details.get("sha256")
    else:
        digest = metadata.get(SHA256_KEY) if IMAGE_KEY in metadata else None
    return digest if isinstance(digest, str) else None
