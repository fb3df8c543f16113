"""`take_in` and `nodes_from`: LlamaIndex nodes as records, and back without loss.

What a space searches lies where it searches: the text or caption in ``Record.text``, the metadata,
as LlamaIndex writes them as JSON, in ``Record.metadata``, the picture in ``Record.image``, the
document's id in ``Record.source_id``.
The rest of the node is JSON in ``Record.payload``. Inline bytes of a picture become a
content-addressed file; other inline bytes, which no record has a place for, stay in the payload as
base64. Vectors are the store's; a caption's comes back from there.
"""

from __future__ import annotations

import logging
import math
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    Node,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_unisem.embeddings.node_vectors import caption_vector, put_caption_vector
from llama_index_unisem.node_images import has_inline_image, image_of
from llama_index_unisem.nodes import RELATIONS, UniSemImageNode, marks_hidden, node_of
from llama_index_unisem.vector_stores.open_stores import OpenStore
from unisem.common.json_text import to_json
from unisem.errors import ImageError, RecordError, VectorError
from unisem.images.reference import ImageRef
from unisem.ingest.intake import Offer, Prepared
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores import Store
from unisem.stores.selection import Match
from unisem.stores.vectors import unit

_log = logging.getLogger(__name__)

_KEY = "llama_index"
_CLASSES: dict[str, type[BaseNode]] = {
    cls.__name__: cls
    for cls in (UniSemImageNode, ImageNode, IndexNode, TextNode, ImageDocument, Document, Node)
}
_RESOURCES = ("text_resource", "image_resource", "audio_resource", "video_resource")


def listed(nodes: Iterable[object]) -> list[BaseNode]:
    """The nodes as a list.

    Raises:
        TypeError: One node, or something that is none.
    """
    if isinstance(nodes, BaseNode | str):  # a node can be iterated over, too
        raise TypeError(f"pass a list of nodes, not one {type(nodes).__name__}")
    found: list[BaseNode] = []
    for node in nodes:
        if not isinstance(node, TextNode | Node):
            raise TypeError(f"expected a LlamaIndex TextNode or Node, not {type(node).__name__}")
        found.append(node)
    return found


def take_in(
    nodes: Sequence[BaseNode], opened: OpenStore, match: Match = "any"
) -> list[EmbeddedRecord]:
    """Turn nodes with their vectors into records with their vectors, pictures kept.

    Args:
        nodes: Each has an ``embedding``; of a picture it is the picture's, and a caption's is in
            ``text_embedding`` or ``text_resource.embeddings["dense"]``.
        opened: Where they are going to.
        match: As which vector ``embedding`` is kept, if not ``"any"``.

    Raises:
        ValueError: No vector, a zero vector, or one that is no list of numbers; names the node.
        RecordError: Metadata that LlamaIndex cannot write as JSON, or that cannot be found by.
        VectorError: Of another dimension than the space's encoder.
        ImageError: A picture outside the space's folders.
        RerankerError: The space makes a reranker's tokens, and the disk refused them.
    """
    offers = [offer_of(node, opened, match) for node in nodes]
    with closing(opened.intake.with_tokens(offers)) as prepared:
        items = [_taken(node, item, match) for node, item in zip(nodes, prepared, strict=True)]
    if opened.space is not None:
        _check_dimension(items, opened.space.encoder.dimension)
    return items


def with_other_vectors(items: Sequence[EmbeddedRecord], store: Store) -> list[EmbeddedRecord]:
    """Records with the other vectors of those that are stored already and have not changed."""
    ids = [item.record.id for item in items]
    known = zip(store.get(ids), store.vectors(ids), strict=True)
    return [
        EmbeddedRecord(item.record, {**vectors, **item.vectors})
        if old is not None and vectors and _are_alike(old, item.record)
        else item
        for item, (old, vectors) in zip(items, known, strict=True)
    ]


def offer_of(node: BaseNode, opened: OpenStore, match: Match = "any") -> Offer:
    """What `take_in` takes in; the node's picture has not been opened.

    Raises:
        ValueError: As `take_in`.
    """
    if node.embedding is None:
        raise ValueError(
            f"node {node.node_id!r} has no embedding; let an index or an IngestionPipeline embed "
            "it, for example with UniSemEmbedding"
        )
    return _offer(node, _admitted(node, opened), match)


def _offer(node: BaseNode, image: ImageRef | None, match: Match) -> Offer:
    record = record_of(node, image)
    caption = caption_vector(node)
    # A picture that is only a URL is found by its caption, unless its vectors say otherwise.
    kind: VectorKind = record.modality if caption is None else "image"
    if match != "any":
        kind = match
    vectors: dict[VectorKind, Vector] = {
        kind: unit(node.embedding, f"the embedding of node {node.node_id!r}")
    }
    if caption is not None and kind == "image":
        vectors["text"] = unit(caption, f"the text embedding of node {node.node_id!r}")
    return Offer(record, vectors)


