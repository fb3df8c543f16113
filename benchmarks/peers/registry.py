"""`PEERS`: who is measured, known without importing them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from benchmarks.peers.base import Peer

KINDS = ("flat", "panorama", "rabitq", "ivf_rabitq", "ivf_pq", "hnsw", "auto")
"""What a contender's index is.

``flat`` is exact. ``panorama`` is Faiss's own exact search that prunes, bare. ``rabitq`` is codes
of one bit a dimension, or whatever is nearest to that in a peer, and exact rescoring;
``ivf_rabitq`` the same in inverted lists; ``ivf_pq`` our store's codes in lists. ``hnsw`` is a
graph. ``auto`` is what our store chooses.
"""
OURS, BARE = "unisem", "faiss"


@dataclass(frozen=True)
class Entry:
    """One peer.

    Attributes:
        name: What the tables call it.
        module: Its file in this folder.
        public: Its class in that file.
        distributions: What pip installs for it.
        kinds: Kinds of index that it is measured with.
        efforts: Search efforts that are tried, by kind, where it lets its user choose.
        slow: Left out above ``--max-rows-for-slow-peers``.
        durable: Whether an acknowledged write is on disk.
        records: Whether it keeps texts and metadata, or only vectors under numbers.
    """

    name: str
    module: str
    public: str
    distributions: tuple[str, ...]
    kinds: tuple[str, ...]
    efforts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    slow: bool = False
    durable: bool = True
    records: bool = True

    def missing(self) -> list[str]:
        """Distributions that are not installed."""
        return [name for name in self.distributions if not installed(name)]

    def load(self) -> type[Peer]:
        """Import the peer."""
        module = importlib.import_module(f"benchmarks.peers.{self.module}")
        return cast("type[Peer]", getattr(module, self.public))


def installed(distribution: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


_EF: dict[str, tuple[int, ...]] = {"hnsw": (16, 32, 64, 128, 256, 512)}
_SHORTLISTS = {"rabitq": (100, 200, 500, 1000, 2000, 4000)}
_PROBES = {"ivf_rabitq": (4, 16, 64, 256)}

PEERS = {
    entry.name: entry
    for entry in (
        Entry(
            name=BARE,
            module="bare_faiss",
            public="BareFaiss",
            distributions=("faiss-cpu",),
            kinds=tuple(kind for kind in KINDS if kind not in ("ivf_pq", "auto")),
            efforts=_EF | _SHORTLISTS | _PROBES,
            durable=False,
            records=False,
        ),
        Entry(
            name=OURS,
            module="unisem_store",
            public="UniSem",
            distributions=(),  # this checkout,
            kinds=("flat", "ivf_pq", "hnsw", "auto"),
            efforts={"ivf_pq": (2, 4), "hnsw": (2, 4)},
        ),
        Entry(
            name="usearch",
            module="usearch_index",
            public="USearch",
            distributions=("usearch",),
            kinds=("flat", "hnsw"),
            efforts=_EF,
            durable=False,
            records=False,
        ),
        Entry(
            name="turbovec",
            module="turbovec_index",
            public="TurboVec",
            distributions=("turbovec",),
            kinds=("rabitq",),
            efforts=_SHORTLISTS,
            durable=False,
            records=False,
        ),
        Entry(
            name="sqlite-vec",
            module="sqlite_vec_table",
            public="SqliteVec",
            distributions=("sqlite-vec", "apsw"),
            kinds=("flat", "rabitq"),
            efforts=_SHORTLISTS,
            slow=True,
        ),
        Entry(
            name="lancedb",
            module="lance",
            public="LanceDB",
            distributions=("lancedb",),
            kinds=("flat", "ivf_rabitq", "hnsw"),
            efforts=_EF | _PROBES,
        ),
        Entry(
            name="chroma",
            module="chroma",
            public="Chroma",
            distributions=("chromadb",),
            kinds=("hnsw",),
            efforts=_EF,
            slow=True,
        ),
        Entry(
            name="milvus-lite",
            module="milvus_lite",
            public="MilvusLite",
            distributions=("pymilvus", "milvus-lite"),
            kinds=("flat", "hnsw"),
            efforts=_EF,
            slow=True,
        ),
        Entry(
            name="qdrant-local",
            module="qdrant",
            public="QdrantLocal",
            distributions=("qdrant-client",),
            kinds=("flat",),
            slow=True,
        ),
        Entry(
            name="langchain-faiss",
            module="langchain_faiss",
            public="LangChainFaiss",
            distributions=("langchain-community", "faiss-cpu"),
            kinds=("flat",),
            slow=True,
            durable=False,
        ),
        Entry(
            name="llama-index-faiss",
            module="llama_index_faiss",
            public="LlamaIndexFaiss",
            distributions=("llama-index-vector-stores-faiss", "faiss-cpu"),
            kinds=("flat",),
            slow=True,
            durable=False,
        ),
    )
}
