"""`StoredNodesIndex`: how nodes get into a `UniSemIndex`, and out of it again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.data_structs.registry import INDEX_STRUCT_TYPE_TO_INDEX_STRUCT_CLASS
from llama_index.core.data_structs.struct_type import IndexStructType
from llama_index.core.indices.vector_store.base import VectorStoreIndex
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.storage.docstore.types import RefDocInfo
from llama_index.core.utils import iter_batch

from llama_index_unisem.indices.node_embedder import NodeEmbedder
from llama_index_unisem.node_images import has_image
from llama_index_unisem.vector_stores.codec import is_own_source, listed
from llama_index_unisem.vector_stores.store import UniSemVectorStore
from unisem.common.skipped import Skipped

if TYPE_CHECKING:
    from unisem import SemanticSpace

# LlamaIndex's enumeration is closed, and strings equal to its members are what it stores.
STRUCT_TYPE = cast(IndexStructType, "unisem_vector_store")

_log = logging.getLogger(__name__)


@dataclass
class UniSemIndexStruct(IndexDict):
    """The ids of the nodes that are kept in the document store as well.

    It has a type of its own, so that ``load_index_from_storage`` makes a `UniSemIndex` again and
    not a ``VectorStoreIndex``, which would drop pictures without text.
    """

    def delete(self, doc_id: str) -> None:
        """Forget a node; one that is not known is no error."""
        self.nodes_dict.pop(doc_id, None)

    @classmethod
    def get_type(cls) -> IndexStructType:
        """The name under which an index store keeps this class."""
        return STRUCT_TYPE


INDEX_STRUCT_TYPE_TO_INDEX_STRUCT_CLASS[STRUCT_TYPE] = UniSemIndexStruct


class StoredNodesIndex(VectorStoreIndex):
    """An index whose nodes, with and without pictures, are all in a `UniSemVectorStore`."""

    _vector_store: UniSemVectorStore
    _skipped: list[Skipped]

    @property
    def vector_store(self) -> UniSemVectorStore:
        """Where the nodes are."""
        return self._vector_store

    @property
    def space(self) -> SemanticSpace | None:
        """The space that is indexed, if there is one."""
        return self._vector_store.space

    @property
    def skipped(self) -> list[Skipped]:
        """The nodes that this object has left out, and why."""
        return list(self._skipped)

    # -- writing -------------------------------------------------------------------------------

    def build_index_from_nodes(self, nodes: Sequence[BaseNode], **insert_kwargs: Any) -> IndexDict:
        """Store the first nodes; LlamaIndex's own drops pictures without text."""
        return self._build_index_from_nodes(nodes, **insert_kwargs)

    def _add_nodes_to_index(
        self,
        index_struct: IndexDict,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,
        **insert_kwargs: Any,
    ) -> None:
        embedder = NodeEmbedder(self._embed_model, self._skipped)
        for batch in iter_batch(self._with_content(nodes), self._insert_batch_size):
            embedded = self._stored(embedder.embed(batch, show_progress), insert_kwargs)
            if self._store_nodes_override:
                self._docstore.add_documents(_kept(index_struct, embedded), allow_update=True)

    async def _async_add_nodes_to_index(
        self,
        index_struct: IndexDict,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,
        **insert_kwargs: Any,
    ) -> None:
        embedder = NodeEmbedder(self._embed_model, self._skipped)
        for batch in iter_batch(self._with_content(nodes), self._insert_batch_size):
            embedded = await embedder.aembed(batch, show_progress)
            embedded = await asyncio.to_thread(self._stored, embedded, insert_kwargs)
            if self._store_nodes_override:
                kept = _kept(index_struct, embedded)
                await self._docstore.async_add_documents(kept, allow_update=True)

    def _with_content(self, nodes: Sequence[BaseNode]) -> list[BaseNode]:
        kept: list[BaseNode] = []
        for node in listed(nodes):
            if (
                has_image(node)
                or node.embedding is not None
                or node.get_content(metadata_mode=MetadataMode.EMBED)
            ):
                kept.append(node)
            else:
                self._leave_out(node, "has neither text nor picture")
        return kept

    def _stored(self, nodes: list[BaseNode], options: dict[str, Any]) -> list[BaseNode]:
        """Store nodes but for those that no store can keep, which do not cost the others."""
        try:
            self._vector_store.add(nodes, **options)
        except ValueError:
            kept: list[BaseNode] = []
            for node in nodes:
                try:
                    self._vector_store.check(node)
                except ValueError as error:
                    self._leave_out(node, str(error))
                else:
                    kept.append(node)
            if len(kept) == len(nodes):
                raise
            self._vector_store.add(kept, **options)
            return kept
        return nodes

    def _leave_out(self, node: BaseNode, reason: str) -> None:
        _log.warning("node %r is left out: %s", node.node_id, reason)
        self._skipped.append(Skipped(node.node_id, reason))

    # -- deleting ------------------------------------------------------------------------------

    def delete_ref_doc(
        self, ref_doc_id: str, delete_from_docstore: bool = False, **delete_kwargs: Any
    ) -> None:
        """Remove a document's nodes; `refresh_ref_docs` with the document brings them back.

        Args:
            ref_doc_id: The document's id.
            delete_from_docstore: From the document store, too.
            **delete_kwargs: Other stores' options; not looked at.
        """
        super().delete_ref_doc(ref_doc_id, delete_from_docstore, **delete_kwargs)
        if delete_from_docstore:
            self._docstore.delete_document(ref_doc_id, raise_error=False)
        elif self._docstore.get_document_hash(ref_doc_id) is not None:
            self._docstore.set_document_hash(ref_doc_id, "")

    async def adelete_ref_doc(
        self, ref_doc_id: str, delete_from_docstore: bool = False, **delete_kwargs: Any
    ) -> None:
        """As `delete_ref_doc`."""
        await super().adelete_ref_doc(ref_doc_id, delete_from_docstore, **delete_kwargs)
        if delete_from_docstore:
            await self._docstore.adelete_document(ref_doc_id, raise_error=False)
        elif await self._docstore.aget_document_hash(ref_doc_id) is not None:
            await self._docstore.aset_document_hash(ref_doc_id, "")

    @property
    def ref_doc_info(self) -> dict[str, RefDocInfo]:
        """The ingested documents with their nodes' ids; reads every record once."""
        found: dict[str, RefDocInfo] = {}
        for record in self._vector_store.client.select():
            source = record.id if is_own_source(record) else record.source_id
            if source is not None:
                info = found.setdefault(source, RefDocInfo(metadata=dict(record.metadata)))
                info.node_ids.append(record.id)
        return found


def _kept(index_struct: IndexDict, nodes: Sequence[BaseNode]) -> list[BaseNode]:
    """The nodes as the document store keeps them, without vectors, their ids noted."""
    kept = [node.model_copy(update={"embedding": None}) for node in nodes]
    for node in kept:
        index_struct.add_node(node, text_id=node.node_id)
    return kept