def _taken(node: BaseNode, item: Prepared, match: Match) -> EmbeddedRecord:
    """The vectors have been made already, so that a picture that is missing costs nothing here."""
    record, vectors, image = item.record, item.offer.vectors, item.record.image
    if item.error is not None and image is not None and image.data is not None:
        bare = _offer(node, None, match)  # of no format that can be shown; the payload has it
        record, vectors = bare.record, bare.vectors
    elif item.error is not None:
        _log.warning("the picture of node %r cannot be read now: %s", record.id, item.error)
    return EmbeddedRecord(record, vectors or {})


def record_of(node: BaseNode, image: ImageRef | None) -> Record:
    """A node as a record.

    Args:
        node: A ``TextNode`` or ``Node``.
        image: Its picture, if there is one.

    Raises:
        RecordError: It cannot be kept; names the node.
    """
    assert isinstance(node, TextNode | Node)  # see `listed`
    inline = image is not None and has_inline_image(node)
    try:
        kept = _payload(node, inline=inline)
    except ValueError as error:  # pydantic's, of a type that it does not know
        raise RecordError(f"cannot store node {node.node_id!r}: {error}") from None
    metadata, numbers = _finite(kept["node"].pop("metadata"))
    if numbers:
        kept["numbers"] = numbers
    if isinstance(node, TextNode):
        text: str | None = node.text
    else:
        text = None if node.text_resource is None else node.text_resource.text
    if not text:
        text = None if image is not None else ""
    try:
        return Record(
            id=node.node_id,
            text=text,
            image=image,
            metadata=metadata,
            source_id=node.ref_doc_id,
            links={
                relation: info.node_id
                for relation, name in RELATIONS.items()
                if isinstance(info := node.relationships.get(name), RelatedNodeInfo)
            },
            payload={_KEY: kept},
        )
    except RecordError as error:
        raise RecordError(f"cannot store node {node.node_id!r}: {error}") from None


def is_node(record: Record) -> bool:
    """Whether the record came as a node of LlamaIndex."""
    return _KEY in record.payload


def is_own_source(record: Record) -> bool:
    """Whether the record is a whole document, which no other node is the source of."""
    kept = record.payload.get(_KEY)
    documents = ("Document", "ImageDocument")
    return record.source_id is None and kept is not None and kept["type"] in documents


def nodes_from(records: Sequence[Record], store: Store) -> list[BaseNode]:
    """Rebuild nodes; a record that came another way becomes a `TextNode` or a `UniSemImageNode`."""
    wanting = [record.id for record in records if "norm" in record.payload.get(_KEY, ())]
    found = dict(zip(wanting, store.vectors(wanting), strict=True)) if wanting else {}
    nodes = []
    for record in records:
        node = _node(record)
        vectors = found.get(record.id)
        if vectors and "text" in vectors:
            caption = np.atleast_2d(vectors["text"])[0].astype(np.float64)
            put_caption_vector(node, (caption * record.payload[_KEY]["norm"]).tolist())
        nodes.append(node)
    return nodes


def nodes_with_vectors(records: Sequence[Record], store: Store, match: Match) -> list[BaseNode]:
    """As `nodes_from`, each with its vector, of length 1, so that another store can take it.

    Args:
        records: The records.
        store: Where they are.
        match: Which vector; ``"any"`` is the picture's if there is a picture, else the text's.
    """
    nodes = nodes_from(records, store)
    stored = store.vectors([record.id for record in records])
    for node, record, vectors in zip(nodes, records, stored, strict=True):
        if vectors:  # else deleted a moment ago
            kind = record.modality if match == "any" else match
            rows = vectors.get(kind, next(iter(vectors.values())))
            node.embedding = np.atleast_2d(rows)[0].tolist()
    return nodes


def _payload(node: TextNode | Node, *, inline: bool) -> dict[str, Any]:
    """All of the node that the record has no other place for."""
    dumped = node.model_dump(mode="json", exclude={"embedding", "text_embedding"})
    dumped.pop("class_name", None)
    dumped.pop("text", None)
    known = next(name for name, cls in _CLASSES.items() if isinstance(node, cls))
    kept: dict[str, Any] = {"type": known, "node": dumped}
    if type(node) is not _CLASSES[known]:
        kept["class"] = _name(type(node))
    caption = caption_vector(node)
    if caption is not None:
        kept["norm"] = float(np.linalg.norm(np.asarray(caption, np.float64)))
    if inline:
        kept["inline"] = True
    if isinstance(node, ImageNode):
        if inline:
            dumped["image"] = None
    elif isinstance(node, Node):
        for name in _RESOURCES:
            resource = getattr(node, name)
            if resource is None:
                continue
            if resource.data is not None and not (inline and name == "image_resource"):
                dumped[name]["data"] = resource.data.decode("ascii")
            if name == "text_resource":
                if resource.text:
                    del dumped[name]["text"]
                if caption is not None:
                    dumped[name]["embeddings"].pop("dense")
    return kept


