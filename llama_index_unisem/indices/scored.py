"""`scored_nodes`: an index's nodes as a model is shown them, captions with their pictures."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.schema import BaseNode, ImageNode, Node, NodeWithScore, TextNode

from llama_index_unisem.hits import nodes_of
from llama_index_unisem.nodes import FoundText, PictureNode
from llama_index_unisem.pictures import has_picture, picture_url
from unisem.images.for_models import ImageLimits
from unisem.stores import Store
from unisem.stores.hits import Hit

_PRESENTATION = (
    "excluded_embed_metadata_keys",
    "excluded_llm_metadata_keys",
    "metadata_template",
    "metadata_separator",
    "text_template",
    "relationships",
)


def scored_nodes(
    nodes: Sequence[BaseNode], scores: Sequence[float], store: Store, limits: ImageLimits
) -> list[NodeWithScore]:
    """Give nodes their scores, and make those with a picture `PictureNode`.

    LlamaIndex's own `ImageNode` sends a picture without its caption, and one missing file ends the
    whole query. A picture that is only a URL is not fetched: its caption says so.

    Args:
        nodes: As a `UniSemVectorStore` gives them, best first.
        scores: Theirs.
        store: That store's records.
        limits: What the pictures may amount to together.
    """
    places = [place for place, node in enumerate(nodes) if has_picture(node)]
    records = store.get([nodes[place].node_id for place in places])
    hits = [
        Hit(record, scores[place], "image")
        for place, record in zip(places, records, strict=True)
        if record is not None and record.image is not None
    ]
    pictures = {found.node_id: found.node for found in nodes_of(hits, limits)}
    results = []
    for node, score in zip(nodes, scores, strict=True):
        if has_picture(node):
            node = _presented(node, pictures.get(node.node_id))
        elif type(node) is TextNode:
            node = FoundText.model_construct(**node.__dict__)
        results.append(NodeWithScore(node=node, score=score))
    return results


def _presented(node: BaseNode, picture: BaseNode | None) -> PictureNode:
    """The picture's place and limits, with everything else as the node has it."""
    if not isinstance(picture, PictureNode):
        picture = PictureNode(image_omitted="is not a file on this machine")
    kept = {
        name: getattr(node, name) for name in _PRESENTATION if getattr(node, name, None) is not None
    }
    texts = node.text_resource if isinstance(node, Node) else None
    vector = node.text_embedding if isinstance(node, ImageNode) else None
    if texts is not None:
        vector = (texts.embeddings or {}).get("dense")
    return picture.model_copy(
        update={
            **kept,
            "id_": node.node_id,
            "text": node.text if isinstance(node, TextNode) else (texts and texts.text) or "",
            "metadata": node.metadata,
            "text_embedding": vector,
            "image_url": picture_url(node),
        }
    )
