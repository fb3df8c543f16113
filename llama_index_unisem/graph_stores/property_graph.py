"""`UniSemPropertyGraphStore`: a space's knowledge graph as LlamaIndex's property graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from llama_index.core.bridge.pydantic import Field
from llama_index.core.graph_stores.types import (
    TRIPLET_SOURCE_KEY,
    ChunkNode,
    EntityNode,
    LabelledNode,
    PropertyGraphStore,
    Triplet,
)
from llama_index.core.graph_stores.types import Relation as LabelledRelation
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from llama_index_unisem.node_images import image_of
from llama_index_unisem.vector_stores.codec import is_node, listed, nodes_from, record_of
from unisem.common.threads import InThread
from unisem.errors import GraphError, ImageError
from unisem.graph.knowledge_graph import KnowledgeGraph
from unisem.records import Record
from unisem.stores.graph import Entity, Mention, Relation
from unisem.stores.selection import Selection

if TYPE_CHECKING:
    from unisem.space import SemanticSpace

_KIND = "entity"  # what LlamaIndex calls a node of no kind


class UniSemEntityNode(EntityNode):
    """An entity whose id need not be its name."""

    id_: str = Field(description="The entity's id.")

    @property
    def id(self) -> str:
        """The entity's id."""
        return self.id_


