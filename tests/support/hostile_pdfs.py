"""PDFs that are made to do harm, each of a few kilobytes unless said otherwise."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence


def pdf(objects: Sequence[bytes]) -> bytes:
    """Objects, the first of which is the catalogue, as a PDF."""
    out, places = b"%PDF-1.7\n", list[int]()
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + one + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n" % size
    tail = b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (size, len(out))
    return out + head + table + tail


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """A stream with entries of its dictionary."""
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(content), content)


def page(
    content: bytes,
    resources: bytes = b"",
    others: Sequence[bytes] = (),
    *,
    catalogue: bytes = b"",
    kids: Sequence[int] = (3,),
) -> bytes:
    """A PDF of one page, which is object 3.

    Args:
        content: What is drawn on it.
        resources: What that uses, besides the font F.
        others: Objects from number 5 on.
        catalogue: Entries of the catalogue.
        kids: The pages, if they are not this one.
    """
    children = b" ".join(b"%d 0 R" % kid for kid in kids)
    return pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R%s>>" % catalogue,
            b"<</Type/Pages/Kids[%s]/Count %d>>" % (children, len(kids)),
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<<"
            b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>%s>>>>" % resources,
            stream(content),
            *others,
        ]
    )


def words(text: bytes) -> bytes:
    """The content of a page that says something."""
    return b"BT /F 12 Tf 72 400 Td (%s) Tj ET\n" % text


def nested_forms(kids: Sequence[int] = (3,)) -> bytes:
    """Forms that draw forms, ten times ten times …; PDFium would be reading for ever.

    Args:
        kids: The pages: 3 is that one, 15 another that says ``Page one``.
    """
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X %d 0 R>>>>"
    forms = [stream(b"/X Do " * 10, form % (6 + depth)) for depth in range(9)]
    good = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 16 0 R/Resources<</Font"
        b"<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>"
    )
    others = [*forms, stream(b"0 0 9 9 re f"), good, stream(words(b"Page one"))]
    return page(b"/X Do", b"/XObject<</X 5 0 R>>", others, kids=kids)


def nested_patterns() -> bytes:
    """A tiling pattern of a tiling pattern; PDFium would be rendering for ever."""
    tile = b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/XStep .01/YStep .01"
    outer = tile + b"/BBox[0 0 600 800]/Resources<</Pattern<</Q 6 0 R>>>>"
    inner = tile + b"/BBox[0 0 .01 .01]/Resources<<>>"
    return page(
        b"/Pattern cs /P scn 0 0 600 800 re f",
        b"/Pattern<</P 5 0 R>>",
        [
            stream(b"/Pattern cs /Q scn 0 0 600 800 re f", outer),
            stream(b"0 0 .001 .001 re f", inner),
        ],
    )


def form_within_itself() -> bytes:
    """A form that draws itself, beside words."""
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X 5 0 R>>>>"
    return page(
        words(b"Beside a form") + b"/X Do", b"/XObject<</X 5 0 R>>", [stream(b"/X Do", entries)]
    )


def pages_within_themselves() -> bytes:
    """A node of the page tree that is its own child."""
    return pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"])


def chapters_within_themselves() -> bytes:
    """A table of contents whose entry is its own neighbour and its own child."""
    entry = b"<</Title(a)/Parent 5 0 R/Next 6 0 R/First 6 0 R/Dest[3 0 R/Fit]>>"
    return page(
        words(b"Under a chapter"),
        others=[b"<</First 6 0 R/Last 6 0 R/Count 1>>", entry],
        catalogue=b"/Outlines 5 0 R",
    )


def halved_titles() -> bytes:
    """Two chapters and a page label; the first and the label hold half a letter of UTF-16."""
    return page(
        words(b"Under a chapter"),
        others=[
            b"<</First 6 0 R/Last 7 0 R/Count 2>>",
            b"<</Title<FEFFD8000041>/Parent 5 0 R/Next 7 0 R/Dest[3 0 R/Fit]>>",
            b"<</Title(Whole)/Parent 5 0 R/Prev 6 0 R/Dest[3 0 R/Fit]>>",
        ],
        catalogue=b"/Outlines 5 0 R/PageLabels<</Nums[0<</P<FEFFD8000041>>>]>>",
    )


def spelled(text: bytes, units: Mapping[int, bytes]) -> bytes:
    """A page that says something in a font of its own.

    Args:
        text: The codes of its letters.
        units: What a code stands for: UTF-16, in hexadecimal digits.
    """
    letters = b"".join(b"<%02X><%s>\n" % one for one in units.items())
    table = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        b"1 begincodespacerange <00><FF> endcodespacerange\n"
        b"%d beginbfchar\n%sendbfchar\nendcmap end end" % (len(units), letters)
    )
    data = page(words(text), others=[stream(table)])
    return data.replace(b"/Helvetica>>", b"/Helvetica/ToUnicode 5 0 R>>")


def count_lies(count: int) -> bytes:
    """One page, and a page tree that says that there are more."""
    return page(words(b"The only page")).replace(b"/Count 1>>", b"/Count %d>>" % count)


def huge_bitmap(side: int) -> bytes:
    """A white bitmap of so many pixels a side, packed thrice."""
    data = bytes(side) * side
    for _ in range(3):
        data = zlib.compress(data, 9)
    filters = b"/Filter[/FlateDecode/FlateDecode/FlateDecode]"
    entries = b"/Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8" + filters
    image = stream(data, entries + b"/Width %d/Height %d" % (side, side))
    return page(b"600 0 0 800 0 0 cm /X Do", b"/XObject<</X 5 0 R>>", [image])


def many_rectangles(count: int) -> bytes:
    """So many small rectangles on one page, behind its words."""
    content = b"".join(b"%d %d 1 1 re f\n" % (n % 600, n // 600 % 800) for n in range(count))
    packed = zlib.compress(words(b"A million things") + content, 1)
    return page(b"").replace(stream(b""), stream(packed, b"/Filter/FlateDecode"))
