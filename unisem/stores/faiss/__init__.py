"""The embedded store: SQLite holds the truth, Faiss is derived from it and can be rebuilt."""

from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.faiss.kind import FaissKind
from unisem.stores.faiss.store import FaissStore

__all__ = ["FaissKind", "FaissStore", "IndexSettings"]