class UniSemPropertyGraphStore(PropertyGraphStore):
    """Nodes are the graph's entities and the space's records, which are LlamaIndex's chunks.

    What a ``PropertyGraphIndex`` extracts so becomes a part of the space: a chunk is a record that
    its searches find, the chunk that an entity or a relation comes from is the record that
    mentions it, and ``UniSemRetriever(space=space, graph=GraphExpansion())`` walks along it.
    Each call is on disk when it returns. See ``docs/guides/graph.md``.

    >>> from llama_index.core.graph_stores.types import Relation
    >>> from llama_index_unisem import UniSemPropertyGraphStore
    >>> from unisem import SemanticSpace
    >>> with SemanticSpace.open(None) as space:
    ...     store = UniSemPropertyGraphStore(space)
    ...     store.upsert_relations([Relation(label="is", source_id="banjo", target_id="toy")])
    ...     [(one.id, how.id, other.id) for one, how, other in store.get_triplets(ids=["toy"])]
    [('banjo', 'is', 'toy')]
    """

    supports_structured_queries = False
    supports_vector_queries = False

    def __init__(self, space: SemanticSpace) -> None:
        """Check the space.

        Args:
            space: Keeps entities, relations and chunks.

        Raises:
            TypeError: ``space`` is no `SemanticSpace`.
            StoreError: Its store keeps no graph.
        """
        from unisem.space import SemanticSpace

        if not isinstance(space, SemanticSpace):
            raise TypeError(f"space must be a unisem.SemanticSpace, not {type(space).__name__}")
        self._space = space
        self._graph: KnowledgeGraph = space.graph

    @property
    def client(self) -> KnowledgeGraph:
        """The space's graph."""
        return self._graph

    # -- reading ---------------------------------------------------------------------------------

    def get(
        self, properties: dict[str, Any] | None = None, ids: list[str] | None = None
    ) -> list[LabelledNode]:
        """Nodes that have one of these properties, and one of these ids; all if both are ``None``.

        An id that nothing has is taken for a name or an alias, without case, accents and
        punctuation. An empty list of ids finds nothing.
        """
        found = self._every_node() if ids is None else self._nodes_of(_listed(ids, "ids"))
        if not properties:
            return list(found)
        return [node for node in found if _has_one(properties, node)]

    def get_triplets(
        self,
        entity_names: list[str] | None = None,
        relation_names: list[str] | None = None,
        properties: dict[str, Any] | None = None,
        ids: list[str] | None = None,
    ) -> list[Triplet]:
        """Relations, each once, for which all that is given holds; none if nothing is given.

        Args:
            entity_names: One of these ids at either end.
            relation_names: Of these types.
            properties: One of these, in the relation or in a node at an end.
            ids: As ``entity_names``.
        """
        ends = [_listed(it, "ids") for it in (entity_names, ids) if it is not None]
        if not ends and relation_names is None and not properties:
            return []
        of = ends[0] if ends else None
        types = None if relation_names is None else _listed(relation_names, "relation_names")
        relations = self._graph.relations(of, types)
        if len(ends) == 2:
            relations = [it for it in relations if {it.subject, it.object} & set(ends[1])]
        triplets = self._triplets(relations)
        if not properties:
            return triplets
        return [it for it in triplets if any(_has_one(properties, part) for part in it)]

    def get_rel_map(
        self,
        graph_nodes: list[LabelledNode],
        depth: int = 2,
        limit: int = 30,
        ignore_rels: list[str] | None = None,
    ) -> list[Triplet]:
        """Relations around nodes, either way, nearest first, of each entity the heaviest first.

        Args:
            graph_nodes: Where to begin.
            depth: How many relations away.
            limit: How many relations at most, of which those of ``ignore_rels`` are none.
            ignore_rels: Types that are not followed.
        """
        ignored = frozenset(ignore_rels or ())
        types = [it for it in self._graph.counts.types if it not in ignored] if ignored else None
        found: dict[tuple[str, str, str], Relation] = {}
        front = [node.id for node in graph_nodes]
        seen = set(front)
        for _ in range(depth):
            if not front or len(found) >= limit:
                break
            relations = self._graph.relations(front, types, limit)
            for relation in relations:
                found.setdefault(_key(relation), relation)
            ends = dict.fromkeys(end for it in relations for end in (it.subject, it.object))
            front = [end for end in ends if end not in seen]
            seen.update(front)
        return self._triplets(islice(found.values(), limit))

    def get_llama_nodes(self, node_ids: list[str]) -> list[BaseNode]:
        """The records of these ids as nodes."""
        records = self._space.get(_listed(node_ids, "node_ids"))
        return nodes_from([it for it in records if it is not None], self._space.store)

    def get_schema(self, refresh: bool = False) -> dict[str, Any]:
        """How many entities there are, and how many relations of each type."""
        del refresh  # it is read anew every time
        counts = self._graph.counts
        return {"entities": counts.entities, "relations": dict(counts.types)}

    # -- writing ---------------------------------------------------------------------------------

    def upsert_nodes(self, nodes: Sequence[LabelledNode]) -> None:
        """Add entities, or replace them; their other names and relations stay. Chunks as nodes.

        Vectors are not kept: an index has a vector store for them, and
        ``space.graph.embed_names()`` makes the graph's own.

        Raises:
            GraphError: A node cannot be kept.
        """
        self.upsert_llama_nodes([_llama_node(it) for it in nodes if isinstance(it, ChunkNode)])
        given = {it.id: it for it in nodes if isinstance(it, EntityNode)}
        sources = self._sources(given.values())
        known = dict(zip(given, self._graph.get(list(given)), strict=True))
        self._graph.add(
            [_entity(node, known[name], name in sources) for name, node in given.items()],
            mentions=[Mention(source, name) for name, source in sources.items()],
        )

    def upsert_relations(self, relations: list[LabelledRelation]) -> None:
        """Add relations, or replace them; an end that is no node yet becomes an entity.

        Raises:
            GraphError: A relation cannot be kept; none was.
        """
        named = [it.properties.get(TRIPLET_SOURCE_KEY) for it in relations]
        records = self._records({it for it in named if isinstance(it, str)})
        self._graph.add(
            relations=[
                Relation(
                    it.source_id,
                    it.label,
                    it.target_id,
                    record_id=source if source in records else None,
                    properties=_without_source(it.properties, source in records),
                )
                for it, source in zip(relations, named, strict=True)
            ]
        )

    def upsert_llama_nodes(self, llama_nodes: list[BaseNode]) -> None:
        """Keep nodes as records, embedded by the space; a record of the same words is left alone.

        Raises:
            ImageError: A node's picture cannot be used; none was added.
            RecordError: A node cannot be kept; likewise.
        """
        nodes = listed(llama_nodes)
        known = self._space.get([node.node_id for node in nodes])
        self._space.add(
            record_of(node, _picture(node))
            for node, record in zip(nodes, known, strict=True)
            if record is None or (record.text or "") != node.get_content(MetadataMode.NONE)
        )

    def delete(
        self,
        entity_names: list[str] | None = None,
        relation_names: list[str] | None = None,
        properties: dict[str, Any] | None = None,
        ids: list[str] | None = None,
    ) -> None:
        """Remove entities with their relations, chunks, and relations of some types.

        Args:
            entity_names: Ids of entities.
            relation_names: Relations of these types; their ends stay.
            properties: Nodes that have one of these.
            ids: Ids of entities and chunks. Records that did not come as LlamaIndex's nodes stay.
        """
        if relation_names is not None:
            types = _listed(relation_names, "relation_names")
            self._graph.remove(relations=self._graph.relations(None, types))
        gone = [*_listed(entity_names or [], "entity_names"), *_listed(ids or [], "ids")]
        chunks = list(ids or [])
        if properties:
            found = self.get(properties)
            gone += [node.id for node in found if isinstance(node, EntityNode)]
            chunks += [node.id for node in found if isinstance(node, ChunkNode)]
        self._graph.remove(entities=gone)
        self._delete_chunks(chunks)

    def delete_llama_nodes(
        self, node_ids: list[str] | None = None, ref_doc_ids: list[str] | None = None
    ) -> None:
        """Remove chunks, what was found in them, and entities that nothing else knows of.

        Args:
            node_ids: Their ids.
            ref_doc_ids: The documents that they were cut from.
        """
        names = _listed(node_ids or [], "node_ids")
        if ref_doc_ids:
            selection = Selection(source_ids=_listed(ref_doc_ids, "ref_doc_ids"))
            names += [record.id for record in self._space.store.select(selection)]
        mentioned = {it.entity.id for name in names for it in self._graph.mentioned_by(name)}
        self._graph.remove(records=names)
        self._delete_chunks(names)
        left = [
            name
            for name in mentioned
            if not self._graph.mentioning(name, 1) and not self._graph.neighbours(name, limit=1)
        ]
        self._graph.remove(entities=left)

    # -- what it cannot do -----------------------------------------------------------------------

    def structured_query(self, query: str, param_map: dict[str, Any] | None = None) -> NoReturn:
        """There is no query language.

        Raises:
            GraphError: Always.
        """
        raise GraphError(
            "a space's graph has no query language; ask get_triplets() or get_rel_map()"
        )

    def vector_query(self, query: Any, **kwargs: Any) -> NoReturn:
        """Vectors are an index's own: give it ``vector_store=``, or search the space.

        Raises:
            GraphError: Always.
        """
        raise GraphError(
            "a property graph over a space is not asked by vector; give PropertyGraphIndex a "
            "vector_store, or use UniSemRetriever(space=space, graph=GraphExpansion())"
        )

    aget = InThread(get).twin
    aget_triplets = InThread(get_triplets).twin
    aget_rel_map = InThread(get_rel_map).twin
    aget_llama_nodes = InThread(get_llama_nodes).twin
    aupsert_nodes = InThread(upsert_nodes).twin
    aupsert_relations = InThread(upsert_relations).twin
    adelete = InThread(delete).twin
    adelete_llama_nodes = InThread(delete_llama_nodes).twin

    # -- nodes -----------------------------------------------------------------------------------

    def _every_node(self) -> Iterator[LabelledNode]:
        yield from map(self._entity_node, self._graph.entities())
        yield from map(self._chunk, self._space.store.select())

    def _nodes_of(self, ids: Sequence[str]) -> list[LabelledNode]:
        nodes: dict[str, LabelledNode] = {}
        given = zip(ids, self._graph.get(ids), self._space.get(ids), strict=True)
        for name, entity, record in given:
            if record is not None and (entity is None or entity == Entity(name, name)):
                nodes[name] = self._chunk(record)  # relations of chunks make such entities
            else:
                alike = self._graph.entities(name) if entity is None else [entity]
                nodes |= {it.id: self._entity_node(it) for it in alike}
        return list(nodes.values())

    def _entity_node(self, entity: Entity) -> UniSemEntityNode:
        return UniSemEntityNode(
            id_=entity.id,
            name=entity.name,
            label=entity.kind or _KIND,
            properties={**entity.properties, **_source(self._graph.mentioning(entity.id, 1))},
        )

    def _chunk(self, record: Record) -> ChunkNode:
        (node,) = nodes_from([record], self._space.store)
        properties = node_to_metadata_dict(node, remove_text=True)
        return ChunkNode(id_=record.id, text=record.text or "", properties=properties)

    def _triplets(self, relations: Iterable[Relation]) -> list[Triplet]:
        once: dict[tuple[str, str, str], Relation] = {}
        for relation in relations:
            once.setdefault(_key(relation), relation)
        ends = list(dict.fromkeys(end for it in once.values() for end in (it.subject, it.object)))
        nodes = {node.id: node for node in self._nodes_of(ends)}
        return [
            (nodes[it.subject], _labelled(it), nodes[it.object])
            for it in once.values()
            if it.subject in nodes and it.object in nodes
        ]

    def _sources(self, nodes: Iterable[LabelledNode]) -> dict[str, str]:
        """The record that each node came from, of those that are in the space."""
        named = {node.id: node.properties.get(TRIPLET_SOURCE_KEY) for node in nodes}
        records = self._records({it for it in named.values() if isinstance(it, str)})
        return {name: source for name, source in named.items() if source in records}

    def _records(self, ids: set[str]) -> set[str]:
        return {record.id for record in self._space.get(list(ids)) if record is not None}

    def _delete_chunks(self, ids: Sequence[str]) -> None:
        records = self._space.get(ids)
        self._space.delete([it.id for it in records if it is not None and is_node(it)])


