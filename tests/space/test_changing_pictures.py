"""Pictures that change while they are being added."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pictures import encoded, noise, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.page import Page, Section
from unisem.errors import ImageError
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.images.thumbnails import Thumbnails


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture is another one as soon as it has been inspected."""
    placed = ImageLibrary.placed

    def inspect_and_change(self: ImageLibrary, image: ImageRef, data: bytes) -> ImageRef:
        found = placed(self, image, data)
        assert found.path is not None
        found.path.write_bytes(encoded(solid("blue")))
        return found

    monkeypatch.setattr(ImageLibrary, "placed", inspect_and_change)


@pytest.mark.usefixtures("changing")
def test_vector_and_digest_are_of_the_same_bytes(tmp_path: Path, encoder: ToyEncoder) -> None:
    (tmp_path / "photos").mkdir()
    noise(0).save(tmp_path / "photos" / "a.png")
    before = (tmp_path / "photos" / "a.png").read_bytes()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        assert space.add_folder(tmp_path / "photos").added == 1
        found = space.search(image=before, k=1)[0]
        assert found.score == pytest.approx(1, abs=1e-6)


@pytest.mark.usefixtures("changing")
def test_an_added_record_has_the_vector_of_the_bytes_that_were_inspected(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    path = tmp_path / "a.png"
    noise(0).save(path)
    before = path.read_bytes()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add([Record(id="a", image=path)])
        assert space.search(image=before, k=1)[0].score == pytest.approx(1, abs=1e-6)


def test_a_picture_that_has_changed_is_opened_by_nobody(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    path = tmp_path / "a.png"
    noise(0).save(path)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add([Record(id="a", text="noise", image=path)])
        hits = space.search(text="noise", k=1)
        noise(1).save(path)
        image = hits[0].record.image
        assert image is not None
        page = Page("t", (Section("noise", None, tuple(hits)),)).render(tmp_path)
        assert "has changed since it was indexed" in page
        assert "data:image" not in page
        assert "has changed" in Thumbnails().of(image).problem
        for read in (image.open, image.read_verified, lambda: encoder.encode_images([image])):
            with pytest.raises(ImageError, match="has changed since it was indexed"):
                read()