def _finite(value: Any, *path: str | int) -> tuple[Any, list[Any]]:
    """JSON without the numbers that are none, and where which of them were.

    LlamaIndex writes NaN and infinity, which JSON does not have; to filters they are null.
    """
    match value:
        case float() if not math.isfinite(value):
            return None, [[*path, str(value)]]
        case dict():
            parts = {key: _finite(item, *path, key) for key, item in value.items()}
            return {key: part for key, (part, _) in parts.items()}, [
                number for _, numbers in parts.values() for number in numbers
            ]
        case list():
            items = [_finite(item, *path, place) for place, item in enumerate(value)]
            return [part for part, _ in items], [
                number for _, numbers in items for number in numbers
            ]
    return value, []


def _with_numbers(metadata: Mapping[str, Any], numbers: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """Undo `_finite`, where metadata have not been changed since."""
    restored = deepcopy(dict(metadata)) if numbers else dict(metadata)
    for *path, last, number in numbers:
        place: Any = restored
        try:
            for step in path:
                place = place[step]
            if place[last] is None:
                place[last] = float(number)
        except (KeyError, IndexError, TypeError):
            continue
    return restored


def _node(record: Record) -> BaseNode:
    kept = record.payload.get(_KEY)
    if kept is None:
        return node_of(record)
    cls = _class(kept)
    metadata = _with_numbers(record.metadata, kept.get("numbers", ()))
    parts: dict[str, Any] = {**kept["node"], "metadata": metadata}
    if issubclass(cls, TextNode):
        parts["text"] = record.text or ""
    elif parts["text_resource"] is not None:
        parts["text_resource"] = {"text": record.text, **parts["text_resource"]}
    elif record.text:  # a caption that was generated since
        parts["text_resource"] = {"text": record.text}
    parts |= marks_hidden(
        metadata,
        parts.get("excluded_embed_metadata_keys", ()),
        parts.get("excluded_llm_metadata_keys", ()),
    )
    if record.image is not None:
        _put_picture(parts, record.image, inline="inline" in kept, flat=issubclass(cls, ImageNode))
    return cls.from_dict(parts)


def _put_picture(parts: dict[str, Any], image: ImageRef, *, inline: bool, flat: bool) -> None:
    """Give the bytes back, or the path, which may be another one since a space was moved."""
    if not flat:
        parts["image_resource"] = dict(parts["image_resource"])
    place, prefix = (parts, "image_") if flat else (parts["image_resource"], "")
    if inline:
        try:
            data = b64encode(image.read_verified()).decode("ascii")
        except ImageError as error:
            _log.warning("the picture of node %r is lost: %s", parts["id_"], error)
        else:
            place["image" if flat else "data"] = data
        return
    given = place[f"{prefix}path"]
    if not os.path.exists(given) and image.path is not None and image.path.exists():
        place[f"{prefix}path"] = str(image.path)


def _admitted(node: BaseNode, opened: OpenStore) -> ImageRef | None:
    """The node's picture where the store may read it; ``None`` if there is no file to refer to."""
    try:
        image = image_of(node)
    except ImageError:
        return None  # only a URL, or text that is not base64: the payload has it
    if image is None or image.path is None:
        return image
    try:
        return opened.image_library.admit(image)
    except ImageError:
        if not opened.tolerant:
            raise
        path = Path(os.path.abspath(image.path))
        folder = path.parent if path.parent.name else path  # all of "/" is meant by nobody
        opened.image_library.allow(folder)
        return ImageRef(path=path, root=image.root or path.parent)


def _class(kept: dict[str, Any]) -> type[BaseNode]:
    """The node's own class if the program has loaded it; nothing is imported by name."""
    name = kept.get("class")
    if name is not None:
        for cls in _subclasses(BaseNode):  # type: ignore[type-abstract]
            if _name(cls) == name:
                return cls
    return _CLASSES[kept["type"]]


def _subclasses(cls: type[BaseNode]) -> Iterator[type[BaseNode]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _are_alike(old: Record, new: Record) -> bool:
    is_near = old.image is None or old.image.elsewhere is None
    return _content(old, is_near) == _content(new, is_near)


def _content(record: Record, is_near: bool) -> tuple[Any, ...]:
    """What vectors are made of, and what is said of it; a picture elsewhere has no path."""
    image = record.image
    place = None if image is None else image.path if is_near else image.sha256
    mappings = to_json(record.metadata), to_json(record.payload)
    return record.text, record.source_id, place, *mappings


def _check_dimension(items: Sequence[EmbeddedRecord], dimension: int) -> None:
    for item in items:
        for vector in item.vectors.values():
            if len(vector) != dimension:
                raise VectorError(
                    f"the embedding of node {item.record.id!r} has dimension {len(vector)}, the "
                    f"space's encoder {dimension}; use UniSemEmbedding(encoder=space.encoder)"
                )
