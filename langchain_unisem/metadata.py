"""What UniSem puts into a document's metadata, and how the user's own come out unharmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unisem.images.reference import ImageRef

SCORE_KEY = "relevance_score"
"""Where LangChain's rerankers put their score and where readers look for one."""
DETAILS_KEY = "unisem"
"""What else a search says about a document: a dictionary that has ``modality``."""
IMAGE_KEY = "unisem_image"
"""The picture's file, as an absolute path."""
SHA256_KEY = "sha256"
"""The hex digest of the file's bytes."""
MIME_TYPE_KEY = "mime_type"
"""The picture's type, by its content."""

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


def add_details(metadata: dict[str, Any], details: dict[str, Any], score: float | None) -> None:
    """Put what a search says into a record's metadata, in place; the record's own stay.

    Args:
        metadata: The record's own, in a copy.
        details: What goes under ``unisem``.
        score: What goes under ``relevance_score``; ``None`` for no such key.
    """
    ours = (DETAILS_KEY, SCORE_KEY) if "score" in details else (DETAILS_KEY,)
    if renamed := set_aside(metadata, ours):
        details[RENAMED] = renamed
    if score is not None:
        metadata[SCORE_KEY] = score
    metadata[DETAILS_KEY] = details


def put_score(metadata: dict[str, Any], score: float, reranker: str) -> None:
    """Give a document, in place, a reranker's score; a value that is not a search's stays."""
    details = details_of(metadata)
    if details is None:
        set_aside(metadata, [SCORE_KEY])
    elif not any(name in details for name in _OF_A_SEARCH):
        if renamed := set_aside(metadata, [SCORE_KEY]):
            details[RENAMED] = {**details.get(RENAMED, {}), **renamed}
        details["reranker"] = reranker
    metadata[SCORE_KEY] = score


def details_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a search said about a document; ``None`` if it comes from elsewhere."""
    details = metadata.get(DETAILS_KEY)
    known = isinstance(details, dict) and details.get("modality") in ("text", "image")
    return details if known else None


def own_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A document's metadata without what a search added, as its record has them."""
    own = dict(metadata)
    details = details_of(metadata)
    if details is None:
        return own
    del own[DETAILS_KEY]
    if any(name in details for name in _OF_A_SEARCH):
        own.pop(SCORE_KEY, None)
    renamed = details.get(RENAMED)
    for name, free in renamed.items() if isinstance(renamed, dict) else ():
        if free in own:
            own[name] = own.pop(free)
    return own


def picture_details(image: ImageRef) -> dict[str, Any]:
    """What tells a document's picture from any other, and how large it is."""
    return {
        "mime_type": image.mime_type,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
    }


def picture_digest(metadata: Mapping[str, Any]) -> str | None:
    """Digest of the picture that a document was found or made with; ``None`` for a text."""
    details = details_of(metadata)
    if details is not None:
        digest = details.get("sha256")
    else:
        digest = metadata.get(SHA256_KEY) if IMAGE_KEY in metadata else None
    return digest if isinstance(digest, str) else None
