"""`HTML`: saved pages and manuals, with the pictures that lie beside them or inside."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import partial

from unisem.common.skipped import Skipped
from unisem.readers.documents.block_elements import Opener, block_elements
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.html_blocks import blocks_of_page
from unisem.readers.documents.html_figures import candidates
from unisem.readers.documents.html_tree import MAX_HTML, html_tree
from unisem.readers.documents.linked_picture import linked_picture

_TAG = re.compile(rb"<(?:img|source|object)\b([^<>]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    rb"\b(src|srcset|data|data-src|data-srcset|data-original|data-lazy-src)\s*=\s*"
    rb"(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))",
    re.IGNORECASE,
)


def html_elements(
    data: bytes, source: Source, picture: Opener | None = None
) -> Iterator[Element | Skipped]:
    """Read a page.

    Args:
        data: Its bytes.
        source: Where it is from.
        picture: Opens its links; by default those to files beside it, and ``data:`` URIs.

    Raises:
        DocumentError: There is nothing in it, or too much; see `html_tree`.
    """
    opener = picture or partial(linked_picture, source=source)
    root = html_tree(data, source.path.name)
    blocks = blocks_of_page(root, source.path.name)
    return block_elements(blocks, opener, str(source.path), drawings="inline SVG")


def _links(data: bytes) -> Iterator[str]:
    if len(data) > MAX_HTML:  # it will not be read
        return
    for tag in _TAG.finditer(data):
        for name, *values in _ATTRIBUTE.findall(tag[1]):
            said = html.unescape(next(filter(None, values), b"").decode("utf-8", "replace"))
            if not said.startswith("data:"):
                yield from candidates(said) if b"srcset" in name.lower() else [said]


HTML = Format(
    name="HTML",
    suffixes=frozenset({".html", ".htm", ".xhtml"}),
    elements=html_elements,
    links=_links,
)
"""By lxml."""
