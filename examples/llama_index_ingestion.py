"""Keep a folder of pictures and texts indexed with LlamaIndex; only what has changed is embedded.

    python examples/llama_index_ingestion.py "a red card"
    python examples/llama_index_ingestion.py "a red card" --folder cards/ --state state/

Run it again with the same --state after files have changed, come or gone. Nothing leaves this
machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_unisem import (
    TextsOnly,
    UniSemEmbedding,
    UniSemImageReader,
    UniSemIndex,
    UniSemVectorStore,
)

GALLERY = Path(__file__).parent / "gallery"


def ingest(folder: Path, embedding: UniSemEmbedding, store: UniSemVectorStore, state: Path) -> int:
    """Bring the store up to date with the folder.

    Args:
        folder: Pictures with captions, and texts.
        embedding: Embeds both.
        store: Where nodes and vectors go.
        state: Where the pipeline keeps what it has seen.

    Returns:
        How many nodes are new.
    """
    pipeline = IngestionPipeline(
        # A splitter by itself would cut captions, or lose pictures; it is for texts only.
        transformations=[TextsOnly(SentenceSplitter(chunk_size=256)), embedding],
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    )
    if state.exists():
        pipeline.load(str(state))
    reader = UniSemImageReader(folder)
    nodes = pipeline.run(documents=reader.load_data())
    for skipped in reader.skipped:
        print(f"left out: {skipped.name}: {skipped.reason}")
    pipeline.persist(str(state))
    return len(nodes)


def main(argv: Sequence[str] | None = None) -> None:
    """Ingest a folder, then ask."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("question")
    parser.add_argument("--folder", type=Path, default=GALLERY, help="pictures and texts")
    parser.add_argument("--state", type=Path, default=Path("unisem_state"), help="a directory")
    parser.add_argument("--model", default="mini")
    given = parser.parse_args(argv)

    embedding = UniSemEmbedding(model_name=given.model)
    given.state.mkdir(parents=True, exist_ok=True)
    with UniSemVectorStore(given.state / "vectors.unisem") as store:
        new = ingest(given.folder, embedding, store, given.state / "pipeline")
        print(f"{new} new nodes, {len(store.client)} in all")
        index = UniSemIndex.from_vector_store(store, embed_model=embedding)
        for hit in index.as_retriever(similarity_top_k=3).retrieve(given.question):
            print(f"{hit.score:.3f}  {hit.node.ref_doc_id}  {hit.text[:60]!r}")


if __name__ == "__main__":
    main()
