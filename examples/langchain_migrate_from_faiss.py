"""Step 2 of leaving LangChain's FAISS store: the exported files to a `UniSemVectorStore`.

langchain_export_faiss.py makes the files, where the old store works. Here no pickle is read, and
nothing is embedded but a few texts, to see that the embeddings are those of the old store:

    python examples/langchain_migrate_from_faiss.py exported/ notes.unisem \
        --embeddings langchain_openai:OpenAIEmbeddings

Running it again goes on after an interruption: a document that exists is replaced.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from langchain_unisem import UniSemVectorStore

BATCH = 1000
ALIKE = 0.99  # the cosine of one text's vectors, from the old store and from the embeddings now


def documents(exported: Path) -> Iterator[dict[str, Any]]:
    """The exported documents."""
    with (exported / "documents.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def check(exported: Path, vectors: np.ndarray, embeddings: Embeddings, count: int) -> None:
    """See that the files belong together, and some texts' vectors are what they would be now."""
    chosen = set(np.linspace(0, len(vectors) - 1, min(count, len(vectors)), dtype=int).tolist())
    name = type(embeddings).__name__
    seen = 0
    for row, document in enumerate(documents(exported)):
        seen += 1
        if row not in chosen:
            continue
        now = np.array(embeddings.embed_documents([document["text"]])[0])
        old = vectors[row]
        if now.shape != old.shape:
            raise SystemExit(
                f"the old vectors have {len(old)} dimensions, those of {name} have {len(now)}; "
                "give the embeddings that the old store was made with"
            )
        cosine = float(now @ old / (np.linalg.norm(now) * np.linalg.norm(old)))
        if cosine < ALIKE:
            raise SystemExit(
                f"document {document['id']!r} has another vector with {name} (cosine "
                f"{cosine:.2f}); give the embeddings that the old store was made with"
            )
    if seen != len(vectors):
        raise SystemExit(f"{exported} has {seen} documents and {len(vectors)} vectors")


def main() -> None:
    """Fill the new store."""
    parser = argparse.ArgumentParser(description="Import an exported FAISS store of LangChain.")
    parser.add_argument("exported", type=Path, help="what langchain_export_faiss.py wrote")
    parser.add_argument("path", type=Path, help="the new store's directory")
    parser.add_argument(
        "--embeddings",
        required=True,
        metavar="MODULE:NAME",
        help="a class or function that is called without arguments and gives the old embeddings",
    )
    parser.add_argument("--check", type=int, default=5, help="how many texts to embed and compare")
    args = parser.parse_args()

    vectors = np.load(args.exported / "vectors.npy", mmap_mode="r", allow_pickle=False)
    embeddings = resolve_name(args.embeddings)()
    check(args.exported, vectors, embeddings, args.check)
    with UniSemVectorStore(embedding=embeddings, path=args.path) as store:
        rows = enumerate(documents(args.exported))
        while batch := list(islice(rows, BATCH)):
            store.add_embeddings(
                [(document["text"], vectors[row]) for row, document in batch],
                [document["metadata"] for _, document in batch],
                ids=[document["id"] for _, document in batch],
            )
            print(f"{batch[-1][0] + 1} of {len(vectors)}")
        print(f"{args.path} holds {len(store)} documents")


if __name__ == "__main__":
    main()
