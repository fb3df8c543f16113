"""Build `examples/gallery/`, the example pictures, from the Open Clip Art Library.

    python -m tools.build_gallery [--source DIR] [--output examples/gallery]

`gallery_selection.tsv`, next to this file, is the work of people: which pictures, under which
name, in which category, with which caption. This script does the rest. It reads the pictures and
their metadata from two Debian packages, flattens each picture onto white, shrinks it and writes
`images/*.png` and `metadata.jsonl` (Hugging Face ImageFolder convention). The texts and the README
of the gallery are written by hand and left alone.

Without `--source` the packages are fetched with `apt-get download` and checked against the pinned
sha256. Running twice writes the same bytes; another release of Pillow may compress differently.
"""

from __future__ import annotations

import argparse
import csv
import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from tools.open_clip_art import LIBRARY, fetched_library

HERE = Path(__file__).resolve().parent
SELECTION = HERE / "gallery_selection.tsv"
GALLERY = HERE.parent / "examples" / "gallery"

LONGEST_SIDE = 320  # pixels, margin included
MARGIN = 8  # pixels of white on every side, so that a picture sits well on a dark page

DC = "{http://purl.org/dc/elements/1.1/}"
CC = "{http://web.resource.org/cc/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
PUBLIC_DOMAIN = "http://web.resource.org/cc/PublicDomain"

# Titles that name a whole submission, not the picture.
COLLECTION_TITLE = re.compile(
    r"clipart by|various cliparts|homes clipart|menu clip art|(svg )?road signs|etiquette icons"
    r"|lemon svg|sallite|diner menu|r1\d |advertising$|chess pieces|hash\(|moons$|balloons-aj$"
    r"|architetto francesco|m$",
    re.IGNORECASE,
)
# Keywords that an old upload tool left behind, or that say nothing about the picture.
NO_KEYWORD = re.compile(r"hash.*|0x.*|\d+|unsorted|signs_and_symbols|musicstuff", re.IGNORECASE)
EMAIL = re.compile(r"\s*-?\s*[(\[]?(?:email:\s*)?[\w.+-]+@[\w-]+\.[\w.-]*\w[)\]]?", re.IGNORECASE)


class GalleryError(Exception):
    """A package, a picture or a line of the selection is not what it should be."""


@dataclass(frozen=True)
class Choice:
    """One line of the selection."""

    image: str  # file name in images/
    category: str
    caption: str
    source: str  # path below the library's png folder


@dataclass(frozen=True)
class Credits:
    """What the library records about one picture."""

    title: str  # "" where the title names a collection
    keywords: tuple[str, ...]
    author: str


def read_selection(path: Path = SELECTION) -> list[Choice]:
    """The chosen pictures in the order of the file."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Choice(row["image"], row["category"], row["caption"], row["source"]) for row in rows
        ]


def read_credits(svg: bytes, name: str) -> Credits:
    """The title, keywords and author in the RDF metadata of an SVG file.

    Raises GalleryError if the file declares entities (nothing in it is then expanded) or is not
    dedicated to the public domain.
    """
    if "<!ENTITY" in svg.decode("utf-8"):
        raise GalleryError(f"{name} declares XML entities; choose another picture")
    root = ElementTree.fromstring(svg)
    licenses = {e.get(f"{RDF}resource") for e in root.iter(f"{CC}license")}
    if licenses != {PUBLIC_DOMAIN}:
        raise GalleryError(f"{name} is not dedicated to the public domain: {licenses or 'nothing'}")
    work = root.find(f".//{CC}Work")
    if work is None:
        raise GalleryError(f"{name} has no cc:Work in its metadata")

    author = _clean(_text(work.find(f"{DC}creator"))) or "unknown"
    title = _clean(_text(work.find(f"{DC}title")))
    if COLLECTION_TITLE.match(title):
        title = ""
    words = (_clean(_text(e)).lower() for e in work.iterfind(f"{DC}subject/{RDF}Bag/{RDF}li"))
    keywords = tuple(
        dict.fromkeys(w for w in words if w and w != author.lower() and not NO_KEYWORD.fullmatch(w))
    )
    return Credits(title, keywords, author)


def shrink(path: Path) -> Image.Image:
    """The visible part of a picture on white, with a margin, as a palette image."""
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    visible = picture.getchannel("A").getbbox()
    if visible is None:
        raise GalleryError(f"{path.name} is fully transparent; choose another picture")
    picture = picture.crop(visible)
    flat = Image.new("RGBA", picture.size, "white")
    flat.alpha_composite(picture)
    small = flat.convert("RGB")
    inner = LONGEST_SIDE - 2 * MARGIN
    small.thumbnail((inner, inner), Image.Resampling.LANCZOS)  # never enlarges
    card = Image.new("RGB", (small.width + 2 * MARGIN, small.height + 2 * MARGIN), "white")
    card.paste(small, (MARGIN, MARGIN))
    # A palette of 128 is plenty for clip art (mean error 0.3 of 255) at a third of the bytes;
    # one round of k-means halves the error of the median cut alone.
    return card.quantize(128, method=Image.Quantize.MEDIANCUT, kmeans=1)


def build(library: Path, output: Path) -> int:
    """Write `images/` and `metadata.jsonl` under `output`; the number of pictures.

    `library` is the folder with `png` and `svg` in it. Pictures no longer selected are removed.
    """
    choices = read_selection()
    images = output / "images"
    images.mkdir(parents=True, exist_ok=True)
    lines = []
    for choice in choices:
        svg = (library / "svg" / choice.source).with_suffix(".svg")
        credits = read_credits(svg.read_bytes(), choice.source)
        shrink(library / "png" / choice.source).save(images / choice.image, optimize=True)
        plain_name = choice.image.removesuffix(".png").replace("-", " ")
        line = {
            "file_name": f"images/{choice.image}",
            "text": choice.caption,
            "title": credits.title or plain_name.capitalize(),
            "keywords": list(credits.keywords)
            or [word for word in plain_name.split() if word not in {"and", "in", "with"}],
            "category": choice.category,
            "author": credits.author,
            "license": "public domain",
            "source": f"{LIBRARY}/png/{choice.source}",
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    for stale in set(images.glob("*.png")) - {images / c.image for c in choices}:
        stale.unlink()
    (output / "metadata.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(choices)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build examples/gallery from Open Clip Art.")
    parser.add_argument("--source", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--output", type=Path, default=GALLERY, help="default: examples/gallery")
    arguments = parser.parse_args()
    if arguments.source is not None:
        count = build(arguments.source, arguments.output)
    else:
        with fetched_library() as library:
            count = build(library, arguments.output)
    print(f"{count} pictures in {arguments.output}")


def _text(element: ElementTree.Element | None) -> str:
    return "" if element is None else "".join(element.itertext())


def _clean(text: str) -> str:
    """Entities resolved, e-mail addresses taken out, white space collapsed."""
    return " ".join(EMAIL.sub("", html.unescape(text)).split())


if __name__ == "__main__":
    main()
