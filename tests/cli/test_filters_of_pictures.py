"""Filters as people type them, over what pictures' files say."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.cli.filtering import parse_filters
from unisem.stores.selection import Selection

PICTURES = {
    "may": ("2024:05:31 23:59:59", "+02:00", 3, ("sea", "boat")),
    "june-first": ("2024:06:01 00:00:00", "-07:00", 5, ("sea",)),
    "june-anywhere": ("2024:06:01 00:00:00", None, 4, ("Seaside",)),
    "june-last": ("2024:06:30 23:30:00", "+02:00", 0, ()),
    "july": ("2024:07:01 00:30:00", "+05:30", 1, ("harbour",)),
    "undated": (None, None, None, ()),
}
JUNE = {"june-first", "june-anywhere", "june-last"}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> SemanticSpace:
    home = tmp_path_factory.mktemp("home")
    (home / "p").mkdir()
    for shade, (name, (taken, zone, rating, keywords)) in enumerate(PICTURES.items()):
        exif = Image.Exif()
        if taken is not None:
            exif.get_ifd(0x8769)[0x9003] = taken
        if zone is not None:
            exif.get_ifd(0x8769)[0x9011] = zone
        if rating is not None:
            exif[0x4746] = rating
        if keywords:
            exif[0x9C9E] = (";".join(keywords) + "\0").encode("utf-16-le")
        Image.new("RGB", (64, 64), (shade * 40, 0, 0)).save(home / "p" / f"{name}.jpg", exif=exif)
    made = SemanticSpace.open(home / "p.unisem", encoder=ToyEncoder())
    made.add_folder(home / "p")
    return made


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["taken >= 2024-06-01"], {*JUNE, "july"}),
        (["taken < 2024-07-01"], {*JUNE, "may"}),
        (["taken >= 2024-06-01", "taken < 2024-07-01"], JUNE),
        (["taken <= 2024-06-30"], {"may", "june-first", "june-anywhere"}),
        (["taken ~ 2024-06"], JUNE),
        (["taken >= 2024"], {*JUNE, "may", "july"}),
        (["taken >= 2025"], set()),
        (["rating >= 4"], {"june-first", "june-anywhere"}),
        (["rating < 1"], {"june-last"}),
        (["keywords ~ sea"], {"may", "june-first"}),
        (["keywords ~ sea", "rating >= 4"], {"june-first"}),
    ],
)
def test_what_is_typed_finds(space: SemanticSpace, typed: list[str], expected: set[str]) -> None:
    found = space.store.select(Selection(filter=parse_filters(typed)))
    assert {Path(record.id).stem for record in found} == expected
