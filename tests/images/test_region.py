"""A part of a page as a picture: what is rendered, when it has changed, how it is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.manuals import manual
from tests.support.toy import ToyEncoder
from unisem import ImageRef, Record, SemanticSpace
from unisem.errors import ImageError
from unisem.images.region import Region

COVER = Region(page=1, box=(60, 220, 240, 340), dpi=72)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "manual.pdf"
    path.write_bytes(manual())
    return path


def test_a_region_is_rendered_at_its_resolution_and_nothing_around_it(path: Path) -> None:
    for dpi in (72, 144):
        image = ImageRef(path=path, region=replace(COVER, dpi=dpi)).inspected()
        assert (image.width, image.height) == (180 * dpi // 72, 120 * dpi // 72)
        assert image.mime_type == "image/png"
        pixels = np.asarray(image.open())[2:-2, 2:-2]
        assert (np.abs(pixels.astype(int) - (220, 30, 30)) < 4).all()


def test_a_region_shows_what_was_found_or_nothing(path: Path) -> None:
    image = ImageRef(path=path, region=COVER).inspected()
    path.write_bytes(manual(extra="A page that gained a passage."))
    image.open()  # another file, the same picture
    image = replace(image, region=replace(COVER, box=(60, 230, 240, 340), document="0" * 64))
    with pytest.raises(ImageError, match="has changed since it was indexed"):
        image.open()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"page": 0, "dpi": 72}, "page must be"),
        ({"page": 1, "dpi": 5}, "dpi must be"),
        ({"page": 1, "dpi": 72, "box": [1, 2, 3]}, "box must be"),
        ({"page": 1, "dpi": 72, "box": [1, 2, float("nan"), 4]}, "box must be"),
        ({"page": 1, "dpi": 72, "box": [9, 2, 3, 4]}, "box must be"),
        ({"dpi": 72}, "damaged"),
        ({"page": 1, "dpi": 72, "box": "abcd"}, "damaged"),
    ],
)
def test_a_region_from_elsewhere_is_checked(parts: dict[str, object], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        Region.from_json(parts)


def test_a_page_or_box_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ImageError, match="has 2 pages, and no page 7"):
        ImageRef(path=path, region=Region(page=7)).read_bytes()
    with pytest.raises(ImageError, match="has nothing at"):
        ImageRef(path=path, region=Region(page=1, box=(700, 0, 800, 10))).read_bytes()


def test_a_huge_region_is_rendered_coarser() -> None:
    data = manual()
    from unisem.images.decoding import inspect_image

    info = inspect_image(Region(page=1, dpi=1200).render(data, "m.pdf"), "m.pdf")
    assert max(info.width, info.height) == 4096


def test_a_space_keeps_the_region_and_finds_it_again(path: Path, tmp_path: Path) -> None:
    image = ImageRef(path=path, region=COVER)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add([Record(id="cover", image=image)])
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        (hit,) = space.search(text="red", k=1)
        found = hit.record.image
        assert found is not None
        assert found.region == replace(COVER, document=found.region and found.region.document)
        assert found.open().size == (180, 120)
        assert not list((tmp_path / "s.unisem").glob("blobs/*/*"))


def test_a_space_that_copies_pictures_keeps_the_pixels(path: Path, tmp_path: Path) -> None:
    image = ImageRef(path=path, region=COVER)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder(), copy_images=True) as space:
        space.add([Record(id="cover", image=image)])
        path.unlink()
        (record,) = space.get(["cover"])
        assert record is not None
        assert record.image is not None
        assert record.image.region is None
        assert record.image.open().size == (180, 120)


def test_its_page_is_shown_with_a_frame_around_it(path: Path) -> None:
    box = (100.0, 120.0, 300.0, 260.0)
    image = ImageRef(path=path, region=Region(page=1, box=box)).inspected()
    page = image.open_page()
    assert page is not None
    plain = ImageRef(path=path, region=Region(page=1, dpi=96)).open()
    assert page.size == plain.size
    rows, columns = np.nonzero((np.asarray(page) != np.asarray(plain)).any(axis=2))
    left, top, right, bottom = (round(side * 96 / 72) for side in box)
    assert (columns.min(), rows.min()) == (left - 4, top - 4)
    assert (columns.max(), rows.max()) == (right + 4, bottom + 4)
    framed = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    assert not framed.any()  # nothing is drawn over the picture itself


def test_the_page_of_a_changed_document_is_not_shown(path: Path) -> None:
    image = ImageRef(path=path, region=Region(page=1, box=(100, 120, 300, 260))).inspected()
    path.write_bytes(manual(pages=3, extra="another"))
    blank = replace(image, sha256="0" * 64)
    with pytest.raises(ImageError, match="has changed"):
        blank.open_page()


def test_a_picture_of_its_own_has_no_page() -> None:
    assert ImageRef(data=b"").open_page() is None
