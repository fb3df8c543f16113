"""From a space's records to LangChain's documents: texts and references, never pixels."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from langchain_core.documents import Document

from unisem.records import Record
from unisem.stores.hits import Hit

SCORE_KEY = "relevance_score"
"""Where LangChain's rerankers put their score and where readers look for one."""
DETAILS_KEY = "unisem"
"""What else a search says about a document."""


def record_to_document(record: Record) -> Document:
    """Return a record as a new document that shares nothing with it.

    The text or caption is ``page_content`` (``""`` if there is none), the id stays the id, and
    the metadata is the record's own and nothing else.
    """
    return Document(
        id=record.id, page_content=record.text or "", metadata=deepcopy(dict(record.metadata))
    )


def relevance(cosine: float) -> float:
    """Scale a cosine to LangChain's relevance: 0 (opposite) to 1 (same), as a Python float."""
    return min(1.0, max(0.0, (1.0 + float(cosine)) / 2.0))


def hit_to_document(hit: Hit, scale: Callable[[float], float] | None = relevance) -> Document:
    """Return a hit as a document, its score and details as JSON in two metadata keys.

    Args:
        hit: The hit.
        scale: From the hit's score to ``metadata["relevance_score"]``; ``None`` for a score that
            no reader of that key would understand, which then has no such key.
    """
    document = record_to_document(hit.record)
    details: dict[str, Any] = {
        "modality": hit.record.modality,
        "matched": hit.matched,
        "score": float(hit.score),
    }
    if hit.record.source_id is not None:
        details["source_id"] = hit.record.source_id
    if (image := hit.record.image) is not None:
        details |= {"mime_type": image.mime_type, "sha256": image.sha256}
        details |= {"width": image.width, "height": image.height}
    document.metadata.pop(SCORE_KEY, None)
    if scale is not None:
        document.metadata[SCORE_KEY] = scale(hit.score)
    document.metadata[DETAILS_KEY] = details
    return document
