"""Pictures and texts in LlamaIndex's own index, kept in a UniSem vector store.

Run it offline: ``python examples/llama_index_vector_store.py "a red card"``
"""

from __future__ import annotations

import argparse
from pathlib import Path

from llama_index.core import VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import BaseNode, ImageNode, TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llama_index_unisem import UniSemEmbedding, UniSemVectorStore
from unisem.common.skipped import Skipped
from unisem.readers import FolderReader

GALLERY = Path(__file__).parent / "gallery"


def nodes_of(folder: Path) -> list[BaseNode]:
    """A node for each picture, with its caption, and for each text in a folder."""
    nodes: list[BaseNode] = []
    for record in FolderReader(folder):
        if isinstance(record, Skipped):
            continue
        metadata = {**record.metadata, "picture": "no" if record.image is None else "yes"}
        if record.image is None:
            nodes.append(TextNode(id_=record.id, text=record.text or "", metadata=metadata))
        else:
            path, caption = str(record.image.path), record.text or ""
            node = ImageNode(id_=record.id, text=caption, image_path=path, metadata=metadata)
            nodes.append(node)
    return nodes


def main(arguments: list[str] | None = None) -> None:
    """Index a folder, ask it in three ways."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("question")
    parser.add_argument("--folder", type=Path, default=GALLERY)
    parser.add_argument("--store", help="a directory to keep everything in; memory by default")
    parser.add_argument("--model", default="mini")
    given = parser.parse_args(arguments)

    embedding = UniSemEmbedding(model_name=given.model)
    with UniSemVectorStore(given.store) as store:
        pipeline = IngestionPipeline(transformations=[embedding], vector_store=store)
        pipeline.run(nodes=nodes_of(given.folder))
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)

        pictures = MetadataFilters(filters=[MetadataFilter(key="picture", value="yes")])
        asked = {
            "by meaning": index.as_retriever(similarity_top_k=3),
            "by words and meaning": index.as_retriever(
                similarity_top_k=3, vector_store_query_mode="hybrid"
            ),
            "pictures only": index.as_retriever(similarity_top_k=3, filters=pictures),
        }
        for name, retriever in asked.items():
            print(f"{name}:")
            for found in retriever.retrieve(given.question):
                print(f"  {found.score:.3f}  {found.node_id}  {found.node.get_content()[:60]!r}")


if __name__ == "__main__":
    main()
