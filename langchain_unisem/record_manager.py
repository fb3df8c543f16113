"""`SpaceRecordManager`: what LangChain's indexing API has indexed, told by the space itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from langchain_core.indexing import RecordManager

from unisem.common.threads import in_thread
from unisem.records import EmbeddedRecord, Record
from unisem.space import SemanticSpace

_INDEXED = "indexed"  # key of payloads: the namespace and the source that a record is indexed for


class SpaceRecordManager(RecordManager):
    """Keep a space in step with loaders, by ``index(loader, manager, store, cleanup="full")``.

    LangChain's own managers keep in another database what they believe to be in the store. This one
    asks the space, so that the two cannot differ, and nothing need be kept beside it. A record says
    for which namespace and which source it was indexed; those of other namespaces, and what came by
    another way, are not the index's to remove.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        space: The space of the `UniSemVectorStore` that is indexed into.
        namespace: What is cleaned up together: ``"mail"``, ``"wiki"``. A document that two of them
            have belongs to the one that was indexed last.

    Instantiate and use:
        ```python
        from langchain_core.indexing import index

        from langchain_unisem import ImageFolderLoader, SpaceRecordManager, image_key

        index(
            ImageFolderLoader("photos/"),
            SpaceRecordManager(space),
            store,
            cleanup="full",  # or "incremental", "scoped_full"
            source_id_key="source",
            key_encoder=image_key,
        )
        ```

    A document's id is its key, as ``index`` has it. Make a new manager for each call, or keep one:
    what it knows besides is only which keys were met since when.
    """

    def __init__(self, space: SemanticSpace, namespace: str = "unisem") -> None:
        super().__init__(namespace)
        self._space = space
        self._met: dict[str, float] = {}  # keys that were met by this manager, and when

    def create_schema(self) -> None:
        """Nothing is to be made."""

    async def acreate_schema(self) -> None:
        """Nothing is to be made."""

    def get_time(self) -> float:
        """Seconds of this machine's clock, which nobody else writes here."""
        return time.time()

    async def aget_time(self) -> float:
        """As `get_time`."""
        return self.get_time()

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Remember that these keys were met now, and have their records say so.

        Raises:
            ValueError: There are not as many groups as keys, or the clock was set back.
            StoreError: The space cannot be written to.
        """
        if group_ids is not None and len(group_ids) != len(keys):
            raise ValueError(f"{len(keys)} keys and {len(group_ids)} groups do not go together")
        now = self.get_time()
        if time_at_least is not None and time_at_least > now:
            raise ValueError("the clock was set back while documents were indexed; index again")
        self._mark(dict(zip(keys, group_ids or [None] * len(keys), strict=True)))
        self._met.update(dict.fromkeys(keys, now))

    async def aupdate(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """As `update`, in a thread."""
        await in_thread(self.update, keys, group_ids=group_ids, time_at_least=time_at_least)

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """Which of these keys are ids of records."""
        return [record is not None for record in self._space.get(list(keys))]

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """As `exists`, in a thread."""
        return await in_thread(self.exists, keys)

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """The ids of what was indexed for this namespace.

        Args:
            before: Only those that were last met before this time.
            after: Only those that were last met after it.
            group_ids: Only those of these sources.
            limit: At most so many.
        """
        wanted = None if group_ids is None else set(group_ids)
        found = (
            record.id
            for record in self._space.store.select()
            if (mark := _mark_of(record))[0] == self.namespace
            and (wanted is None or mark[1] in wanted)
            and (before is None or self._met.get(record.id, 0.0) < before)
            and (after is None or self._met.get(record.id, 0.0) > after)
        )
        return list(islice(found, limit))

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """As `list_keys`, in a thread."""
        return await in_thread(
            self.list_keys, before=before, after=after, group_ids=group_ids, limit=limit
        )

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Forget keys; their documents are the vector store's to delete."""
        for key in keys:
            self._met.pop(key, None)

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """As `delete_keys`."""
        self.delete_keys(keys)

    def _mark(self, groups: dict[str, str | None]) -> None:
        """Have records say for which namespace and source they are; those that do are left."""
        items: list[EmbeddedRecord] = []
        ids, store = list(groups), self._space.store
        for record, vectors in zip(store.get(ids), store.vectors(ids), strict=True):
            if record is None or vectors is None:
                continue
            known = _mark_of(record)
            mark = [self.namespace, groups[record.id] or known[1]]
            if mark != known:
                payload = {**record.payload, _INDEXED: mark}
                items.append(EmbeddedRecord(replace(record, payload=payload), vectors))
        store.add(items)


def _mark_of(record: Record) -> list[Any]:
    """For which namespace and source a record was indexed; its metadata's, if it does not say."""
    match record.payload.get(_INDEXED):
        case [str() as namespace, str() | int() | None as group]:
            return [namespace, group]
    source = record.metadata.get("source")
    return [None, source if isinstance(source, str | int) else None]
