"""What runs in resvg's process: ``python -m unisem.images.codecs.svg_worker``.

Drawings come, and pixels go, through pipes. Of files only the system's fonts are opened, if there
are words. A drawing cannot name others: entities are resolved here, those of its own; references
that lead elsewhere than into itself are taken out.
"""

from __future__ import annotations

from io import BytesIO

from unisem.common.answering import Answer, answer_requests

_DPI = 96  # as CSS has it; resvg_py's own is none, by which what is 100 pt wide has no width
_INTO_ITSELF = ("#", "data:image/")


def main() -> None:
    """Answer what is asked of drawings."""
    import resvg_py
    from lxml import etree
    from PIL import Image

    drawing = ""

    def take(data: bytes) -> None:
        nonlocal drawing
        drawing = inward(data)

    def draw(width: int, height: int) -> Answer:
        wordless = "text" not in drawing
        png = resvg_py.svg_to_bytes(
            svg_string=drawing,
            width=width,
            height=height,
            dpi=_DPI,
            skip_system_fonts=wordless,
        )
        with Image.open(BytesIO(bytes(png))) as picture:
            return picture.size, picture.convert("RGBA").tobytes()

    answer_requests(take, {"draw": draw}, (ValueError, etree.XMLSyntaxError))


def inward(data: bytes) -> str:
    """A drawing without anything that leads out of it.

    Raises:
        XMLSyntaxError: It is no XML, or its entities grow without measure.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities="internal",
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    root = etree.fromstring(data, parser)
    for element in root.iter(etree.Element):
        for name, value in element.items():
            leads = etree.QName(name).localname.lower() == "href"
            if leads and not value.strip().lower().startswith(_INTO_ITSELF):
                del element.attrib[name]
    return str(etree.tostring(root, encoding="unicode"))


if __name__ == "__main__":
    main()
