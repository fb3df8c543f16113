"""Pairs of any kind: read, checked, told apart and split; captions with pictures are one."""

from __future__ import annotations

import json
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pairs.test_sources import write_table
from tests.support.pictures import noise
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.pairs import CaptionCleaning, Input, Pair, PairDataset, check_pairs, split_pairs
from unisem.pairs.splits import Leakage, leakage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        noise(number).save(tmp_path / f"{number}.png")
    return tmp_path


def written(folder: Path, *rows: Any) -> PairDataset:
    return PairDataset.read(write_table(folder / "pairs.jsonl", list(rows)))


def image(folder: Path, name: str) -> Input:
    return Input(image=ImageRef(path=folder / name, root=folder), image_id=name)


def test_rows_say_both_sides(folder: Path) -> None:
    dataset = written(
        folder,
        {"query": {"text": "in red", "image": "0.png"}, "document": {"image": "1.png"}},
        {
            "query": "a question",
            "document": {"text": "an answer"},
            "negatives": ["b", {"text": "c"}],
        },
        {"query": {"image": "2.png"}, "document": {"image": "3.png"}, "negatives": []},
        {"query": {"text": "t"}, "document": {"text": "u", "image": "1.png"}, "negatives": None},
        {"filepath": "0.png", "title": ["one", "two"]},
    )
    assert dataset.kinds == {
        "both to image": 1,
        "text to text": 1,
        "image to image": 1,
        "text to both": 1,
        "text to image": 2,
    }
    assert dataset.pairs[:2] == (
        Pair(
            Input("in red", ImageRef(path=folder / "0.png", root=folder), "0.png"),
            image(folder, "1.png"),
        ),
        Pair(Input("a question"), Input("an answer"), (Input("b"), Input("c"))),
    )
    assert [pair.is_captioned for pair in dataset] == [False] * 4 + [True] * 2
    assert dataset.forms == {"text", "image", "both"}
    assert [p.caption for p in dataset if p.is_captioned] == ["one", "two"]
    with pytest.raises(TrainingError, match="both to image, where a caption and its picture are"):
        _ = dataset.captions


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"query": "a"}, 'has no "filepath"'),
        ({"document": "a"}, '"query" must be a text'),
        ({"query": "a", "document": {}}, '"document" must be a text, or have'),
        ({"query": "a", "document": {"txt": "b"}}, '"document" must be a text, or have'),
        ({"query": "a", "document": {"text": 1}}, '"document" must have a text and a picture'),
        ({"query": "a", "document": {"image": ""}}, '"document" must have a text and a picture'),
        ({"query": "a", "document": "b", "negatives": "c"}, '"negatives" must be a list'),
        ({"query": "a", "document": "b", "negatives": [3]}, '"negatives" must be a text'),
        ({"anchor": "a", "positive": None}, '"positive" must be a text'),
        ({"anchor": "a", "positive": "b", "negative": [["c"]]}, '"negative" must be a text'),
        ({"positive": {"text": "b"}, "anchor": "a"}, '"positive" must be a text'),
    ],
)
def test_bad_rows_cost_themselves(folder: Path, row: Any, reason: str) -> None:
    dataset = written(folder, row, {"query": "a", "document": "b"})
    assert len(dataset) == 1
    assert [reason in item.reason for item in dataset.skipped] == [True]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_triplets_of_texts(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"anchor": "a\tb", "positive": "c", "negative": "d", "negative_2": ""},
        {"anchor": "e", "positive": "f", "negative": "g", "negative_2": "h"},
    ]
    dataset = PairDataset.read(write_table(tmp_path / f"t{suffix}", rows))
    assert list(dataset) == [
        Pair(Input("a\tb"), Input("c"), (Input("d"),)),
        Pair(Input("e"), Input("f"), (Input("g"), Input("h"))),
    ]


