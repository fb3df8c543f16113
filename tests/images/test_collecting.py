"""Pictures inside a space are removed once no record has them, whatever the clock says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.pictures import encoded, solid
from tests.support.processes import script
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef

LONG_AGO, FAR_OFF = 1.0, 4e9
RED, BLUE = encoded(solid("red")), encoded(solid("blue"))


def opened(path: Path) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ToyEncoder())


def blobs(path: Path) -> list[Path]:
    return [file for file in (path / "blobs").rglob("*") if file.is_file()]


@pytest.mark.parametrize("when", [LONG_AGO, FAR_OFF, None])
def test_what_no_record_has_is_removed_and_the_rest_stays(
    tmp_path: Path, when: float | None
) -> None:
    path = tmp_path / "s.unisem"
    with opened(path) as space:
        space.add([Record(id="r", image=RED), Record(id="b", image=BLUE)])
        for blob in blobs(path):
            if when is not None:
                os.utime(blob, (when, when))
        space.delete(["b"])
        space.compact()
        kept = space.get(["r"])[0]
        assert kept is not None
        assert kept.image is not None
        assert kept.image.read_bytes() == RED
        assert len(blobs(path)) == 1


@pytest.mark.parametrize("when", [LONG_AGO, FAR_OFF])
def test_a_picture_whose_record_is_only_being_added_stays(tmp_path: Path, when: float) -> None:
    path = tmp_path / "s.unisem"
    with opened(path) as space:
        space.add([Record(id="r", image=RED)])
        items = list(space.embed([Record(id="b", image=BLUE)]))
        for blob in blobs(path):
            os.utime(blob, (when, when))
        space.compact()
        space.store.add(items)
        added = space.get(["b"])[0]
        assert added is not None
        assert added.image is not None
        assert added.image.read_bytes() == BLUE
        space.delete(["b"])
        space.compact()
        assert len(blobs(path)) == 1


def test_a_picture_that_another_process_is_adding_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    with opened(path) as space:
        space.add([Record(id="r", image=RED)])
    other = ImageLibrary(path)
    kept = other.keep(ImageRef(data=BLUE), BLUE)
    assert kept.path is not None
    os.utime(kept.path, (LONG_AGO, LONG_AGO))
    compact = "with opened(sys.argv[1]) as space: space.compact()"
    script(compact, path)
    assert kept.read_bytes() == BLUE
    other.close()
    script(compact, path)
    assert not kept.path.exists()
    assert len(blobs(path)) == 1
