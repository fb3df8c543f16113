"""Move a persisted MultiModalVectorStoreIndex into one UniSem vector store.

    python examples/llama_index_migrate_from_multi_modal.py storage/ cards.unisem
    python examples/llama_index_migrate_from_multi_modal.py storage/ cards.unisem --keep-vectors

``storage/`` is what ``index.storage_context.persist("storage/")`` wrote, with LlamaIndex's own
stores. By default texts and pictures are embedded anew by one model, since the two stores' vectors
come from two models and cannot be compared. If one multimodal model made both, --keep-vectors takes
them as they are: nothing is embedded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llama_index.core import StorageContext
from llama_index.core.schema import BaseNode, ImageNode
from llama_index.core.vector_stores import SimpleVectorStore

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemVectorStore

BATCH = 1000


def migrate(storage: Path, store: UniSemVectorStore, embedding: UniSemEmbedding) -> UniSemIndex:
    """Embed all nodes of the old index into one space; pictures that are gone are left out."""
    context = StorageContext.from_defaults(persist_dir=str(storage))
    index = UniSemIndex.from_vector_store(store, embed_model=embedding)
    index.insert_nodes(list(context.docstore.docs.values()))
    return index


def migrate_vectors(storage: Path, store: UniSemVectorStore) -> int:
    """Take nodes and vectors over as they are.

    Args:
        storage: The old index's directory.
        store: Where they go.

    Returns:
        How many nodes were moved.

    Raises:
        ValueError: The vectors of texts and pictures are of different lengths.
    """
    context = StorageContext.from_defaults(persist_dir=str(storage))
    texts = vectors_of(context, "default")
    pictures = vectors_of(context, "image")
    lengths = {len(vector) for vector in [*texts.values(), *pictures.values()]}
    if len(lengths) > 1:
        raise ValueError(
            f"the vectors are of different lengths, {sorted(lengths)}, so two models made them; "
            "run without --keep-vectors"
        )
    nodes: list[BaseNode] = []
    for name, node in context.docstore.docs.items():
        text, picture = texts.get(name), pictures.get(name)
        node.embedding = text if picture is None else picture
        if isinstance(node, ImageNode) and picture is not None:
            node.text_embedding = text  # the caption's
        if node.embedding is not None:
            nodes.append(node)
    for start in range(0, len(nodes), BATCH):
        store.add(nodes[start : start + BATCH])
    return len(nodes)


def vectors_of(context: StorageContext, namespace: str) -> dict[str, list[float]]:
    """The vectors of one of the old index's stores, by node id."""
    old = context.vector_stores.get(namespace)
    if old is None:
        return {}
    if not isinstance(old, SimpleVectorStore):
        raise TypeError(f"the {namespace} store is a {type(old).__name__}, not LlamaIndex's own")
    return old.data.embedding_dict


def main(argv: Sequence[str] | None = None) -> None:
    """Move an index."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("storage", type=Path, help="the old index's directory")
    parser.add_argument("store", type=Path, help="the new one, for example cards.unisem")
    parser.add_argument("--keep-vectors", action="store_true", help="one model made all vectors")
    parser.add_argument("--model", default="mini", help="what embeds anew")
    given = parser.parse_args(argv)

    with UniSemVectorStore(given.store) as store:
        if given.keep_vectors:
            migrate_vectors(given.storage, store)
        else:
            index = migrate(given.storage, store, UniSemEmbedding(model_name=given.model))
            for skipped in index.skipped:
                print(f"left out: {skipped.name}: {skipped.reason}")
        print(f"{len(store.client)} nodes in {given.store}")


if __name__ == "__main__":
    main()
