"""A space in Milvus, for what is larger than a machine; pymilvus is imported as one is opened."""

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.stores.milvus.kind import MilvusKind as MilvusKind
    from unisem.stores.milvus.store import MilvusStore as MilvusStore

__getattr__, __dir__, __all__ = lazy_names(__name__)
