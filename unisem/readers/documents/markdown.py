"""`MARKDOWN`: Markdown with its pictures, by way of the HTML that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.readers.documents.block_elements import Opener
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.html import HTML, html_elements
from unisem.readers.documents.labels import label_of
from unisem.readers.texts import decode_text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

MAX_MARKDOWN = 16 * 1024 * 1024
"""Bytes that a document may have."""
MOST_LINES = 200_000
"""Lines with words that a document may have; what is made of each takes two kilobytes."""
_LONGEST_PARAGRAPH = 20_000  # characters; the time for nested marks grows with the square

_LINE = re.compile(r"\S[^\n]*+")
_FRONT_MATTER = re.compile(
    r"(?P<mark>---|\+\+\+)[ \t]*\r?\n(?P<fields>(?:[^\r\n]*\r?\n){0,1000}?)"
    r"(?:(?P=mark)|\.\.\.)[ \t]*(?:\r?\n|\Z)"
)
_FIELD = re.compile(r"\s*(?:#|[\w\"'.-]+\s*[:=])")
_TITLE = re.compile(r"^title\s*[:=]\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)

_CODE = re.compile(
    rb"^ {0,3}(```++|~~~++)[^\n]*+\n.*?(?:^ {0,3}\1|\Z)|(?<!`)(`++)[^\n]{1,500}?(?<!`)\2(?!`)",
    re.DOTALL | re.MULTILINE,
)
_PICTURE = re.compile(
    rb"!\[((?:[^\[\]\\]|\\.|\[[^\[\]]{0,200}\]){0,1000})\]"
    rb"(?:\(\s*(?:<([^<>\n]*)>|([^\s()]*(?:\([^\s()]*\)[^\s()]*){0,8}))|\[([^\[\]]{0,1000})\])?"
)
_DEFINITION = re.compile(
    rb"^[ >\t]{0,20}\[([^\[\]\n]{1,1000})\]:\s*(?:<([^<>\n]*)>|(\S+))", re.MULTILINE
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def markdown_elements(
    data: bytes, source: Source, picture: Opener | None = None
) -> Iterator[Element | Skipped]:
    """Read a document.

    CommonMark with GitHub's tables, and HTML as it stands among it. A picture that is a paragraph
    of its own has as its caption the emphasised words, or the line with a label, beside it, or its
    title, if that has a label. The title of front matter is the first heading.

    Args:
        data: UTF-8, or UTF-16 with a byte order mark.
        source: Where it is from.
        picture: As of `html_elements`.

    Raises:
        DocumentError: It is of another encoding, or too large.
    """
    name = source.path.name
    if len(data) > MAX_MARKDOWN:
        raise DocumentError(
            f"{name} is larger than the limit of {MAX_MARKDOWN:,} bytes; split it into chapters"
        )
    try:
        title, body = _without_front_matter(decode_text(data))
    except ValueError as error:
        raise DocumentError(f"{name} {error}") from error
    if len(_LINE.findall(body)) > MOST_LINES:
        raise DocumentError(f"{name} has more than {MOST_LINES:,} lines; split it into chapters")
    page = markdown_html(body)
    first = re.search(r"<h1>(.*?)</h1>", page[:2000])
    if title and not (first and " ".join(first[1].split()) == title):
        yield Element(kind="heading", text=title)
    elif not page.strip():
        yield Skipped(str(source.path), "is empty")
    if page.strip():
        yield from html_elements(b"\xef\xbb\xbf" + page.encode(), source, picture)


def markdown_html(text: str) -> str:
    """Markdown as HTML, captions marked as such."""
    html: str = _parser().render(text)
    return html


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.core.ruler.at("inline", _parse_paragraphs)
    parser.core.ruler.push("captions", _mark_captions)
    return parser


def _parse_paragraphs(state: StateCore) -> None:
    from markdown_it.token import Token

    for token in state.tokens:
        if token.type == "inline":
            if len(token.content) > _LONGEST_PARAGRAPH:
                token.children = [Token("text", "", 0, content=token.content)]
            else:
                token.children = []
                state.md.inline.parse(token.content, state.md, state.env, token.children)


def _mark_captions(state: StateCore) -> None:
    """Mark what CommonMark has no word for: the caption of a picture that stands alone."""
    alone = False  # whether the last paragraph is a picture and nothing else
    for position, token in enumerate(state.tokens):
        if token.type != "inline" or state.tokens[position - 1].type != "paragraph_open":
            if token.type not in ("paragraph_open", "paragraph_close"):
                alone = False
            continue
        children = [child for child in token.children or [] if child.content.strip() or child.tag]
        children = [child for child in children if child.type != "softbreak"]
        if alone and _is_emphasis(children):
            state.tokens[position - 1].attrJoin("class", "caption")
        is_picture = len(children) == 1 and children[0].type == "image"
        if is_picture:
            token.children = [children[0], *_caption_of_title(children[0])]
        alone = is_picture


def _is_emphasis(children: list[Token]) -> bool:
    """Whether one emphasis is around all of a paragraph."""
    if not children or children[0].type not in ("em_open", "strong_open"):
        return False
    depth = 0
    for position, child in enumerate(children):
        depth += child.nesting
        if depth == 0:
            return position == len(children) - 1
    return False


def _caption_of_title(image: Token) -> list[Token]:
    """A title that has a label, as emphasised words behind its picture."""
    from markdown_it.token import Token

    title = image.attrGet("title")
    if not isinstance(title, str) or label_of(title) is None:
        return []
    del image.attrs["title"]
    return [
        Token("em_open", "em", 1),
        Token("text", "", 0, content=title),
        Token("em_close", "em", -1),
    ]


def _without_front_matter(text: str) -> tuple[str, str]:
    """The title, and the text after the fields that tools write at its head."""
    match = _FRONT_MATTER.match(text)
    if match is None or not (match["fields"].strip() == "" or _FIELD.match(match["fields"])):
        return "", text
    title = _TITLE.search(match["fields"])
    return " ".join(title[1].strip("\"'").split()) if title else "", text[match.end() :]


def _links(data: bytes) -> Iterable[str]:
    """Links of pictures outside code, and of HTML; a reference's, if a picture uses it."""
    data = _CODE.sub(b" ", data[:MAX_MARKDOWN])
    used: set[bytes] = set()
    found: list[bytes] = []
    for text, quoted, plain, name in _PICTURE.findall(data):
        if quoted or plain:
            found.append(quoted or plain)
        else:
            used.add(_key(name or text))
    for name, quoted, plain in _DEFINITION.findall(data) if used else ():
        if _key(name) in used:
            found.append(quoted or plain)
    yield from (_ESCAPED.sub(r"\1", link.decode("utf-8", "replace")) for link in found)
    yield from HTML.links(data)


def _key(name: bytes) -> bytes:
    return b" ".join(name.split()).lower()


MARKDOWN = Format(
    name="Markdown",
    suffixes=frozenset({".md", ".markdown"}),
    elements=markdown_elements,
    links=_links,
)
"""By markdown-it-py."""
