"""What lies beside a picture, found by its name in whatever letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from unisem.readers.companions import caption_of, xmp_of


def test_beside_a_picture_of_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, here in (("one", "A.XMP"), ("two", "a.Xmp")):
        (tmp_path / name).mkdir()
        (tmp_path / name / here).touch()
        monkeypatch.chdir(tmp_path / name)
        assert xmp_of(Path("a.jpg")) == Path(here)
        assert xmp_of(tmp_path / name / "a.jpg") == tmp_path / name / here
        assert caption_of(Path("a.jpg")) is None
