"""`UniSemIndexStruct`: what an index store keeps of a `UniSemIndex`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.data_structs.registry import INDEX_STRUCT_TYPE_TO_INDEX_STRUCT_CLASS
from llama_index.core.data_structs.struct_type import IndexStructType

# LlamaIndex's enumeration is closed, and strings equal to its members are what it stores.
STRUCT_TYPE = cast(IndexStructType, "unisem_vector_store")


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
