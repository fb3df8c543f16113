"""Groups of duplicates against one another, one by one; and hits that make way for their like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.images.test_looks import drawing
from tests.support.length_reranker import LengthReranker
from tests.support.pictures import solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.images.looks import are_near, rows_of
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.ingest.looking import remember_looks, without_look
from unisem.records import EmbeddedRecord
from unisem.search.duplicate_groups import duplicate_groups
from unisem.search.query import Query
from unisem.stores.selection import Selection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures: one twice and in three more sizes, one twice, one once; and a text."""
    found = tmp_path / "photos"
    found.mkdir()
    image = drawing(1)
    image.save(found / "a.png")
    (found / "a again.png").write_bytes((found / "a.png").read_bytes())
    image.resize((1280, 960)).save(found / "large.png")
    image.resize((320, 240), Image.Resampling.LANCZOS).save(found / "small.jpg", quality=60)
    image.resize((200, 150), Image.Resampling.LANCZOS).save(found / "tiny.png")
    drawing(2).save(found / "b.png")
    drawing(2).save(found / "c.png")
    drawing(3).save(found / "d.png")
    (found / "tiny.txt").write_text("eight rectangles")
    (found / "about.md").write_text("rectangles")
    for seconds, name in enumerate(("small.jpg", "a.png", "a again.png", "large.png", "tiny.png")):
        os.utime(found / name, (seconds, seconds))
    return found


