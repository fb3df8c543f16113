"""Pictures and notes in one LangChain vector store, searched with text, pictures and filters.

Nothing leaves this machine. With --path the store is kept, and filled only once:

    python examples/langchain_vector_store.py "a striped animal"
    python examples/langchain_vector_store.py "like this" --image photo.jpg
"""

import argparse
from pathlib import Path

from langchain_core.documents import Document

from langchain_unisem import ImageQuery, UniSemEmbeddings, UniSemVectorStore

NOTES = [
    Document("Zebras and tigers have stripes.", id="stripes", metadata={"kind": "note"}),
    Document("A red card ends the game for a player.", id="cards", metadata={"kind": "note"}),
]


def show(title: str, found: list[tuple[Document, float]]) -> None:
    """Print what a search found."""
    print(title)
    for document, score in found:
        print(f"  {score:6.3f}  {document.id}: {document.page_content or '(no caption)'}")


def main() -> None:
    """Fill a store and search it."""
    parser = argparse.ArgumentParser(description="Search pictures and notes with LangChain.")
    parser.add_argument("question")
    parser.add_argument("--image", help="a picture to search with as well")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "gallery")
    parser.add_argument("--path", help="the store's directory; without one it is in memory")
    parser.add_argument("-k", type=int, default=3, help="how many documents to find")
    args = parser.parse_args()

    embeddings = UniSemEmbeddings()  # or any LangChain embeddings, for texts
    with UniSemVectorStore(
        embedding=embeddings, path=args.path, image_roots=[args.folder]
    ) as store:
        if not len(store):
            pictures = sorted(p for p in args.folder.rglob("*") if p.suffix in (".jpg", ".png"))
            metadatas = [{"kind": "picture", "file": picture.name} for picture in pictures]
            store.add_images(pictures, metadatas=metadatas, ids=[p.name for p in pictures])
            store.add_documents(NOTES)
        query = ImageQuery(args.image, args.question) if args.image else args.question
        show("Everything:", store.similarity_search_with_score(query, args.k))
        for kind in ("note", "picture"):
            found = store.similarity_search_with_score(query, args.k, filter={"kind": kind})
            show(f"Only of the kind {kind}:", found)


if __name__ == "__main__":
    main()
