"""`nodes_of`: from a space's hits to LlamaIndex nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    RelatedNodeType,
)

from llama_index_unisem.nodes import FoundText, UniSemImageNode
from unisem.images.for_models import ImageLimits
from unisem.records import Record
from unisem.stores.hits import Hit

RELATIONS = {
    "previous": NodeRelationship.PREVIOUS,
    "next": NodeRelationship.NEXT,
    "parent": NodeRelationship.PARENT,
}
"""A record's links as LlamaIndex names them."""


def nodes_of(hits: Sequence[Hit], limits: ImageLimits) -> list[NodeWithScore]:
    """Turn hits into scored nodes, best first.

    A node resolves its picture alone, without knowing the others, so the limits are shared out
    here: the best-ranked ``limits.count`` pictures are sent, each with an equal part of
    ``limits.bytes``.
    """
    pictures = [hit.record.id for hit in hits if hit.record.image is not None]
    sent = set(pictures[: limits.count])
    share = limits.bytes // max(len(sent), 1)
    found: list[NodeWithScore] = []
    for hit in hits:
        node = node_of(hit.record)
        if isinstance(node, UniSemImageNode):
            node.image_side = limits.side
            node.image_bytes = share
            if node.node_id not in sent:
                node.image_omitted = f"is left out: only {limits.count} pictures are sent"
        found.append(NodeWithScore(node=node, score=float(hit.score)))
    return found


def node_of(record: Record) -> BaseNode:
    """Turn a record into a `FoundText`, or a `UniSemImageNode` if it has a picture."""
    relationships: dict[NodeRelationship, RelatedNodeType] = {
        RELATIONS[relation]: RelatedNodeInfo(node_id=target)
        for relation, target in record.links.items()
        if relation in RELATIONS
    }
    if record.source_id is not None:
        relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=record.source_id)
    parts: dict[str, Any] = {
        "id_": record.id,
        "text": record.text or "",
        "metadata": dict(record.metadata),
        "relationships": relationships,
    }
    if record.image is None:
        return FoundText(**parts)
    return UniSemImageNode(
        **parts,
        image_path=None if record.image.path is None else str(record.image.path),
        image_root=None if record.image.root is None else str(record.image.root),
        image_mimetype=record.image.mime_type,
        image_sha256=record.image.sha256,
    )