def test_a_header_that_has_neither_is_told_as_before(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv", [{"anchor": "a", "said": "b"}])
    with pytest.raises(TrainingError, match=r"no column 'filepath' or 'title'; it has 'anchor'"):
        PairDataset.read(table)


def test_pictures_stay_in_the_folder(folder: Path) -> None:
    inside = folder / "inside"
    inside.mkdir()
    noise(5).save(inside / "5.png")
    (inside / "link.png").symlink_to(folder / "0.png")
    row = {"query": "a", "document": {"image": "5.png"}}
    outside = [{"image": "../0.png"}, {"image": str(folder / "0.png")}, {"image": "link.png"}]
    checked = check_pairs(written(inside, row | {"negatives": outside}))
    assert checked.report.negatives == 0
    assert len(checked.report.broken) == 3
    assert checked.report.usable == 1, "negatives that cannot be used cost themselves alone"
    for picture in outside:
        report = check_pairs(written(inside, row | {"document": picture})).report
        assert (report.usable, len(report.broken)) == (0, 1)


def test_the_report_of_other_kinds(folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    picture = {"image": "0.png"}
    checked = check_pairs(
        written(
            folder,
            {"query": "a", "document": "b", "negatives": ["B ", "A", "c", "d", "C", "  "]},
            {"query": "A", "document": "c"},
            {"query": "a ", "document": " B"},  # again
            {"query": "e", "document": "  "},
            {"query": {"text": " ", "image": "1.png"}, "document": picture},
            {"query": {"image": "1.png"}, "document": {"image": "copy.png"}},  # the same again
            {
                "query": "f",
                "document": "g",
                "negatives": [{"image": "gone.png"}, {"image": "2.png"}],
            },
        )
    )
    report = checked.report
    assert report.kinds == {"text to text": 3, "image to image": 1}
    assert (report.pairs, report.usable, report.repeated, report.empty_captions) == (7, 4, 2, 1)
    assert [item.name for item in report.missing] == [str(folder / "gone.png")]
    # B and c are right for "a", A is the query itself, C is c again, and the last one is empty.
    assert checked.dataset[0].negatives == (Input("d"),)
    assert (report.negatives, report.refuted) == (2, 4)
    assert (report.images, report.captions) == (2, 5)
    assert report.shared_captions == 1
    assert report.copies == 1


def test_contents_are_told_apart_across_sides(folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    dataset = check_pairs(
        written(
            folder,
            {"query": "a", "document": "b"},
            {"query": "B", "document": "a"},
            {"query": {"text": "a", "image": "0.png"}, "document": {"image": "0.png"}},
            {"query": {"text": "A", "image": "copy.png"}, "document": {"image": "1.png"}},
            {"query": {"text": "b", "image": "0.png"}, "document": {"image": "copy.png"}},
        )
    ).dataset
    assert dataset.contents.tolist() == [[0, 1], [1, 0], [2, 3], [2, 4], [5, 3]]
    assert dataset.query_ids.tolist() == [0, 1, 2, 2, 3]
    assert dataset.document_ids.tolist() == [0, 1, 2, 3, 2]
    assert len(set(dataset.groups.tolist())) == 1


def test_splits_of_every_kind_share_no_text_and_no_picture(tmp_path: Path) -> None:
    for number in range(40):
        noise(number).save(tmp_path / f"{number}.png")

    def side(number: int, form: int) -> Input:
        shown = image(tmp_path, f"{number % 40}.png")
        text = f"text {number % 60}"
        return [Input(text), shown, Input(text, shown.image, shown.image_id)][form]

    rng = np.random.default_rng(0)
    pairs = [
        Pair(
            side(one, number % 3),
            side(other, number // 3 % 3),
            tuple(side(int(wrong), int(wrong) % 3) for wrong in rng.integers(0, 60, number % 4)),
        )
        for number, (one, other) in enumerate(pairwise(range(0, 60, 1)))
        if number % 5 < 2  # chains of few, or all would hang together
    ]
    dataset = check_pairs(PairDataset(tuple(pairs))).dataset
    assert len(dataset.kinds) == 9
    given = sum(len(pair.negatives) for pair in dataset)
    for seed in range(5):
        split = split_pairs(dataset, held_out=0.3, seed=seed)
        assert leakage(split.train, split.held_out) == Leakage(0, 0)
        assert len(split.train) + len(split.held_out) == len(dataset)
        left = sum(len(p.negatives) for part in (split.train, split.held_out) for p in part)
        assert 0 < left < given
        # A negative that neither side of a held-out pair shows stays with those trained on.
        shown = PairDataset(tuple(Pair(p.query, p.document) for p in split.held_out))
        for pair in split.train:
            whole = next(p for p in dataset if (p.query, p.document) == (pair.query, pair.document))
            for one in whole.negatives:
                alone = PairDataset((Pair(one, one),))
                assert (leakage(alone, shown) == Leakage(0, 0)) == (one in pair.negatives)


def test_leakage_sees_negatives(folder: Path) -> None:
    train = written(folder, {"query": "a", "document": "b", "negatives": [{"image": "0.png"}, "c"]})
    held = written(folder, {"query": "C", "document": {"image": "0.png"}})
    assert leakage(train, held) == Leakage(1, 1)


def test_texts_of_every_side_are_cleaned() -> None:
    pair = Pair(Input("<b>a</b>"), Input("b &amp; c"), (Input("<i>d</i>"),))
    cleaned = CaptionCleaning().apply(PairDataset((pair,)))
    assert cleaned[0] == Pair(Input("a"), Input("b & c"), (Input("d"),))


def test_an_input_has_something_in_it(folder: Path) -> None:
    with pytest.raises(ValueError, match="a text, a picture, or both"):
        Input()
    one = Input(image=ImageRef(path=folder / "0.png"))
    assert one.image_id == str(folder / "0.png")


def test_rows_of_odd_unicode_are_not_read(folder: Path) -> None:
    (folder / "odd.jsonl").write_text(json.dumps({"query": "a \ud83d", "document": "b"}) + "\n")
    report = check_pairs(PairDataset.read(folder / "odd.jsonl")).report
    assert (report.usable, len(report.unread)) == (0, 1)


def test_what_is_null_is_not_there(folder: Path) -> None:
    dataset = written(
        folder,
        {
            "query": {"text": "a", "image": None},
            "document": {"text": None, "image": "1.png"},
            "negatives": [None, {"text": "b", "image": None}],
        },
        {"query": "a", "document": {"text": None, "image": None}},
    )
    assert dataset.pairs == (Pair(Input("a"), image(folder, "1.png"), (Input("b"),)),)
    assert ['"document" must be a text, or' in one.reason for one in dataset.skipped] == [True]


def test_pictures_without_a_file_are_told_apart() -> None:
    """Bitmaps of one size have equally many bytes."""
    files = []
    for number in range(3):
        noise(number).save(buffer := BytesIO(), format="BMP")
        files.append(buffer.getvalue())
    inputs = [Input(image=ImageRef.of(data)) for data in files]
    assert len({len(data) for data in files}) == 1
    assert len({one.image_id for one in inputs}) == 3
    pairs = [Pair(Input(word), one) for word, one in zip("abc", inputs, strict=True)]
    checked = check_pairs(PairDataset(tuple(pairs))).dataset
    assert [pair.image.data for pair in checked] == files
    # Whatever ids say, a pair keeps the picture that it was given.
    named = [Pair.of(ImageRef.of(data), word, "x") for word, data in zip("abc", files, strict=True)]
    assert [p.image.data for p in check_pairs(PairDataset(tuple(named))).dataset] == files


def test_regions_of_a_page_are_told_apart() -> None:
    boxes = ((0, 0, 9, 9), (9, 0, 18, 9))
    regions = [ImageRef(path=Path("a.pdf"), region=Region(page=1, box=box)) for box in boxes]
    assert len({Input(image=region).image_id for region in regions}) == 2
