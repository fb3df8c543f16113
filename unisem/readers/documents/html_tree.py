"""`html_tree`: a page's bytes to a tree, and what of it is no part of the text."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from unisem.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_HTML = 64 * 1024 * 1024
"""Bytes that a page may have."""
MOST_TAGS = 1_000_000
"""Tags that a page may have; what is made of them takes some hundred bytes each."""

_CHARSET = re.compile(
    rb"(?:charset|encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE
)
_SNIFFED = 4096  # bytes in which a page says how it is encoded
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# XHTML closes these at once, where HTML would take all that follows for their words.
_CLOSED = re.compile(r"<(title|script|style|iframe|textarea|noscript)\b([^<>]*)/>", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_MOST_CONTROLS = 0.01  # of a page's characters
_NO_CHARSETS = frozenset(("punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"))

_LEFT_OUT = frozenset(
    [
        "head",
        "script",
        "style",
        "template",
        "noscript",
        "nav",
        "button",
        "select",
        "textarea",
        "iframe",
        "dialog",
        "audio",
        "video",
        "canvas",
        "applet",
    ]
)
_AROUND = frozenset(("header", "footer", "aside"))  # of a page, unless they are an article's
_ROLES = frozenset(
    [
        "navigation",
        "banner",
        "contentinfo",
        "search",
        "complementary",
        "menu",
        "menubar",
        "toolbar",
        "doc-toc",
    ]
)
_BOILERPLATE = frozenset(
    [
        "navheader",
        "navfooter",
        "navbar",
        "navigation",
        "nav",
        "docnav",
        "sidebar",
        "sphinxsidebar",
        "sphinxsidebarwrapper",
        "breadcrumb",
        "breadcrumbs",
        "related",
        "toc",
        "table-of-contents",
        "headerlink",
        "copiable-link",
        "copiable-anchor",
        "reportbug",
        "logo",
        "banner",
        "footer",
        "site-header",
        "site-footer",
        "cookie-banner",
        "skip-link",
        "noprint",
        "prev-next-area",
        "toctree-wrapper",
        "shortcontents",
        "sidebar-wrapper",
        "wy-nav-side",
        "bd-sidebar",
        "page-toc",
        "mw-editsection",
        "mw-jump-link",
        "catlinks",
        "printfooter",
        "navbox",
        "copybtn",
        "sphx-glr-download",
        "sphx-glr-signature",
        "sphx-glr-footer",
    ]
)


def html_tree(data: bytes, name: str) -> _Element:
    """Parse a page as leniently as browsers do, without recursion, entities of its own or network.

    Args:
        data: In the encoding that its byte order mark or the page itself names, else UTF-8, else
            Windows-1252.
        name: For messages.

    Returns:
        The page's main part, if it marks one, else its body.

    Raises:
        DocumentError: There is nothing in it, or binary data; it is too large, or nested too
            deeply to be read to its end.
    """
    from lxml import etree

    if len(data) > MAX_HTML:
        raise DocumentError(f"{name} is larger than the limit of {MAX_HTML:,} bytes; split it")
    if data.count(b"<") > MOST_TAGS:
        raise DocumentError(f"{name} has more than {MOST_TAGS:,} tags; split it into pages")
    text, controls = _CONTROL.subn(" ", decoded(data))
    if controls > _MOST_CONTROLS * len(text):
        raise DocumentError(f"{name} is no HTML, but binary data or UTF-16 without its mark")
    text = _CLOSED.sub(r"<\1\2></\1>", text)
    parser = etree.HTMLParser(
        encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(text.encode(), parser) if text.strip() else None
    except etree.XMLSyntaxError as error:
        raise DocumentError(f"{name} is no HTML ({error})") from error
    if root is None:
        raise DocumentError(f"{name} is empty")
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise DocumentError(
            f"{name} is nested more than 2,000 levels deep, and would not be read to its end; "
            "close its tags"
        )
    mains = [node for node in root.iter("main", "div", "section") if _is_main(node)]
    body = next(root.iter("body", "frameset"), root)
    return mains[0] if len(mains) == 1 else body


def decoded(data: bytes) -> str:
    """A page's bytes as text; what its encoding does not know becomes U+FFFD."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    for match in _CHARSET.finditer(data[:_SNIFFED]):
        try:
            encoding = codecs.lookup(match[1].decode("ascii")).name
            if encoding.startswith("utf-16") or encoding in _NO_CHARSETS:
                continue  # it could be read, so it is not the first
            return data.decode("windows-1252" if encoding == "iso8859-1" else encoding, "replace")
        except (LookupError, UnicodeError, ValueError):  # none that is known
            continue
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


def tag_of(node: _Element) -> str:
    """A tag in small letters, without a namespace; empty for what is no element."""
    tag = node.tag
    return _plain(tag) if isinstance(tag, str) else ""


@lru_cache(maxsize=1000)
def _plain(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def classes_of(node: _Element) -> frozenset[str]:
    """The classes of an element, in small letters."""
    return frozenset((node.get("class") or "").lower().split())


def is_boilerplate(node: _Element) -> bool:
    """Whether an element navigates, decorates or works, and says nothing itself."""
    tag = tag_of(node)
    if tag in _LEFT_OUT or node.get("hidden") is not None:
        return True
    if tag in ("body", "main", "article") or _is_main(node):
        return False
    if tag in _AROUND:
        return not any(tag_of(above) in ("main", "article", "section") for above in _above(node))
    names = classes_of(node) | {(node.get("id") or "").lower()}
    if names & _BOILERPLATE or (node.get("role") or "").lower() in _ROLES:
        return next(node.iter("h1", "main", "article"), None) is None
    # Texinfo's line of links over each node; elsewhere a header has the page's own heading in it.
    return "header" in names and tag == "div" and next(node.iter(*_HEADINGS), None) is None


_TO_ITSELF = frozenset(("headerlink", "copiable-link", "copiable-anchor"))
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def words_of(node: _Element) -> str:
    """All words at or below an element, without scripts, drawings and links to itself."""
    from lxml import etree

    parts: list[str] = []
    walk = etree.iterwalk(node, events=("start", "end"))
    for event, below in walk:
        if event == "end":
            parts.append((below.tail if below is not node else None) or "")
        elif _is_silent(below):
            walk.skip_subtree()
        else:
            parts += [
                " " if tag_of(below) in ("br", "p", "div", "li", "td") else "",
                below.text or "",
            ]
    return " ".join("".join(parts).split())


def _is_silent(node: _Element) -> bool:
    return tag_of(node) in ("script", "style", "svg") or bool(classes_of(node) & _TO_ITSELF)


def _is_main(node: _Element) -> bool:
    return tag_of(node) == "main" or (node.get("role") or "").lower() == "main"


def _above(node: _Element) -> list[_Element]:
    return list(node.iterancestors())
