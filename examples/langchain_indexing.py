"""Keep a vector store in step with a folder of pictures, by LangChain's indexing API.

Run it, change, add or remove pictures or captions, and run it again: what is unchanged is skipped,
what changed is embedded anew, what is gone is removed. Nothing leaves this machine.

    python examples/langchain_indexing.py photos/ --path photos.unisem
    python examples/langchain_indexing.py photos/ --path photos.unisem --question "a red card"
"""

import argparse
from pathlib import Path

from langchain_core.indexing import index

from langchain_unisem import (
    ImageFolderLoader,
    SpaceRecordManager,
    UniSemVectorStore,
    image_key,
)
from unisem import SemanticSpace
from unisem.common.skipped import Skipped


def main() -> None:
    """Bring the store up to date, and search it."""
    parser = argparse.ArgumentParser(description="Index a folder of pictures with LangChain.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "gallery")
    parser.add_argument("--path", help="the store's directory; without one it is in memory")
    parser.add_argument("--question", help="words to search with afterwards")
    args = parser.parse_args()

    skipped: list[Skipped] = []
    with SemanticSpace.open(args.path, image_roots=[args.folder]) as space:
        store = UniSemVectorStore(space=space)
        done = index(
            ImageFolderLoader(args.folder, on_skip=skipped.append),
            SpaceRecordManager(space),
            store,
            cleanup="full",
            source_id_key="source",
            key_encoder=image_key,
        )
        print(", ".join(f"{count} {name.removeprefix('num_')}" for name, count in done.items()))
        for item in skipped:
            print(f"not used: {item.name} {item.reason}")
        if args.question:
            for document in store.similarity_search(args.question, k=3):
                print(
                    f"{document.metadata['file_name']}: {document.page_content or '(no caption)'}"
                )


if __name__ == "__main__":
    main()
