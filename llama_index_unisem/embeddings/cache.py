"""`RoleCache`: an embeddings cache that keeps queries, documents and models apart.

LlamaIndex looks vectors up by the raw text alone. A document's vector would then answer for the
same text as a query, which for asymmetric encoders is another vector, and one model's vectors
would answer for another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

from unisem.encoders.base import Role

_role: ContextVar[Role] = ContextVar("unisem_cached_role", default="document")


@contextmanager
def caching_queries() -> Iterator[None]:
    """Within the block, this thread's or task's look-ups are for queries."""
    token = _role.set("query")
    try:
        yield
    finally:
        _role.reset(token)


class RoleCache(BaseKVStore):
    """A view of a key-value store in which each collection is one encoder's, and one role's.

    Args:
        store: Any LlamaIndex key-value store.
        fingerprint: Of the encoder whose vectors are cached.
    """

    def __init__(self, store: BaseKVStore, fingerprint: str) -> None:
        self.store: BaseKVStore = store.store if isinstance(store, RoleCache) else store
        self._fingerprint = fingerprint

    def _own(self, collection: str) -> str:
        return f"{collection}/{self._fingerprint[:16]}/{_role.get()}"

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Keep a value."""
        self.store.put(key, val, self._own(collection))

    async def aput(
        self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION
    ) -> None:
        """Keep a value."""
        await self.store.aput(key, val, self._own(collection))

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return a value, or ``None``."""
        return self.store.get(key, self._own(collection))

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return a value, or ``None``."""
        return await self.store.aget(key, self._own(collection))

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values."""
        return self.store.get_all(self._own(collection))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values."""
        return await self.store.aget_all(self._own(collection))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove a value; whether there was one."""
        return self.store.delete(key, self._own(collection))

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove a value; whether there was one."""
        return await self.store.adelete(key, self._own(collection))
