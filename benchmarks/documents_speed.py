"""Reading documents: pages per second beside other readers, memory, and an unchanged folder.

All readers read the same PDFs, in turns; seconds are of the processor, PDFium's own process
included; each ratio is the median over rounds.
Memory is the peak of a process, and of PDFium's, which reads a made PDF of
3,000 pages.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.table import Table

from benchmarks.documents_books import BOOKS
from unisem.pdfium.pdf_file import PDFIUM
from unisem.readers.documents.document import Document
from unisem.readers.documents.elements import Source
from unisem.readers.documents.pdf import PDF

READ = """
import resource, sys
from pathlib import Path
from benchmarks.documents_speed import read
read(Path(sys.argv[1]))
whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # PDFium runs in a process of its own
print(sum(resource.getrusage(who).ru_maxrss for who in whose))
"""


def read(path: Path) -> int:
    """Records of a PDF."""
    source = Source(path, path.parent)
    document = Document(PDF, source, name="it", source_id="it", file_name=path.name)
    count = sum(1 for _ in document.records(document.read()))
    PDFIUM.end()  # so that what it took is counted
    return count


def speeds(folder: Path, names: list[str], rounds: int) -> Table:
    """Pages per second of some books, side by side."""
    table = Table("book", "reader", "pages/s", "ratio to UniSem")
    for book in BOOKS:
        data = book.pdf_in(folder) if book.name in names else None
        if data is None:
            continue
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{book.name}.pdf"
            path.write_bytes(data)
            pages = _pages(path)
            for reader in READERS.values():  # what they import is not counted
                reader(path)
            seconds: dict[str, list[float]] = {name: [] for name in READERS}
            for _ in range(rounds):
                for name, reader in READERS.items():
                    start = _processor()
                    reader(path)
                    seconds[name].append(_processor() - start)
        ours = seconds["UniSem"]
        for name, times in seconds.items():
            ratio = statistics.median(a / b for a, b in zip(ours, times, strict=True))
            speed = pages / statistics.median(times)
            table.add_row(f"{book.name}, {pages} pages", name, f"{speed:.1f}", f"{ratio:.2f}")
        table.add_section()
    return table


def peak(pages: int) -> tuple[float, int]:
    """MB that reading a made PDF takes at most, and the PDF's size in bytes."""
    from tests.support.manuals import manual

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "made.pdf"
        path.write_bytes(manual(pages=pages))
        return peak_of(path), path.stat().st_size


def peak_of(path: Path) -> float:
    """MB that reading a PDF takes at most: the peaks of both processes, added."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout) * 1024 / 1e6


def again(folder: Path, names: list[str]) -> Iterator[tuple[str, float, float]]:
    """Seconds of indexing a folder with ``mini`` for the first time, and unchanged."""
    from unisem import SemanticSpace

    for book in BOOKS:
        data = book.pdf_in(folder) if book.name in names else None
        if data is None:
            continue
        with tempfile.TemporaryDirectory() as place:
            manuals = Path(place) / "manuals"
            manuals.mkdir()
            (manuals / f"{book.name}.pdf").write_bytes(data)
            for page in book.pages_in(folder):
                shutil.copy(page, manuals / page.name)
            times: list[float] = []
            for _ in range(2):
                with SemanticSpace.open(Path(place) / "them.unisem") as space:
                    start = time.perf_counter()
                    space.add_folder(manuals)
                    times.append(time.perf_counter() - start)
        yield book.name, times[0], times[1]


def _processor() -> float:
    """Seconds of processor so far, of this process and of those that it had."""
    return sum(os.times()[:4])


def _pages(path: Path) -> int:
    from pypdfium2 import PdfDocument

    document = PdfDocument(path)
    try:
        return len(document)
    finally:
        document.close()


def _langchain(path: Path) -> None:
    from langchain_community.document_loaders import PyPDFium2Loader

    PyPDFium2Loader(path).load()


def _langchain_pictures(path: Path) -> None:
    from langchain_community.document_loaders import PyPDFium2Loader
    from langchain_community.document_loaders.parsers.images import BaseImageBlobParser

    class Unread(BaseImageBlobParser):
        """Takes the pictures out, and spends no time on them."""

        def _analyze_image(self, img: object) -> str:
            del img
            return "a picture"

    PyPDFium2Loader(path, extract_images=True, images_parser=Unread()).load()


def _llama_index(path: Path) -> None:
    from llama_index.readers.file import PDFReader  # type: ignore[import-untyped]

    PDFReader().load_data(path)


warnings.filterwarnings("ignore", category=DeprecationWarning)
READERS: dict[str, Callable[[Path], object]] = {
    "UniSem": read,
    "LangChain PyPDFium2Loader": _langchain,
    "LangChain PyPDFium2Loader with pictures": _langchain_pictures,
    "LlamaIndex PDFReader": _llama_index,
}
"""Ours finds headings, figures, tables, captions and boxes; the others give text, and theirs with
pictures each bitmap."""
