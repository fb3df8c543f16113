"""`Shown`: a picture of a page with what is written about it, as real manuals write it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from unisem.readers.documents.html_tree import classes_of, tag_of, words_of
from unisem.readers.documents.labels import label_of
from unisem.readers.documents.page_block import Shown

if TYPE_CHECKING:
    from lxml.etree import _Element

# AsciiDoc, DocBook, Docutils and Sphinx, Texinfo, WordPress, MediaWiki, Doxygen.
_FRAMES = frozenset(
    [
        "figure",
        "informalfigure",
        "mediaobject",
        "imageblock",
        "float",
        "wp-caption",
        "thumb",
        "image-block",
        "figure-wrapper",
        "dotgraph",
        "sphx-glr-thumbcontainer",
    ]
)
_CAPTIONS = frozenset(
    [
        "title",
        "caption",
        "float-caption",
        "wp-caption-text",
        "thumbcaption",
        "caption-text",
        "legend",
        "gallerytext",
    ]
)
_SMALL = frozenset(
    [
        "icon",
        "guiicon",
        "inlinemediaobject",
        "emoji",
        "logo",
        "badge",
        "math",
        "tex",
        "latex",
        "smiley",
    ]
)
_ICON = re.compile(r"\[\w+\]|[^\w\s]|\d\d?")  # of a note, a fold, a number in code: what they say
_DECORATION = 32  # pixels, at most, of what a page says is as small as that
_NO_FIGURES = frozenset(["pre", "h1", "h2", "h3", "ul", "ol", "dl"])
_SOURCES = 8  # of one picture in several formats; the parser puts each inside the one before
_MOST_NODES = 400  # in a frame; a larger one is a page
_MOST_WORDS = 600  # characters of a caption that is not marked as one
_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".svg",
        ".svgz",
        ".avif",
        ".jfif",
        ".jpe",
    ]
)


def is_framed(node: _Element) -> bool:
    """Whether an element is there to hold a figure."""
    tag = tag_of(node)
    return tag == "figure" or (tag in ("div", "table", "td") and bool(classes_of(node) & _FRAMES))


def figure_in(frame: _Element) -> list[Shown] | None:
    """The pictures in a frame, each with the caption.

    Returns:
        None of them if it is no figure after all; ``None`` if it is too large for one.
    """
    nodes = list(islice(frame.iter(), _MOST_NODES + 1))
    if len(nodes) > _MOST_NODES:
        return None
    if {tag_of(node) for node in nodes} & _NO_FIGURES:
        return []
    if sum(tag_of(node) == "figure" for node in nodes[1:]) > 1:  # each has its own caption
        return []
    shown = _pictures(frame, framed=True)
    if not shown:
        return []
    captions = [node for node in nodes if _is_caption(node)]
    outer = [node for node in captions if not _is_below(node, captions)]
    pictures = [picture for picture, _ in shown]
    whose = [_only_picture(node, frame, pictures) for node in outer]
    figures: list[Shown] = []
    for picture, one in shown:
        parts = [words_of(n) for n, o in zip(outer, whose, strict=True) if o in (None, picture)]
        caption = " ".join(filter(None, parts))
        if not any(map(words_of, outer)):
            words = words_of(frame)
            caption = words if len(words) <= _MOST_WORDS or label_of(words) else ""
        if one.links or caption:
            figures.append(replace(one, caption=caption))
    return figures


def shown_in(node: _Element, *, framed: bool = False) -> list[Shown]:
    """The pictures at or below an element, decorations left out.

    Args:
        node: The element.
        framed: It is there to hold a figure, so that a picture that is a link is one, too.
    """
    return [shown for _, shown in _pictures(node, framed=framed)]


def _only_picture(caption: _Element, frame: _Element, pictures: list[_Element]) -> _Element | None:
    """The one picture of a frame of several that a caption stands with; ``None``: with all."""
    if len(pictures) < 2:
        return None
    for above in islice(caption.iterancestors(), 20):
        if above is frame:
            return None
        beside = [picture for picture in pictures if _is_below(picture, [above])]
        if beside:
            return beside[0] if len(beside) == 1 else None
    return None


def _pictures(node: _Element, *, framed: bool) -> list[tuple[_Element, Shown]]:
    """The pictures at or below an element, each with what is said of it."""
    found: list[tuple[_Element, Shown]] = []
    for below in node.iter("img", "svg", "object"):
        tag = tag_of(below)
        links = _links(below)
        if tag == "svg":
            if framed:
                found.append((below, Shown(())))
        elif tag == "object" and below.find("img") is not None:
            continue  # which is what is shown instead
        elif links and not _is_decoration(below, framed):
            name = below.get("id")
            anchors = (name,) if name else ()
            found.append((below, Shown(links, _alternative(below, links), "", anchors)))
    return found


def is_picture_object(node: _Element) -> bool:
    """Whether an ``object`` is a picture."""
    data = (node.get("data") or "").strip()
    is_image = (node.get("type") or "").lower().startswith("image/")
    return bool(data) and (is_image or PurePosixPath(data).suffix.lower() in _SUFFIXES)


def _links(node: _Element) -> tuple[str, ...]:
    """Where a picture is: as it says itself, as late loaders say it, in other sizes."""
    if tag_of(node) == "object":
        data = (node.get("data") or "").strip()
        return (data,) if is_picture_object(node) else ()
    sets = [node.get("srcset"), node.get("data-srcset")]
    for above in islice(node.iterancestors(), _SOURCES):
        if tag_of(above) == "picture":
            sets += [source.get("srcset") for source in islice(above.iter("source"), _SOURCES)]
    late = [node.get("data-src"), node.get("data-original"), node.get("data-lazy-src")]
    plain = [node.get("src")]
    if (plain[0] or "").startswith("data:") and any(late):
        plain.insert(0, None)  # a placeholder
    links = [*plain, *late] if plain[0] else [*late, *plain]
    for several in filter(None, sets):
        links += candidates(several)
    return tuple(dict.fromkeys(link.strip() for link in links if link and link.strip()))


def candidates(srcset: str) -> list[str]:
    """The links of a ``srcset``, the largest first."""
    if "data:" in srcset:  # whose commas would have to be told from the list's
        return []
    found: list[tuple[float, str]] = []
    for part in srcset.split(","):
        link, _, size = part.strip().partition(" ")
        try:
            found.append((float(size.strip()[:-1] or 1), link))
        except ValueError:
            found.append((1.0, link))
    return [link for _, link in sorted(found, key=lambda one: -one[0]) if link]


def _is_decoration(image: _Element, framed: bool) -> bool:
    """An icon among words, a spacer, a button that leads elsewhere."""
    sizes = [(image.get(side) or "").strip().removesuffix("px") for side in ("width", "height")]
    if any(size.isdecimal() and len(size) < 9 and int(size) <= _DECORATION for size in sizes):
        return True
    if not framed and _ICON.fullmatch((image.get("alt") or "").strip()):
        return True
    if classes_of(image) & _SMALL or (image.get("role") or "") == "presentation":
        return True
    for above in islice(image.iterancestors(), 3):
        tag = tag_of(above)
        if classes_of(above) & _SMALL:
            return True
        if tag == "a" and not framed and (href := above.get("href") or ""):
            target = PurePosixPath(href.partition("?")[0].partition("#")[0])
            if not href.startswith("#") and target.suffix.lower() not in _SUFFIXES:
                return True
    return False


def _alternative(image: _Element, links: tuple[str, ...]) -> str:
    """Alternative text and title; a file's name, as some tools write it, says nothing."""
    words: list[str] = []
    stems = {str(PurePosixPath(link.rpartition(".")[0])) for link in links}
    for text in (image.get("alt"), image.get("aria-label"), image.get("title")):
        said = " ".join((text or "").split())
        is_name = PurePosixPath(said).suffix.lower() in _SUFFIXES or said in links
        is_name = is_name or ("/" in said and str(PurePosixPath(said)) in stems)
        if said and not is_name and said not in words:
            words.append(said)
    return "; ".join(words)


def _is_caption(node: _Element) -> bool:
    tag = tag_of(node)
    if tag in ("img", "table"):
        return False
    return tag in ("figcaption", "caption") or bool(classes_of(node) & _CAPTIONS)


def _is_below(node: _Element, others: list[_Element]) -> bool:
    return any(above in others for above in islice(node.iterancestors(), 20))
