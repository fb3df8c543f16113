"""A question to a manual: does its figure come back, and its page? Beside the frameworks' readers.

The same files for all, the same text vectors (``mini``), the five best. LangChain's and
LlamaIndex's chains are their usual ones: their reader, their splitter (1,000 characters, 200 of
them twice; 256 tokens, as ``mini`` reads no more), search by vectors. UniSem's is a folder added to
a space, searched by ``mode="hybrid"``: its five hits count for the page, and what ``neighbors=1``
brings with them for the figure, too.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.documents_figures import Figure, figures_of, manuals_in
from unisem import Encoder, SemanticSpace, load_encoder

K = 5


@dataclass(frozen=True)
class Answers:
    """What came back for each question, as 0 or 1.

    Attributes:
        pages: Something from the figure's page, or of HTML from its file.
        figures: The figure's picture.
    """

    pages: list[float]
    figures: list[float]


def answers_of(folder: Path, names: Sequence[str], others: int) -> dict[str, Answers]:
    """Ask for each figure by its caption.

    Args:
        folder: With the manuals.
        names: Which of them.
        others: Of a manual in HTML, so many pages without a figure as well.
    """
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve() / "manuals"
        for name, source, files in manuals_in(folder):
            if name not in names:
                continue
            found = figures_of(name, source, files, 1000)
            figures += found
            kept = {figure.file for figure in found}
            left = [path for path in files if path not in kept]
            kept |= set(random.Random(0).sample(left, min(others, len(left))))
            for path in sorted(kept):
                (root / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / name / path.name)
            for figure in found:
                if figure.image.region is None and figure.image.path is not None:
                    beside = figure.image.path.relative_to(source)
                    (root / name / beside).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(figure.image.path, root / name / beside)
        encoder = load_encoder("mini", device="cpu")
        asked = encoder.encode_texts([figure.caption for figure in figures], role="query")
        answers = {"UniSem": _ours(root, figures, encoder)}
        for told, chunks in (("LangChain", _langchain(root)), ("LlamaIndex", _llama_index(root))):
            places, texts = zip(*chunks, strict=True)
            scores = asked @ encoder.encode_texts(list(texts)).T
            best = np.argsort(-scores, axis=1)[:, :K]
            pages = [
                float(any(_is_place(figure, *places[one]) for one in row))
                for figure, row in zip(figures, best, strict=True)
            ]
            answers[told] = Answers(pages, [0.0] * len(figures))
    return answers


def _ours(root: Path, figures: Sequence[Figure], encoder: Encoder) -> Answers:
    pages: list[float] = []
    shown: list[float] = []
    with SemanticSpace.open(root.parent / "them.unisem", encoder=encoder) as space:
        space.add_folder(root)
        for figure in figures:
            hits = space.search(figure.caption, k=K, mode="hybrid")
            places = [_place(hit.record.metadata) for hit in hits]
            pages.append(float(any(_is_place(figure, *place) for place in places)))
            hits = space.search(figure.caption, k=K, mode="hybrid", neighbors=1)
            found = [hit.record for hit in hits]
            shown.append(
                float(
                    any(
                        _is_place(figure, *_place(one.metadata))
                        and figure.caption in str(one.metadata.get("caption"))
                        for one in found
                    )
                )
            )
    return Answers(pages, shown)


def _place(metadata: object) -> tuple[str, int | None]:
    assert isinstance(metadata, dict)
    return Path(str(metadata["file_name"])).name, metadata.get("page")


def _is_place(figure: Figure, file: str, page: int | None) -> bool:
    return file == figure.file.name and (figure.page is None or page == figure.page)


def _langchain(root: Path) -> Iterator[tuple[tuple[str, int | None], str]]:
    """Places, and texts."""
    from langchain_community.document_loaders import BSHTMLLoader, PyPDFium2Loader
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    for path in sorted(root.rglob("*.*")):
        if path.suffix == ".pdf":
            documents = PyPDFium2Loader(path).load()
        elif path.suffix == ".html":
            documents = BSHTMLLoader(path, bs_kwargs={"features": "lxml"}).load()
        else:
            continue
        for chunk in splitter.split_documents(documents):
            page = chunk.metadata.get("page")
            yield (path.name, None if page is None else page + 1), chunk.page_content


def _llama_index(root: Path) -> Iterator[tuple[tuple[str, int | None], str]]:
    """Places, and texts."""
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.readers.file import HTMLTagReader, PDFReader  # type: ignore[import-untyped]

    splitter = SentenceSplitter(chunk_size=256, chunk_overlap=20)
    for path in sorted(root.rglob("*.*")):
        if path.suffix == ".pdf":
            documents = PDFReader().load_data(path)
        elif path.suffix == ".html":
            documents = HTMLTagReader(tag="body").load_data(path)
        else:
            continue
        labels = [document.metadata.get("page_label") for document in documents]
        numbers = {label: number for number, label in enumerate(labels, 1)}
        for node in splitter.get_nodes_from_documents(documents):
            label = node.metadata.get("page_label") if path.suffix == ".pdf" else None
            yield (path.name, numbers.get(label) if label else None), node.get_content()
