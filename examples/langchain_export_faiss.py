"""Step 1 of leaving LangChain's FAISS store: its folder to plain files.

Run it where the old store works; it needs langchain-community, faiss and NumPy, not UniSem:

    python langchain_export_faiss.py old_index/ exported/ --allow-dangerous-deserialization

A folder that `FAISS.save_local` wrote holds a pickle, and reading a pickle runs whatever code is
in it. Give the flag only for a folder that you wrote yourself or trust as you trust a program.
Step 2, langchain_migrate_from_faiss.py, reads only what this script writes:

    documents.jsonl   {"id": …, "text": …, "metadata": {…}}, one document a line
    vectors.npy       (n, d) float32: the vector of each line, as the index has it
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings


class NoEmbeddings(Embeddings):
    """`load_local` asks for embeddings and does not use them."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Refuse."""
        raise RuntimeError("an export embeds nothing")

    def embed_query(self, text: str) -> list[float]:
        """Refuse."""
        raise RuntimeError("an export embeds nothing")


def plain(value: Any) -> Any:
    """The nearest JSON: numbers of NumPy as numbers, dates and the like as strings."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case np.generic() | np.ndarray():
            return plain(value.tolist())
    return str(value)


def vectors_of(index: Any) -> np.ndarray:
    """Every vector of an index of any kind; compressed ones come back as they were compressed."""
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is not None:
        inverted.make_direct_map()
    return index.reconstruct_n(0, index.ntotal)


def main() -> None:
    """Read the old store and write the files."""
    parser = argparse.ArgumentParser(description="Export a FAISS store of LangChain.")
    parser.add_argument("folder", type=Path, help="what FAISS.save_local wrote")
    parser.add_argument("exported", type=Path, help="a new folder for the export")
    parser.add_argument("--index-name", default="index", help="as it was given to save_local")
    parser.add_argument("--allow-dangerous-deserialization", action="store_true")
    args = parser.parse_args()
    if not args.allow_dangerous_deserialization:
        parser.error(
            f"reading {args.folder / args.index_name}.pkl runs whatever code is in it; if you "
            "trust it, say so with --allow-dangerous-deserialization"
        )
    old = FAISS.load_local(
        str(args.folder),
        NoEmbeddings(),
        args.index_name,
        allow_dangerous_deserialization=True,
    )
    if not old.index.ntotal:
        parser.error(f"{args.folder} is empty")
    vectors = vectors_of(old.index)
    args.exported.mkdir(parents=True)  # an error if it exists: nothing is overwritten
    rows: list[int] = []
    changed = 0
    with (args.exported / "documents.jsonl").open("w", encoding="utf-8") as file:
        for row, name in sorted(old.index_to_docstore_id.items()):
            document = old.docstore.search(name)
            if not isinstance(document, Document) or row >= len(vectors):
                print(f"left out: {name!r} has no document or no vector", file=sys.stderr)
                continue
            metadata = plain(document.metadata)
            changed += metadata != document.metadata
            line = {"id": str(name), "text": document.page_content, "metadata": metadata}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            rows.append(row)
    np.save(args.exported / "vectors.npy", vectors[rows].astype("<f4"), allow_pickle=False)
    print(f"{len(rows)} documents with vectors of {vectors.shape[1]} dimensions")
    if changed:
        print(f"{changed} had metadata that are not JSON; they were turned into strings and lists")


if __name__ == "__main__":
    main()
