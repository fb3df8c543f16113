"""`Page`: results as one HTML file that needs nothing else.

Pictures are inside as small copies in ``data:`` URLs, and a hit links to its picture's file, or to
the page of a PDF that it stands on, by the way that leads there from the page. A button copies its
path. There is no other script and no foreign resource, and the page's own content policy forbids
them, whatever a caption says.
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from unisem.cli.hit_table import found_by, is_gone, score_of
from unisem.common.pages import render_page
from unisem.graph.knowledge_graph import KnowledgeGraph
from unisem.graph.neighbourhood import Neighbourhood
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef, ImageSource
from unisem.images.thumbnails import Thumbnails
from unisem.presentation.citation import citation
from unisem.records import Record
from unisem.stores.hits import Hit

_SIDE = 480  # pixels of a small copy's longer side: a card is about 240 wide, on a dense screen
# Characters that are shown: of a text about the height of a picture's card; of a caption, which a
# picture's alternative text has whole, less.
_LONGEST = {"text": 300, "image": 160}


@dataclass(frozen=True, slots=True)
class Section:
    """One query and its hits.

    Attributes:
        text: The query's text.
        image: The query's picture.
        hits: Best first.
        kind: What sort of question it is, as a short heading above it.
        remark: A sentence below the query.
        doubt: A sentence above the hits, where nothing may be an answer.
    """

    text: str | None
    image: ImageSource | None
    hits: tuple[Hit, ...]
    kind: str = ""
    remark: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Page:
    """A page of one or several queries.

    Attributes:
        title: For the window, and above the sections if there are several.
        sections: At least one.
        introduction: A sentence below the title.
        footer: A line at the end.
        library: Knows the files that texts are from; without one, texts link nowhere.
        graph: Knows what records are about; without one, nothing is drawn of that.
    """

    title: str
    sections: tuple[Section, ...]
    introduction: str = ""
    footer: str = ""
    library: ImageLibrary | None = None
    graph: KnowledgeGraph | None = None

    def render(self, place: Path) -> str:
        """Return the HTML.

        Args:
            place: The folder that the page will lie in, where its links start from.
        """
        # Whoever asks for many hits wants them all.
        copies = Thumbnails(sys.maxsize, side=_SIDE)
        return render_page(
            "unisem.cli",
            "page.html.j2",
            page=self,
            script=script(),
            script_digest=script_digest(),
            is_gone=lambda record: is_gone(record, self.library),
            image_of=lambda hit: _image_of(hit, self.library),
            path_of=lambda record: path_of(record, self.library),
            thumbnail=lambda image: copies.of(ImageRef.of(image)),
            page_of=lambda record: copies.of_page(record.image),
            link_of=lambda record: link_of(record, self.library, place),
            drawing_of=self._drawing,
            citation=citation,
            found_by=found_by,
            score_of=score_of,
            longest=_LONGEST,
        )

    def write(self, path: Path) -> None:
        """Write the page as UTF-8.

        Raises:
            OSError: The file cannot be written.
        """
        path.write_text(self.render(path.parent), encoding="utf-8")

    def _drawing(self, record: Record) -> str:
        """What is known of a record, as markup that holds no other's; empty if nothing is."""
        return "" if self.graph is None else Neighbourhood.of(self.graph, record.id).svg()


def link_of(record: Record, library: ImageLibrary | None, place: Path) -> str | None:
    """The URL of a picture's file, or of the page of a PDF that a text stands on.

    A PDF is opened at the page (RFC 8118, section 3).

    Args:
        record: The record.
        library: Knows the files that texts are from; without one, texts link nowhere.
        place: The folder where the link starts from.
    """
    if record.image is not None:
        region = record.image.region
        return _url(record.image.path, None if region is None else region.page, place)
    source, page = record.source_id, record.metadata.get("page")
    file = None if library is None or source is None else library.found(source)
    is_paged = file is not None and file.suffix.casefold() == ".pdf" and isinstance(page, int)
    return _url(file, page if is_paged else None, place)


def _image_of(hit: Hit, library: ImageLibrary | None) -> ImageRef | None:
    """The picture of a hit; of one whose file is gone, that of a copy with the same bytes."""
    image = hit.record.image
    if image is None or not is_gone(hit.record, library):
        return image
    there = (copy.image for copy in hit.copies if not is_gone(copy, library))
    return next((it for it in there if it is not None and it.sha256 == image.sha256), image)


def script() -> str:
    """What makes the buttons of a page work."""
    return (files("unisem.cli") / "page.js").read_text(encoding="utf-8")


def script_digest() -> str:
    """By what a page's content policy knows its one script."""
    return "sha256-" + b64encode(sha256(script().encode()).digest()).decode()


def path_of(record: Record, library: ImageLibrary | None = None) -> str | None:
    """The file that a record is from, to be copied; ``None`` if none is known."""
    if record.image is not None:
        return None if record.image.path is None else str(record.image.path)
    found = None if library is None or not record.source_id else library.found(record.source_id)
    return None if found is None else str(found)


def _url(file: Path | None, page: int | None, place: Path) -> str | None:
    """The URL of a file, relative to the page's folder; ``None`` if none leads there."""
    if file is None:
        return None
    fragment = "" if page is None else f"#page={page}"
    try:
        way = os.path.relpath(os.path.realpath(file), os.path.realpath(place))
    except ValueError:  # on another drive
        return file.as_uri() + fragment
    return quote(os.fsencode(Path(way).as_posix())) + fragment
