"""Spaces of documents: copied and taken elsewhere, their figures are shown and nothing is read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exchange.conftest import contents
from tests.support.manuals import manual
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.exchange import export_space, import_space

FIGURE, INSIDE = "manuals/machine.pdf#p1-figure-1", "manuals/page.html#figure-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A PDF with two figures and a table, and a page with a picture inside it."""
    (tmp_path / "manuals").mkdir()
    (tmp_path / "manuals" / "machine.pdf").write_bytes(manual())
    red = base64.b64encode(encoded(solid("red"))).decode()
    (tmp_path / "manuals" / "page.html").write_text(
        f"<h1>Oil</h1><p>See Figure 1.</p><figure><img src='data:image/png;base64,{red}'>"
        "<figcaption>Figure 1: Red.</figcaption></figure>"
    )
    return tmp_path / "manuals"


@pytest.fixture(params=[False, True], ids=["referred to", "copied"])
def space(request: pytest.FixtureRequest, folder: Path) -> Iterator[SemanticSpace]:
    """Of that folder; its pictures stay in the PDF, or are copied into the space."""
    copied: bool = request.param
    place = folder.parent / "s.unisem"
    with SemanticSpace.open(place, encoder=ToyEncoder(), copy_images=copied) as opened:
        assert opened.add_folder(folder).skipped == ()
        held = [record for record in opened.get([FIGURE, INSIDE]) if record is not None]
        images = [record.image for record in held if record.image is not None]
        assert [it.region is not None for it in images] == [not copied, False]
        yield opened


def is_whole(space: SemanticSpace, folder: Path, encoder: ToyEncoder) -> bool:
    """Nothing of the folder is read or embedded again, and nothing is new or gone."""
    before = encoder.texts_encoded, encoder.images_encoded
    report = space.add_folder(folder, prune=True)
    assert (encoder.texts_encoded, encoder.images_encoded) == before
    return (report.added, report.removed, report.skipped, report.gone) == (0, 0, (), ())


def test_a_copy_shows_what_the_original_shows(
    space: SemanticSpace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, encoder = contents(space), ToyEncoder()
    space.backup(folder.parent / "copy.unisem")
    with SemanticSpace.open(folder.parent / "copy.unisem", encoder=encoder) as copy:
        assert contents(copy) == expected
        monkeypatch.setattr("unisem.readers.documents.pdf.PdfFile", None)
        assert is_whole(copy, folder, encoder)


@pytest.mark.parametrize("copied", [False, True])
def test_an_export_shows_what_the_space_shows(
    space: SemanticSpace, folder: Path, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, encoder = contents(space), ToyEncoder()
    report = export_space(space, folder.parent / "out", copy_images=copied)
    assert report.missing == ()
    with SemanticSpace.open(folder.parent / "new.unisem", encoder=encoder) as new:
        imported = import_space(folder.parent / "out", new)
        assert (imported.records, imported.embedded) == (len(expected), 0)
        assert contents(new) == expected
        monkeypatch.setattr("unisem.readers.documents.pdf.PdfFile", None)
        assert is_whole(new, folder, encoder)


def test_an_export_with_its_pictures_needs_no_documents(space: SemanticSpace, folder: Path) -> None:
    expected = contents(space)
    export_space(space, folder.parent / "out", copy_images=True)
    space.close()
    for file in folder.iterdir():
        file.unlink()
    with SemanticSpace.open(folder.parent / "new.unisem", encoder=ToyEncoder()) as new:
        import_space(folder.parent / "out", new)
        assert contents(new) == expected
        (record,) = new.get([FIGURE])
        assert record is not None
        assert record.image is not None
        assert record.image.open().size[0] > 300


def test_an_export_without_its_documents_says_what_is_missing(
    space: SemanticSpace, folder: Path
) -> None:
    inside = space.get([FIGURE])[0]
    assert inside is not None
    assert inside.image is not None
    kept = inside.image.region is None
    export_space(space, folder.parent / "out")
    (folder / "machine.pdf").unlink()
    with SemanticSpace.open(folder.parent / "new.unisem", encoder=ToyEncoder()) as new:
        report = import_space(folder.parent / "out", new)
        assert [it.reason for it in report.skipped] == ([] if kept else ["does not exist"] * 3)
        assert new.get([INSIDE]) != [None]  # and what is said beside them
        assert new.get(["manuals/machine.pdf#p1-1"]) != [None]
