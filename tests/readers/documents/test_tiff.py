"""What a scanner has put into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin

from tests.support.pictures import solid
from unisem import Record, SemanticSpace
from unisem.errors import ImageError
from unisem.images.decoding import decode_image
from unisem.images.region import Region

COLOURS = ("red", "green", "blue")


def scan(
    path: Path,
    colours: tuple[str, ...],
    *,
    preview: bool = False,
    said: tuple[dict[int, Any], ...] = (),
) -> None:
    pages: list[Image.Image] = [
        solid(colour, (40, 30 + 10 * at)) for at, colour in enumerate(colours)
    ]
    tags = [TiffImagePlugin.ImageFileDirectory_v2() for _ in pages]
    if preview:
        pages.append(solid("white", (8, 8)))
        tags.append(TiffImagePlugin.ImageFileDirectory_v2())
        tags[-1][254] = 1
    for tag, words in zip(tags, said, strict=False):
        for number, text in words.items():
            tag[number] = text
    for page, tag in zip(pages, tags, strict=True):
        page.encoderinfo = {"tiffinfo": tag}
    pages[0].save(path, save_all=True, append_images=pages[1:])


def pages(space: SemanticSpace) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for record in space.store.select():
        if "page" in record.metadata and record.image is not None:
            with record.image.open() as image:
                size, pixel = image.size, image.getpixel((5, 5))
            colour = COLOURS[(size[1] - 30) // 10]
            assert pixel == solid(colour).getpixel((0, 0))
            found.append((record.metadata["page"], colour))
    return sorted(found)


def test_each_page_is_a_picture(tmp_path: Path, space: SemanticSpace) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    scan(folder / "letter.tif", COLOURS, preview=True)
    scan(folder / "one.tiff", ("red",), preview=True)
    report = space.add_folder(folder)
    assert (report.skipped, report.added, report.documents.pages) == ((), 4, 3)
    assert pages(space) == list(enumerate(COLOURS, 1))
    (one,) = space.get(["scans/one.tiff"])
    assert isinstance(one, Record)
    assert one.image is not None
    assert one.image.region is None
    (hit,) = space.search(image=solid("blue"), k=1)
    assert hit.record.metadata["page"] == 3
    assert space.add_folder(folder).added == 0
    scan(folder / "letter.tif", COLOURS[:2])
    space.add_folder(folder)
    assert pages(space) == list(enumerate(COLOURS[:2], 1))


def test_a_page_has_what_it_says_of_itself_and_what_the_first_one_says(
    tmp_path: Path, space: SemanticSpace
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    maker, model, description, artist = 271, 272, 270, 315
    said = (
        {maker: "Epson", model: "V600", description: "a letter home", artist: "Ida"},
        {description: "its second page"},
        {description: "its second page", artist: "Max"},
    )
    scan(folder / "letter.tif", COLOURS, said=said)
    space.add_folder(folder)
    found = sorted(space.store.select(), key=lambda it: int(it.metadata["page"]))
    assert [it.metadata["camera"] for it in found] == ["Epson V600"] * 3
    assert [it.metadata["creator"] for it in found] == ["Ida", "Ida", "Max"]
    assert [it.metadata["description"] for it in found] == [it[description] for it in said]
    assert [it.text for it in found] == ["a letter home", "its second page", None]


def test_a_page_has_its_own_place_or_that_of_the_first_as_long_as_it_is_wanted(
    tmp_path: Path, space: SemanticSpace
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    gps, xmp = 0x8825, 700  # Pillow writes a table of the first page only as it is to be read
    place = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0), 5: b"\0", 6: 34.0}
    own = (
        b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description"
        b" xmlns:exif='http://ns.adobe.com/exif/1.0/' exif:GPSLatitude='33,0.0S'"
        b" exif:GPSLongitude='71,15.0W'/></rdf:RDF>"
    )
    scan(folder / "map.tif", COLOURS, said=({gps: place}, {}, {xmp: own}))
    known = {"latitude": 52.5, "longitude": 13.4, "altitude": 34.0}
    expected = [known, known, {"latitude": -33.0, "longitude": -71.25}]

    def told() -> list[dict[str, Any]]:
        found = sorted(space.store.select(), key=lambda it: int(it.metadata["page"]))
        return [{name: it.metadata[name] for name in known if name in it.metadata} for it in found]

    for location in (True, False, True):
        space.add_folder(folder, location=location)
        assert told() == (expected if location else [{}] * 3)
        assert space.add_folder(folder, location=location).unchanged == 3


def test_a_page_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    scan(tmp_path / "letter.tif", COLOURS)
    data = (tmp_path / "letter.tif").read_bytes()
    assert decode_image(data, "t", page=2).size == (40, 40)
    for number in (4, 2**40):
        with pytest.raises(ImageError, match=f"t: has no page {number}"):
            Region(page=number).render(data, "t")
    with pytest.raises(ImageError):
        Region(page=3).render(data[: len(data) // 2], "t")
