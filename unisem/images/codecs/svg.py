"""`Svg`: a drawing of somebody else's: its outer size read here, its pixels drawn by resvg.

resvg runs no scripts and knows no network. What a drawing wants from elsewhere is taken out before
resvg sees it, in the process where it is drawn, which can be ended: see
`unisem.images.codecs.svg_worker`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

from unisem.common.process_apart import ProcessApart
from unisem.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

NEEDS = "resvg_py"
"""The library that must be there."""
SIDE = 1024
"""Pixels of the longer side that a drawing is drawn with, whatever it says of its size."""

_RESVG = ProcessApart("unisem.images.codecs.svg_worker", "resvg", "UNISEM_IMAGE_SECONDS")
_SVG = "{http://www.w3.org/2000/svg}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_STARTS = (b"<", b"\xef\xbb\xbf", b"\xff\xfe<", b"\xfe\xff\0<")
_BEGINNING = 1 << 16  # bytes in which the outermost element must begin
_LENGTH = re.compile(r"\s*\+?([0-9.]{1,20}(?:e[-+]?[0-9]{1,2})?)\s*(px|pt|pc|mm|cm|in|)\s*", re.I)
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_OBLONG = 512  # times as long as it is wide, at most


@dataclass(frozen=True, slots=True)
class Svg:
    """A drawing whose outermost element has been read.

    Attributes:
        data: The file.
        name: What to call it in an error.
        width: Pixels that it is drawn with.
        height: Pixels that it is drawn with.
    """

    data: bytes
    name: str
    width: int
    height: int

    @classmethod
    def of(cls, data: bytes, name: str) -> Svg | None:
        """Read how large a drawing is; ``None`` if the bytes are none.

        Raises:
            ImageError: It is more oblong than anybody can see.
        """
        root = _root(data)
        if root is None:
            return None
        wide, high = _ratio(root)
        if max(wide, high) > _OBLONG * min(wide, high):
            raise ImageError(name, f"is more than {_OBLONG} times as long as it is wide")
        scale = SIDE / max(wide, high)
        return cls(data, name, round(wide * scale), round(high * scale))

    def draw(self) -> Image.Image:
        """Draw it, as ``RGBA``.

        Raises:
            ImageError: It is damaged, or takes too long or too much memory.
        """
        from PIL import Image

        digest = sha256(self.data).hexdigest()
        answer, pixels = _RESVG.ask(self.data, digest, self.name, "draw", self.width, self.height)
        if "error" in answer:
            raise ImageError(self.name, "is no SVG that can be drawn", f" ({answer['error']})")
        width, height = answer["value"]
        drawn = Image.frombytes("RGBA", (width, height), pixels)
        if (width, height) == (self.width, self.height):
            return drawn
        # One without any size is drawn with what it holds, which is known only now.
        whole = Image.new("RGBA", (self.width, self.height))
        whole.paste(drawn, ((self.width - width) // 2, (self.height - height) // 2))
        return whole


def words_in(data: bytes) -> dict[str, str]:
    """What a drawing says of itself where it begins; nothing if the bytes are none.

    ``title`` and ``description``, its own or in Dublin Core, as drawing programs write it; of the
    latter also ``author``, ``copyright``, and ``keywords``, one a line.
    """
    found: dict[str, list[str]] = {}
    for element in _elements(data, "end") if _root(data) is not None else ():
        text = " ".join((element.text or "").split())
        if text and (name := _said(element)) is not None:
            found.setdefault(name, []).append(text)
    return {name: "\n".join(it if name == "keywords" else it[:1]) for name, it in found.items()}


def _said(element: Any) -> str | None:
    """What an element's text is: of the outermost, of the work, of a person or a list in that."""
    tag, above = element.tag, [it.tag for it in islice(element.iterancestors(), 2)]
    if len(above) == 1:
        return {_SVG + "title": "title", _SVG + "desc": "description"}.get(tag)
    if above and above[0].endswith("}Work"):
        return {_DC + "title": "title", _DC + "description": "description"}.get(tag)
    if len(above) == 2 and tag == _DC + "title":
        return {_DC + "creator": "author", _DC + "rights": "copyright"}.get(above[1])
    return "keywords" if tag == _RDF + "li" and above[1:] == [_DC + "subject"] else None


def _root(data: bytes) -> Any:
    """The outermost element's start, if it is a drawing's."""
    root = next(iter(_elements(data, "start")), None)
    return root if root is not None and root.tag in (_SVG + "svg", "svg") else None


def _elements(data: bytes, event: str) -> Iterator[Any]:
    """The elements that begin, or end, where a file begins."""
    if not data[:1024].lstrip().startswith(_STARTS):
        return
    from lxml import etree  # of pictures that may be drawings

    parser = etree.XMLPullParser(
        events=(event,), resolve_entities="internal", no_network=True, load_dtd=False
    )
    with suppress(etree.XMLSyntaxError):  # somewhere behind it, or everywhere
        parser.feed(data[:_BEGINNING])
    for _, element in parser.read_events():
        yield element


def _ratio(root: Any) -> tuple[float, float]:
    """Width and height to scale; equal ones if it says nothing of them."""
    sides = _length(root.get("width", "")), _length(root.get("height", ""))
    if sides[0] and sides[1]:
        return sides[0], sides[1]
    box = [_length(part) for part in re.split(r"[\s,]+", root.get("viewBox", "").strip())]
    if len(box) == 4 and box[2] and box[3]:
        return box[2], box[3]
    return 1.0, 1.0


def _length(text: str) -> float:
    """A length in pixels; 0 if it is none, or one of something else."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        return 0.0
    try:
        return float(found[1]) * _UNITS[found[2].lower()]
    except ValueError:  # "1.2.3"
        return 0.0
