"""Which of our files four walks pass: the table of ``docs/concepts/architecture.md``.

    python -m tools.walks

A file counts if one of its functions runs on the walk, not if it is only imported.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from PIL import Image

from unisem import SemanticSpace

PACKAGES = ("unisem", "langchain_unisem", "llama_index_unisem")
ROOT = Path(sys.modules["unisem"].__file__ or "").resolve().parents[1]


@contextmanager
def passed(files: list[str]) -> Iterator[None]:
    """Note the files of our packages whose functions are called, in order of their first call."""

    def seen(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and not frame.f_code.co_name.startswith("<module>"):
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PACKAGES:
                name = path.relative_to(ROOT).as_posix()
                if path.name != "__init__.py" and name not in files:
                    files.append(name)

    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def draw(folder: Path, count: int) -> None:
    """Captioned pictures, no two alike."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (40, 30), (number * 20, 90, 200)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"card number {number}", encoding="utf-8")


def query(space: SemanticSpace, home: Path) -> None:
    """A text query from LangChain to Faiss and back to content blocks."""
    from langchain_unisem import MultimodalPrompt, UniSemRetriever

    found = UniSemRetriever(space=space, k=2).invoke("card number 1")
    MultimodalPrompt(space=space).invoke({"context": found, "question": "Which?"})


def picture(space: SemanticSpace, home: Path) -> None:
    """A picture from a folder to a row."""
    space.add_folder(home / "more")


def training(space: SemanticSpace, home: Path) -> None:
    """A training run."""
    from unisem.training import PairDataset, Recipe, train_encoder

    pairs = PairDataset.read(home / "cards")
    train_encoder("mini", pairs, home / "trained", recipe=Recipe(epochs=1, batch_size=4))


def node(space: SemanticSpace, home: Path) -> None:
    """A LlamaIndex node in and back."""
    from llama_index.core.schema import ImageNode
    from llama_index.core.vector_stores import VectorStoreQuery

    from llama_index_unisem import UniSemVectorStore

    vector = space.encoder.encode_texts(["card number 1"])[0].tolist()
    path = str(home / "cards" / "1.png")
    with UniSemVectorStore(path=home / "nodes") as store:
        store.add([ImageNode(id_="1", text="a card", image_path=path, embedding=vector)])
        store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=1))


WALKS: tuple[Callable[[SemanticSpace, Path], None], ...] = (query, picture, training, node)


def main() -> None:
    """Print the files of each walk."""
    for rehearsal in (True, False):  # at first, files are imported as well
        with TemporaryDirectory() as folder:
            home = Path(folder)
            draw(home / "cards", 10)
            draw(home / "more", 1)
            with SemanticSpace.open(home / "cards.unisem") as space:
                space.add_folder(home / "cards")
                for walk in WALKS:
                    files: list[str] = []
                    with passed(files):
                        walk(space, home)
                    if not rehearsal:
                        print(f"\n{walk.__doc__}  {len(files)} files\n")
                        print(*files, sep="\n")


if __name__ == "__main__":
    main()
