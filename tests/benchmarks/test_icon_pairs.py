"""Pairs to learn from: each way to put a caption is a pair of the same picture."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from benchmarks.icon_pairs import in_other_words, joined
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset


def test_other_words_are_pairs_of_the_same_picture(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    image = ImageRef(path=tmp_path / "cat.png")
    known = PairDataset((Pair.of(image, "Red_cat 2. animal, unsorted", "cat"),))
    found = in_other_words(known)
    assert {pair.image_id for pair in found} == {"cat"}
    assert len(set(found.captions)) == len(found)
    wanted = {"Red_cat 2. animal, unsorted", "Red cat. animal", "Red cat", "animal"}
    assert wanted | {"a drawing of a red cat"} == set(found.captions)
    assert len(joined([known, found])) == 1 + len(found)