def _listed(given: Sequence[str], name: str) -> list[str]:
    if isinstance(given, str):
        raise TypeError(f"{name} must be a list of strings, for example [{given!r}]")
    return list(given)


def _has_one(properties: Mapping[str, Any], part: LabelledNode | LabelledRelation) -> bool:
    own = part.properties
    return any(name in own and own[name] == value for name, value in properties.items())


def _key(relation: Relation) -> tuple[str, str, str]:
    return relation.subject, relation.type, relation.object


def _source(mentioning: Sequence[str]) -> dict[str, str]:
    return {TRIPLET_SOURCE_KEY: mentioning[0]} if mentioning else {}


def _without_source(properties: Mapping[str, Any], is_kept: bool) -> dict[str, Any]:
    """What is kept of properties; a record of the space that they name is kept as such."""
    left = dict(properties)
    if is_kept:
        del left[TRIPLET_SOURCE_KEY]
    return left


def _entity(node: EntityNode, known: Entity | None, has_source: bool) -> Entity:
    name = node.name
    if known is not None and not isinstance(node, UniSemEntityNode):
        name = known.name  # LlamaIndex's own node knows no name but its id
    return Entity(
        node.id,
        name,
        aliases=() if known is None else known.aliases,
        kind=None if node.label == _KIND else node.label,
        properties=_without_source(node.properties, has_source),
    )


def _labelled(relation: Relation) -> LabelledRelation:
    source = [] if relation.record_id is None else [relation.record_id]
    return LabelledRelation(
        label=relation.type,
        source_id=relation.subject,
        target_id=relation.object,
        properties={**relation.properties, **_source(source)},
    )


def _llama_node(chunk: ChunkNode) -> BaseNode:
    if "_node_content" not in chunk.properties:
        return TextNode(id_=chunk.id, text=chunk.text, metadata=dict(chunk.properties))
    node = metadata_dict_to_node(chunk.properties)
    node.set_content(chunk.text)
    return node


def _picture(node: BaseNode) -> Any:
    try:
        return image_of(node)
    except ImageError:
        return None  # only a URL, or text that is not base64: the payload has it
