"""Move a persisted VectorStoreIndex over FaissVectorStore into a UniSem vector store.

    python examples/llama_index_migrate_from_faiss.py storage/ texts.unisem

``storage/`` is what ``index.storage_context.persist("storage/")`` wrote: the Faiss index, the
document store, and the index store, which knows at which number which node is. Vectors are taken
over as they are, so nothing is embedded; llama-index-vector-stores-faiss need not be installed.
Afterwards deletes, filters and updates work, which FaissVectorStore does not have.

Similarity becomes the cosine. An index of vectors of length 1, such as most embeddings give, ranks
as before; one that ranked by the distance of longer vectors may not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import faiss
from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.index_store import SimpleIndexStore

from llama_index_unisem import UniSemVectorStore

BATCH = 1000


def migrate(storage: Path, store: UniSemVectorStore) -> list[str]:
    """Take nodes and vectors over as they are.

    Args:
        storage: The old index's directory.
        store: Where they go.

    Returns:
        The numbers in the Faiss index that no node is known for; nothing was lost with them that
        the old index could have found.
    """
    index = faiss.read_index(str(storage / "default__vector_store.json"))
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is not None:
        inverted.make_direct_map()  # without it a vector cannot be read back
    known = SimpleDocumentStore.from_persist_dir(str(storage)).docs
    ids: dict[str, str] = {}
    for struct in SimpleIndexStore.from_persist_dir(str(storage)).index_structs():
        if isinstance(struct, IndexDict):
            ids |= struct.nodes_dict
    unknown = []
    for start in range(0, index.ntotal, BATCH):
        nodes = []
        rows = index.reconstruct_n(start, min(BATCH, index.ntotal - start))
        for number, row in enumerate(rows, start):
            node = known.get(ids.get(str(number), ""))
            if node is None:
                unknown.append(str(number))
            else:
                node.embedding = row.tolist()
                nodes.append(node)
        if nodes:
            store.add(nodes)
    return unknown


def main(argv: Sequence[str] | None = None) -> None:
    """Move an index."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("storage", type=Path, help="the old index's directory")
    parser.add_argument("store", type=Path, help="the new one, for example texts.unisem")
    given = parser.parse_args(argv)

    with UniSemVectorStore(given.store) as store:
        unknown = migrate(given.storage, store)
        print(f"{len(store.client)} nodes in {given.store}")
        if unknown:
            print(f"{len(unknown)} vectors belong to no node: {', '.join(unknown[:10])}")
    print(
        "Open it with UniSemIndex.from_vector_store, and the embedding that you have used so far."
    )


if __name__ == "__main__":
    main()
