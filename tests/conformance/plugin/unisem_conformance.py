"""A pytest plugin that puts `UniSemVectorStore` where LlamaIndex has its `SimpleVectorStore`.

It lies in a folder of its own, which alone is put on the path: the tests that it is loaded for are
a package called ``tests`` as well. What each test did is written as one line of JSON.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import llama_index.core.indices
import llama_index.core.vector_stores.utils as filter_module
import pytest
from llama_index.core.schema import BaseNode, TextNode
from llama_index.core.vector_stores import simple
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index_unisem import UniSemVectorStore

_used = 0


class ShippedStore(UniSemVectorStore):
    """Our store in memory, with what upstream's tests use to look inside `SimpleVectorStore`.

    Nothing here takes part in adding, deleting or searching.
    """

    def __init__(self, path: str | Path | None = None, *, fs: object = None) -> None:
        super().__init__(path)

    def get(self, text_id: str) -> list[float]:
        """One node's vector."""
        return self.data.embedding_dict[text_id]  # type: ignore[no-any-return]

    @property
    def _data(self) -> SimpleNamespace:
        return self.data

    @property
    def data(self) -> SimpleNamespace:
        """A copy of what is stored, in `SimpleVectorStore`'s words."""
        records = list(self.client.select())
        vectors = self.client.vectors([record.id for record in records])
        return SimpleNamespace(
            embedding_dict={
                record.id: next(iter((kinds or {}).values())).ravel().tolist()
                for record, kinds in zip(records, vectors, strict=True)
            },
            text_id_to_ref_doc_id={record.id: record.source_id or "None" for record in records},
            metadata_dict={record.id: dict(record.metadata) for record in records},
        )

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        _count_use()
        return super().add(nodes, **kwargs)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        _count_use()
        return super().query(query, **kwargs)


class DocstoreStore(ShippedStore):
    """The same, for an index that keeps the texts in its docstore, as with `SimpleVectorStore`."""

    def __init__(self, path: str | Path | None = None, *, fs: object = None) -> None:
        super().__init__(path)
        self.stores_text = False


STORES: dict[str, type[ShippedStore] | None] = {
    "stock": None,
    "shipped": ShippedStore,
    "docstore": DocstoreStore,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--conformance-store", choices=sorted(STORES), required=True)
    group.addoption("--conformance-log", type=Path, required=True)
    group.addoption("--conformance-timeout", type=int, default=60)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before any of upstream's files is imported."""
    store = STORES[early_config.known_args_namespace.conformance_store]
    if store is not None:
        _substitute("SimpleVectorStore", simple.SimpleVectorStore, store)
        original = filter_module.build_metadata_filter_fn
        _substitute("build_metadata_filter_fn", original, _filter_of(store))


def _substitute(name: str, original: object, ours: object) -> None:
    for module in list(sys.modules.values()):
        inside = getattr(module, "__name__", "").startswith("llama_index.core")
        if inside and vars(module).get(name) is original:
            setattr(module, name, ours)


def _filter_of(store: type[ShippedStore]) -> Callable[..., Callable[[str], bool]]:
    """What upstream tests its filters by, decided by a search of our store."""

    def build_metadata_filter_fn(
        metadata_of: Callable[[str], dict[str, Any]], filters: MetadataFilters | None = None
    ) -> Callable[[str], bool]:
        def is_found(node_id: str) -> bool:
            nodes = store()
            nodes.add([TextNode(id_=node_id, embedding=[1.0], metadata=metadata_of(node_id))])
            found = nodes.query(VectorStoreQuery(query_embedding=[1.0], filters=filters))
            return found.ids == [node_id]

        return is_found

    return build_metadata_filter_fn


def _count_use() -> None:
    global _used
    _used += 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note whether the test used the store, and end it if it hangs."""
    before = _used
    seconds = item.config.getoption("conformance_timeout")

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        item.user_properties.append(("used", _used > before))


class _Log:
    """One line for each test: the worst that befell it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _write(self, test: str, outcome: str, message: str, used: bool) -> None:
        parts = {"test": test, "outcome": outcome, "message": message, "used": used}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(parts) + "\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        used = bool(dict(report.user_properties).get("used"))
        if report.failed:
            self._write(report.nodeid, "failed", _reason(report), used)
        elif report.skipped:
            self._write(report.nodeid, "skipped", _reason(report), used)
        elif report.when == "call":
            self._write(report.nodeid, "passed", "", used)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, "failed", _reason(report), used=False)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines = [line for line in text.splitlines() if line.strip()]
    line = lines[-1] if crash is None and lines else (lines or [""])[0]
    return line[:300]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Log(config.getoption("conformance_log")), "conformance-log")


assert llama_index.core.indices  # imported so that every module which names the store is there