@pytest.fixture
def space(folder: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(folder.parent / "s.unisem", encoder=ToyEncoder()) as opened:
        assert not opened.add_folder(folder).skipped
        yield opened


def pictures(space: SemanticSpace) -> list[Record]:
    return list(space.store.select(Selection(modality="image")))


def names(records: object) -> list[str]:
    return [Path(record.id).name for record in records]  # type: ignore[attr-defined]


def test_groups_say_what_to_keep(space: SemanticSpace) -> None:
    first, second = duplicate_groups(pictures(space), near=True)
    assert first.kind == "near"
    assert names(it.record for it in first.copies) == [
        "large.png",
        "a.png",
        "a again.png",
        "small.jpg",
        "tiny.png",
    ]
    merits = {Path(it.record.id).name: it.merits for it in first.copies}
    assert merits["large.png"] == ("largest",)
    assert merits["small.jpg"] == ("oldest",)
    assert merits["tiny.png"] == ("best captioned",)
    assert first.spare == sum(it.size for it in first.copies[1:])
    assert (second.kind, names(it.record for it in second.copies)) == ("same", ["b.png", "c.png"])
    same = duplicate_groups(pictures(space), near=False)
    assert [names(it.record for it in group.copies) for group in same] == [
        ["b.png", "c.png"],
        ["a.png", "a again.png"],
    ]


def test_what_is_gone_is_not_kept(space: SemanticSpace, folder: Path) -> None:
    (folder / "large.png").unlink()
    first = duplicate_groups(pictures(space), near=True)[0]
    assert Path(first.copies[0].record.id).name == "a.png"
    assert first.copies[-1].is_gone
    assert "largest" in first.copies[0].merits


def test_one_file_is_never_kept_and_spare(space: SemanticSpace, folder: Path) -> None:
    os.link(folder / "d.png", folder / "d linked.png")
    os.symlink(folder / "b.png", folder / "b linked.png")
    part = Region(page=1, box=None, dpi=72)
    seen = pictures(space)
    by_hand = [
        Record(id=name, text=name, image=replace(image, path=folder / file))
        for name, file, like in (
            ("mine", "d.png", "d.png"),
            ("linked", "d linked.png", "d.png"),
            ("twice", "b linked.png", "b.png"),
        )
        for image in [next(it.image for it in seen if it.image and it.id.endswith(f"/{like}"))]
        if image is not None
    ]
    figure = [
        Record(id=f"{number}", image=ImageRef(folder / name, region=part, sha256="0" * 64))
        for number, name in enumerate(("one.pdf", "two.pdf"))
    ]
    for near in (False, True):
        groups = duplicate_groups([*seen, *by_hand, *figure], near=near)
        files = [copy.file for group in groups for copy in group.copies]
        assert len(files) == len(set(files))
        told = {copy.record.id for group in groups for copy in group.copies}
        assert told.isdisjoint({"mine", "linked", "photos/d.png", "0", "1"})
        (kept, spare), *_ = [it.copies for it in groups if it.copies[0].record.id == "twice"]
        assert names([spare.record]) == ["c.png"]
        assert "best captioned" in kept.merits


def brute_force(looks: list[str]) -> list[int]:
    """Of each picture the first before it that it is near to and that has joined no other."""
    rows = rows_of(looks)
    first: list[int] = []
    for place in range(len(looks)):
        owner = place
        for earlier in range(place):
            one, other = rows[place : place + 1], rows[earlier : earlier + 1]
            if first[earlier] == earlier and are_near(one, other)[0, 0]:
                owner = earlier
                break
        first.append(owner)
    return first


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_those_of_brute_force(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.images.looks._BLOCK", 16)
    monkeypatch.setattr("unisem.images.looks._AT_ONCE", 24)
    random = np.random.default_rng(seed)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    kin = random.integers(10, 50, (12, 193))
    kin[:, 0] = 32
    looks = []
    for _ in range(160):  # each a little off one of a dozen, so that some are near and some not
        row = kin[random.integers(12)] + random.integers(-2, 3, 193) * (random.random(193) < 0.3)
        looks.append("".join(letters[row.clip(0, 63)]))
    records = [
        Record(
            id=f"{number:03}",
            image=ImageRef(path=Path(f"/nowhere/{number}"), sha256=f"{number:064}", look=look),
        )
        for number, look in enumerate(looks)
    ]
    first = brute_force(looks)
    expected = {
        tuple(sorted(f"{it:03}" for it in range(160) if first[it] == owner))
        for owner in set(first)
        if first.count(owner) > 1
    }
    assert len(expected) > 5
    found = duplicate_groups(records, near=True)
    assert {tuple(sorted(it.record.id for it in group.copies)) for group in found} == expected


def test_near_hits_make_way(space: SemanticSpace) -> None:
    hits = space.search(text="rectangles", k=4, duplicates="near")
    assert len(hits) == 4  # three pictures and the text
    told = [{hit.record.id, *(copy.id for copy in hit.copies)} for hit in hits]
    assert sorted(map(len, told)) == [1, 1, 2, 5]
    plain = space.search(text="rectangles", k=20)
    assert len(plain) == 7
    assert sorted(len(hit.copies) for hit in plain) == [0, 0, 0, 0, 0, 1, 1]
    assert len(space.search(text="rectangles", k=20, duplicates="keep")) == 9
    with pytest.raises(ValueError, match="duplicates must be"):
        Query(text="x", duplicates="some")  # type: ignore[arg-type]


def test_what_a_filter_forbids_is_not_told_of(space: SemanticSpace) -> None:
    chosen = Field("file_name") != "a.png"
    for hit in space.search(text="rectangles", k=20, filter=chosen, duplicates="near"):
        assert "a.png" not in names(hit.copies)
    by_id = space.search(text="rectangles", k=9, ids=["photos/b.png"])
    assert [hit.copies for hit in by_id] == [()]


def test_many_copies_hide_none(tmp_path: Path) -> None:
    solid("red").save(tmp_path / "red.png")
    solid("blue").save(tmp_path / "blue.png")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add(Record(id=f"r{n:03}", image=tmp_path / "red.png") for n in range(130))
        space.add(Record(id=f"b{n}", image=tmp_path / "blue.png") for n in range(3))
        red, blue = sorted(space.search(text="red", k=2), key=lambda hit: hit.record.id)[::-1]
        assert len(red.copies) == 100
        assert [copy.id for copy in blue.copies] == ["b1", "b2"]
        assert red.places == (tmp_path / "red.png",)
        assert red.stands_for("r000")
        assert not red.stands_for("b0")


def test_a_picture_that_was_never_inspected_hides_no_copy(tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        vector = space.encoder.encode_texts(["red"], role="query")[0]
        path = Path("/nowhere/red.png")
        space.store.add(
            [
                EmbeddedRecord(
                    Record(id=name, image=ImageRef(path=path, sha256=digest)), {"image": it}
                )
                for name, digest, it in (
                    ("a", "a" * 64, vector),
                    ("copy", "a" * 64, vector),
                    ("never", None, vector),
                )
            ]
        )
        hits = space.search_query(Query(vector=vector, k=5))
        assert [(hit.record.id, [it.id for it in hit.copies]) for hit in hits] == [
            ("a", ["copy"]),
            ("never", []),
        ]


def test_words_that_were_read_in_copies_are_one_hit(tmp_path: Path) -> None:
    folder = tmp_path / "tickets"
    folder.mkdir()
    for number in range(6):
        solid((1, 0, 0)).save(folder / f"copy{number}.png")
    solid((2, 0, 0)).save(folder / "other.png")
    words = {(1, 0, 0): ["ticket one gate"], (2, 0, 0): ["ticket two gate"]}
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder, recognizer=ColourRecognizer(words))
        for mode in ("vector", "keyword", "hybrid"):
            hits = space.search(text="ticket one gate", k=2, mode=mode)  # type: ignore[arg-type]
            assert [len(hit.copies) for hit in hits] == [5, 0]


@pytest.mark.parametrize("options", [{}, {"reranker": LengthReranker()}])
def test_two_copies_with_words_do_not_make_a_search_read_the_space(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tickets"
    folder.mkdir()
    for number in range(2):
        solid((1, 0, 0)).save(folder / f"copy{number}.png")
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder, recognizer=ColourRecognizer({(1, 0, 0): ["ticket one gate"]}))
        space.add(Record(id=f"t{n:04}", text=f"ticket {n} gate") for n in range(1000))
        fetched, encoded, judged = [], [], []
        search, encode = type(space.store).search, type(encoder).encode_texts
        score = LengthReranker.score

        def spied(store: Any, vectors: Any, k: int, *rest: Any) -> Any:
            fetched.append(k)
            return search(store, vectors, k, *rest)

        def spied_encode(own: Any, texts: Any, **rest: Any) -> Any:
            encoded.append(texts)
            return encode(own, texts, **rest)

        def spied_score(own: Any, *rest: Any) -> Any:
            judged.append(rest)
            return score(own, *rest)

        monkeypatch.setattr(type(space.store), "search", spied)
        monkeypatch.setattr(type(encoder), "encode_texts", spied_encode)
        monkeypatch.setattr(LengthReranker, "score", spied_score)
        k = 50 if options else 5
        hits = space.search(text="ticket one gate", k=k, fetch_k=k, **options)
        assert len(hits) == k
        assert options or sum(len(hit.copies) for hit in hits) == 1
        assert len(fetched) == 2
        assert len(encoded) == 1
        assert len(judged) == len(options)


def test_looks_come_later_to_pictures_that_have_none(space: SemanticSpace, folder: Path) -> None:
    expected = {record.id: record for record in pictures(space)}
    assert not without_look(space.store)
    items = list(space.store.embedded())
    for item in items:
        image = item.record.image
        if image is not None:
            object.__setattr__(image, "look", None)
    space.store.add(items)
    (folder / "d.png").unlink()
    assert len(without_look(space.store)) == len(expected)
    before = {it.record.id: it.vectors for it in space.store.embedded()}
    assert remember_looks(space.store) == len(expected) - 1
    assert names(without_look(space.store)) == ["d.png"]
    after = {it.record.id: it.vectors for it in space.store.embedded()}
    for name, vectors in before.items():
        for kind, row in vectors.items():
            assert (after[name][kind] == row).all()
    for record in pictures(space):
        image, was = record.image, expected[record.id].image
        if image is not None and was is not None and image.look is not None:
            assert record.with_image(was) == expected[record.id]
            assert are_near(rows_of([image.look]), rows_of([str(was.look)]))[0, 0]
    assert remember_looks(space.store) == 0
