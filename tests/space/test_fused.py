"""A third vector of captioned pictures, where the encoder reads both at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import noise, solid
from tests.support.toy import FusingToyEncoder, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.captions import with_own_caption
from unisem.exchange import export_space, import_space
from unisem.images.reference import ImageRef
from unisem.ingest.fusing import captioned_vectors
from unisem.search import Query

WORDS = ["red", "green", "blue", "yellow", "black", "white"]


@pytest.fixture
def encoder() -> FusingToyEncoder:
    return FusingToyEncoder()


@pytest.fixture
def space(encoder: FusingToyEncoder, tmp_path: Path) -> Any:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder, copy_images=True) as opened:
        opened.add(records())
        yield opened


def records() -> list[Record]:
    captioned = [
        Record(id=word, text=f"a {word} card for number {n}", image=solid(word))
        for n, word in enumerate(WORDS)
    ]
    return [*captioned, Record(id="text", text="a red word"), Record(id="image", image=noise(1))]


def kinds(space: SemanticSpace, record_id: str) -> set[str]:
    return set(space.store.vectors([record_id])[0] or {})


def test_a_captioned_picture_has_three_vectors_and_is_one_hit(
    space: SemanticSpace, encoder: FusingToyEncoder
) -> None:
    assert kinds(space, "red") == {"text", "image", "both"}
    assert (kinds(space, "text"), kinds(space, "image")) == ({"text"}, {"image"})
    assert (encoder.texts_encoded, encoder.images_encoded, encoder.pairs_encoded) == (7, 7, 6)
    statistics = space.store.maintenance().statistics()
    assert statistics.vectors == {"text": 7, "image": 7, "both": 6}
    query = Query(text="red card", image=solid("red"), k=8)
    hits = space.search_query(query)
    assert (hits[0].record.id, hits[0].matched) == ("red", "both")
    assert len({hit.record.id for hit in hits}) == len(hits) == 8
    vector = space.embed_query(query)
    fused = (space.store.vectors(["red"])[0] or {})["both"]
    assert hits[0].score == pytest.approx(float(fused @ vector), abs=1e-5)
    for match in ("text", "image", "both"):
        only = space.search_query(replace(query, match=match))  # type: ignore[arg-type]
        assert {hit.matched for hit in only} == {match}
        assert len(only) == (6 if match == "both" else 7)


def test_what_was_embedded_is_not_embedded_again(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    folder.mkdir()
    for word in WORDS:
        solid(word).save(folder / f"{word}.png")
        (folder / f"{word}.txt").write_text(f"a {word} card", encoding="utf-8")
    encoder = FusingToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        assert space.add_folder(folder).added == 6
        assert encoder.pairs_encoded == 6
        before = (space.store.vectors(["cards/red.png"])[0] or {})["both"]
        assert space.add_folder(folder).unchanged == 6
        (folder / "red.txt").write_text("a scarlet card", encoding="utf-8")
        (folder / "blue.png").rename(folder / "azure.png")
        (folder / "blue.txt").rename(folder / "azure.txt")
        space.add_folder(folder, prune=True)
        assert (encoder.images_encoded, encoder.pairs_encoded) == (6, 7)
        (expected,) = encoder.encode_pairs(["a scarlet card"], [solid("red")])
        after = (space.store.vectors(["cards/red.png"])[0] or {})["both"]
        np.testing.assert_allclose(after, expected, atol=1e-6)
        assert np.abs(after - before).max() > 1e-3
        assert kinds(space, "cards/azure.png") == {"text", "image", "both"}


def test_another_caption_is_another_fused_vector(
    space: SemanticSpace, encoder: FusingToyEncoder, tmp_path: Path
) -> None:
    (record,), (before,) = space.get(["red"]), space.store.vectors(["red"])
    assert record is not None
    assert before is not None
    changed = with_own_caption(record, "a blue card", in_file=False)
    (row,) = encoder.encode_texts(["a blue card"])
    found = captioned_vectors(encoder, changed, before, row)
    assert found.keys() == {"text", "image", "both"}
    np.testing.assert_array_equal(found["image"], before["image"])
    (expected,) = encoder.encode_pairs(["a blue card"], [solid("red")])
    np.testing.assert_allclose(found["both"], expected, atol=1e-6)
    lost = changed.with_image(ImageRef(path=tmp_path / "gone.png", root=tmp_path))
    assert captioned_vectors(encoder, lost, before, row).keys() == {"text", "image"}
    assert captioned_vectors(ToyEncoder(), changed, before, row).keys() == {"text", "image"}


@pytest.mark.parametrize("layout", ["jsonl", "parquet"])
def test_they_travel_as_plain_files_and_are_there_when_opened_again(
    space: SemanticSpace, tmp_path: Path, layout: Any
) -> None:
    space.compact()
    export_space(space, tmp_path / "out", layout=layout)
    encoder = FusingToyEncoder()
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        import_space(tmp_path / "out", new)
        assert encoder.pairs_encoded == 0
        for word in WORDS:
            for theirs, ours in zip(
                (space.store.vectors([word])[0] or {}).items(),
                (new.store.vectors([word])[0] or {}).items(),
                strict=True,
            ):
                assert theirs[0] == ours[0]
                np.testing.assert_array_equal(theirs[1], ours[1])
    query = Query(text="a blue card", image=solid("blue"), k=3)
    expected = [(hit.record.id, hit.matched, hit.score) for hit in space.search_query(query)]
    space.close()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as again:
        found = [(hit.record.id, hit.matched, hit.score) for hit in again.search_query(query)]
        assert found == expected
        assert not list(again.store.maintenance().check())


def test_a_calibration_knows_them_where_there_are_enough(encoder: FusingToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add(
            [
                Record(id=f"{n}", text=f"{WORDS[n % 6]} thing {n} of {n // 7}", image=noise(n))
                for n in range(80)
            ]
        )
        calibration = space.calibrate()
        assert calibration.documents_of["both"].count == 80
        assert {kind for _, kind in calibration.pairs} == {"text", "image", "both"}
        hits = space.search("red thing 6 of 0", k=20)
        assert len({hit.record.id for hit in hits}) == 20
        assert "both" in {hit.matched for hit in space.search("red thing", k=80, match="both")}
