"""Checking, cleaning, splitting and changing pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import encoded, noise, solid
from tests.training.support import numbered_pairs
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs import CaptionCleaning, Input, Pair, PairDataset, check_pairs, split_pairs
from unisem.pairs.splits import Leakage, leakage
from unisem.training import Augmentation


def test_the_report_counts_what_is_wrong(tmp_path: Path) -> None:
    for number in range(3):
        noise(number).save(tmp_path / f"{number}.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    (tmp_path / "text.png").write_text("no picture")
    jpeg = encoded(noise(7, (200, 200)), "JPEG")
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])

    def pair(name: str, caption: str) -> Pair:
        return Pair.of(ImageRef(path=tmp_path / name, root=tmp_path), caption, name)

    dataset = PairDataset(
        (
            pair("0.png", "a tiger"),
            pair("0.png", "A  Tiger"),  # the same caption of the same picture
            pair("copy.png", "a tiger"),  # and of a copy of it
            pair("copy.png", "another"),
            pair("1.png", "a tiger"),  # a caption of two pictures
            pair("2.png", "  "),
            pair("2.png", " two "),
            pair("gone.png", "x"),
            pair("text.png", "x"),
            pair("cut.jpg", "x"),
        )
    )
    calls: list[tuple[int, int]] = []
    checked = check_pairs(dataset, progress=lambda *call: calls.append(call))
    report = checked.report
    assert [(p.image_id, p.caption) for p in checked.dataset] == [
        ("0.png", "a tiger"),
        ("copy.png", "another"),
        ("1.png", "a tiger"),
        ("2.png", "two"),
    ]
    assert all(p.image.sha256 for p in checked.dataset)
    assert (report.pairs, report.usable, report.images, report.captions) == (10, 4, 3, 3)
    assert [item.name for item in report.missing] == [str(tmp_path / "gone.png")]
    assert [item.name for item in report.broken] == [
        str(tmp_path / "text.png"),
        str(tmp_path / "cut.jpg"),
    ]
    assert (report.empty_captions, report.repeated) == (1, 2)
    assert (report.shared_captions, report.copies) == (1, 1)
    assert calls[-1] == (7, 7)
    # A copy is the same picture for losses and for splits.
    assert checked.dataset.document_ids.tolist() == [0, 0, 1, 2]
    assert checked.dataset.query_ids.tolist() == [0, 1, 0, 2]
    assert checked.dataset.groups.tolist() == [0, 0, 0, 1]


def test_what_is_not_unicode_costs_its_own_pair_only(tmp_path: Path) -> None:
    dataset = numbered_pairs(tmp_path, 3)
    broken = replace(dataset[1], query=Input("half a pair: \ud83d"))
    checked = check_pairs(PairDataset((dataset[0], broken, dataset[2])))
    assert checked.dataset.captions == [dataset[0].caption, dataset[2].caption]
    assert checked.report.pairs == 3
    assert ["not valid Unicode" in item.reason for item in checked.report.unread] == [True]


def test_splits_share_no_picture_content_or_caption(tmp_path: Path) -> None:
    pairs = list(numbered_pairs(tmp_path, 40, captions=2))
    copy = tmp_path / "copy.png"
    copy.write_bytes((tmp_path / "3.png").read_bytes())
    pairs.append(Pair.of(ImageRef(path=copy, root=tmp_path), "a copy", "copy"))
    pairs.append(replace(pairs[0], query=pairs[20].query))
    dataset = check_pairs(PairDataset(tuple(pairs))).dataset
    for seed in range(5):
        split = split_pairs(dataset, held_out=0.25, seed=seed)
        assert leakage(split.train, split.held_out) == Leakage(0, 0)
        assert len(split.train) + len(split.held_out) == len(dataset)
        assert 16 <= len(split.held_out) <= 25
        again = split_pairs(dataset, held_out=0.25, seed=seed)
        assert again == split
    assert split_pairs(dataset, seed=1) != split_pairs(dataset, seed=2)
    assert len(split_pairs(dataset, held_out=10).held_out) in range(8, 14)


def test_leakage_is_seen_by_content_and_by_caption(tmp_path: Path) -> None:
    dataset = numbered_pairs(tmp_path, 6)
    train = dataset.select([0, 1, 2, 3])
    copied = Pair.of(dataset[1].image, "other words", "other name")
    said = replace(dataset[5], query=Input(dataset[2].caption.upper()))
    assert leakage(train, PairDataset((dataset[4], copied, said))) == Leakage(1, 1)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (0.0, "held_out must be a share .* or a whole number of pairs, not 0.0"),
        (0.01, "cannot hold out 0 of 6"),
        (6, "cannot hold out 6 of 6"),
        (7, "cannot hold out 7 of 6"),
    ],
)
def test_a_split_needs_something_on_both_sides(
    tmp_path: Path, held_out: float, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        split_pairs(numbered_pairs(tmp_path, 6), held_out=held_out)


def test_pairs_that_all_hang_together_are_not_split(tmp_path: Path) -> None:
    dataset = numbered_pairs(tmp_path, 6)
    same = PairDataset(tuple(replace(pair, query=Input("the same")) for pair in dataset))
    with pytest.raises(TrainingError, match="hang together"):
        split_pairs(same)


@pytest.mark.parametrize(
    ("caption", "cleaned"),
    [
        ("A &quot;red&quot;\n tiger<br/>at night", 'A "red" tiger at night'),
        ("see www.example.org/tiger.png now", "see now"),
        ("DSC_0042.jpeg", ""),
        ("tiger.png", ""),
        ("a tiger.png", "a tiger.png"),
        ("ﬁve tigers", "five tigers"),
        ("3 < 4 and 5 > 2", "3 < 4 and 5 > 2"),
    ],
)
def test_cleaning(caption: str, cleaned: str) -> None:
    assert CaptionCleaning().clean(caption) == cleaned


def test_cleaning_can_be_less_and_more(tmp_path: Path) -> None:
    assert CaptionCleaning(urls=False).clean("at http://x.y") == "at http://x.y"
    assert CaptionCleaning(file_names=False).clean("tiger.png") == "tiger.png"
    dataset = CaptionCleaning(max_words=1).apply(numbered_pairs(tmp_path, 3))
    assert all(len(pair.caption.split()) == 1 for pair in dataset)


def test_changes_are_decided_by_the_seed() -> None:
    picture = noise(0, (80, 60))
    change = Augmentation(crop=0.5, flip=0.5, colour=0.4)
    one, same, other = (change.apply(picture, np.random.default_rng(s)) for s in (1, 1, 2))
    assert one.size == same.size
    assert one.tobytes() == same.tobytes()
    assert (one.size, one.tobytes()) != (other.size, other.tobytes())


def test_crops_keep_their_share_and_lie_inside() -> None:
    picture = noise(0, (80, 60))
    areas = []
    for seed in range(200):
        cropped = Augmentation(crop=0.6).apply(picture, np.random.default_rng(seed))
        areas.append(cropped.width * cropped.height / (80 * 60))
        assert cropped.width <= 80
        assert cropped.height <= 60
    assert min(areas) > 0.6 - 0.02  # sides are whole pixels
    assert max(areas) <= 1
    assert np.std(areas) > 0.05
    for seed in range(200):
        cropped = Augmentation(crop=0.95).apply(picture, np.random.default_rng(seed))
        assert cropped.width * cropped.height / (80 * 60) > 0.93


def test_writing_is_not_mirrored_unless_asked() -> None:
    picture = noise(0)
    mirrored = Augmentation(crop=1, flip=1).apply(picture, np.random.default_rng(0))
    assert np.array_equal(np.asarray(mirrored), np.asarray(picture)[:, ::-1])
    for seed in range(20):
        kept = Augmentation(crop=1).apply(picture, np.random.default_rng(seed))
        assert kept.tobytes() == picture.tobytes()


def test_colour_moves_brightness() -> None:
    grey = solid((100, 100, 100))
    means = {
        round(float(np.asarray(Augmentation(crop=1, colour=0.3).apply(grey, rng)).mean()))
        for rng in map(np.random.default_rng, range(10))
    }
    assert len(means) > 5
    assert all(60 <= mean <= 140 for mean in means)


@pytest.mark.parametrize("options", [{"crop": 0}, {"flip": 1.5}, {"colour": 1}])
def test_nonsense_changes_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Augmentation(**options)
