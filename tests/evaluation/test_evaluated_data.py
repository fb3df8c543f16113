"""What `evaluate` makes of its data: bad pictures, the cache, the split, a draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.data import Blurred, shades
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem.errors import UniSemError
from unisem.evaluation import EvaluationOptions, Report, evaluate
from unisem.pairs import Input, check_pairs, split_pairs
from unisem.pairs.dataset import PairDataset

QUICK = EvaluationOptions(rounds=300)


def measures(report: Report, task: str) -> dict[str, float]:
    found = next(one for one in report.encoder.tasks if one.task == task)
    return {name: estimate.value for name, estimate in found.measures.items()}


def test_bad_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    (tmp_path / "red-0.png").write_bytes(b"no picture")
    (tmp_path / "red-1.png").unlink()
    report = evaluate(ToyEncoder(), pairs, options=QUICK)
    assert report.data.pairs == 22
    assert {Path(item.name).name for item in report.data.skipped} == {"red-0.png", "red-1.png"}


def test_a_picture_that_one_encoder_refuses_is_left_out_for_both(tmp_path: Path) -> None:
    class Picky(ToyEncoder):
        def _picture(self, image):  # type: ignore[no-untyped-def]
            from unisem.errors import ImageError

            if image.size == (21, 20):
                raise ImageError("the second of a colour", "is not to my taste")
            return super()._picture(image)

    pairs = shades(tmp_path)
    report = evaluate(ToyEncoder(), pairs, against=Picky(), options=QUICK)
    assert report.data.pairs == 18
    assert {item.reason for item in report.data.skipped} == {"is not to my taste"}
    rest = PairDataset(tuple(pair for pair in pairs if "-1.png" not in pair.image_id))
    assert measures(report, "text to image") == measures(
        evaluate(ToyEncoder(), rest, options=QUICK), "text to image"
    )


def test_a_caption_that_is_not_unicode_costs_its_own_pair_only(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    torn = [
        replace(pairs[0], query=Input("half \ud800")),
        replace(pairs[1], query=Input("nul \0 inside")),
    ]
    data = PairDataset((*torn, *pairs.pairs[2:]))
    report = evaluate(ToyEncoder(), data, options=QUICK)
    assert (report.data.read, report.data.pairs) == (24, 23)
    assert [item.reason.split(" (")[0] for item in report.data.skipped] == ["is not valid Unicode"]
    report.write_html(tmp_path / "page.html")
    report.write_json(tmp_path / "page.json")


def test_data_of_which_nothing_is_left(tmp_path: Path) -> None:
    pairs = shades(tmp_path, 1)
    for pair in pairs.pairs[:-1]:
        assert pair.image.path is not None
        pair.image.path.unlink()
    with pytest.raises(UniSemError) as caught:
        evaluate(ToyEncoder(), pairs, name="my data")
    message = str(caught.value)
    assert message.startswith("my data has 1 usable pictures and 1 captions")
    assert "red-0.png: does not exist" in message
    assert "and 2 more" in message


def test_a_cache_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.evaluation.embeddings._CHUNK", 10)
    pairs, cache = shades(tmp_path / "pictures"), tmp_path / "cache"
    plain = evaluate(ToyEncoder(), pairs, options=QUICK)

    class Interrupted(ToyEncoder):
        def encode_images(self, images, **options):  # type: ignore[no-untyped-def]
            if self.images_encoded == 10:
                raise KeyboardInterrupt
            return super().encode_images(images, **options)

    with pytest.raises(KeyboardInterrupt):
        evaluate(Interrupted(), pairs, options=QUICK, cache=cache)
    second = ToyEncoder()
    report = evaluate(second, pairs, options=QUICK, cache=cache)
    assert (second.texts_encoded, second.images_encoded) == (0, 14)
    assert report.encoder.tasks == plain.encoder.tasks
    third = ToyEncoder()
    evaluate(third, pairs, options=QUICK, cache=cache)
    assert (third.texts_encoded, third.images_encoded) == (0, 0)
    solid("red", (33, 33)).save(tmp_path / "pictures" / "red-0.png")  # the same name, new content
    evaluate(third, pairs, options=QUICK, cache=cache)
    assert 0 < third.images_encoded <= 10
    for path in cache.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:50])  # torn files are made anew
    fourth = ToyEncoder()
    evaluate(fourth, pairs, options=QUICK, cache=cache)
    assert (fourth.texts_encoded, fourth.images_encoded) == (48, 24)
    other = Blurred()
    evaluate(other, pairs, options=QUICK, cache=cache)
    assert other.images_encoded == 24


def test_held_out_is_what_training_kept_aside(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    report = evaluate(
        ToyEncoder(), pairs, options=EvaluationOptions(rounds=50, held_out=0.5, seed=3)
    )
    kept = split_pairs(check_pairs(pairs).dataset, held_out=0.5, seed=3).held_out
    expected = evaluate(ToyEncoder(), kept, options=EvaluationOptions(rounds=50, seed=3))
    assert report.data.pairs == len(kept) == 12
    assert report.data.digest == expected.data.digest
    assert report.encoder.tasks == expected.encoder.tasks


def test_a_limit_keeps_a_picture_with_all_its_captions(tmp_path: Path) -> None:
    pairs = shades(tmp_path, captions=3)
    reports = [
        evaluate(ToyEncoder(), pairs, options=EvaluationOptions(rounds=10, limit=10, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert {(r.data.pairs, r.data.images, r.data.read) for r in reports} == {(12, 4, 72)}
    assert reports[0].data.digest == reports[1].data.digest != reports[2].data.digest


def test_the_digest_is_of_content_not_of_order_or_place(tmp_path: Path) -> None:
    one, other = shades(tmp_path / "one"), shades(tmp_path / "other")
    turned = PairDataset(other.pairs[::-1])
    digests = [evaluate(ToyEncoder(), p, options=QUICK).data.digest for p in (one, turned)]
    assert digests[0] == digests[1]
