"""`Page`: results as one HTML file that needs nothing else.

Pictures are inside as small copies in ``data:`` URLs, and a hit links to its picture's file, or to
the page of a PDF that it stands on, by the way that leads there from the page. There is no script
and no foreign resource, and the page's own content policy forbids them, whatever a caption says.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from unisem.cli.hit_table import found_by, score_of
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
            thumbnail=lambda image: copies.of(ImageRef.of(image)),
            page_of=lambda record: copies.of_page(record.image),
            link_of=lambda record: self._link(record, place),
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

    def _link(self, record: Record, place: Path) -> str | None:
        """The URL of a picture's file, or of the page of a PDF that a text stands on.

        A PDF is opened at the page (RFC 8118, section 3).
        """
        if record.image is not None:
            region = record.image.region
            return _url(record.image.path, None if region is None else region.page, place)
        page, source = record.metadata.get("page"), record.source_id
        if self.library is None or source is None or not isinstance(page, int):
            return None
        file = self.library.found(source)
        return _url(file, page, place) if file and file.suffix.casefold() == ".pdf" else None


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
