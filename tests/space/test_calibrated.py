"""A space that is calibrated by what it holds."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.list_store import ListKind
from tests.support.oracle import BruteForce
from tests.support.things import CORPUS, ThingEncoder, apart, captioned, picture
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.calibration import load_calibration, save_calibration
from unisem.calibration.artefact import packed
from unisem.errors import CalibrationError, EncoderMismatchError, StoreError
from unisem.search.diversity import choose
from unisem.stores.hits import Hit
from unisem.stores.sampling import sample_of

KNOWN, ASKED = range(120), range(120, 240)


def opened(path: Path | None) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ThingEncoder())


def filled(path: Path | None) -> SemanticSpace:
    space = opened(path)
    space.add([*captioned(KNOWN), *apart(ASKED)])
    return space


@pytest.fixture(scope="module")
def space() -> SemanticSpace:
    made = filled(None)
    made.calibrate()
    return made


def said(hits: list[Hit]) -> list[tuple[Any, ...]]:
    return [(hit.record.id, hit.score, hit.matched, hit.relevance) for hit in hits]


def pictures_share(space: SemanticSpace) -> float:
    hits = [hit for number in ASKED for hit in space.search(f"thing {number}", k=10)]
    return float(np.mean([hit.matched == "image" for hit in hits]))


def right_among_ten(space: SemanticSpace) -> float:
    asked = [(str(number), space.search(f"thing {number}", k=10)) for number in ASKED]
    return float(np.mean([any(hit.record.id[1:] == name for hit in hits) for name, hits in asked]))


def test_pictures_are_found_again(space: SemanticSpace) -> None:
    raw = filled(None)
    assert raw.calibration is None
    assert space.calibration is not None
    choices = space.calibration.choices
    assert choices.before is not None
    assert choices.after is not None
    assert choices.after > choices.before + 0.2
    assert pictures_share(raw) < 0.1
    assert pictures_share(space) > 0.3
    assert right_among_ten(raw) < 0.85
    assert right_among_ten(space) > 0.98


def test_queries_are_compared_by_what_they_are(space: SemanticSpace) -> None:
    assert space.calibration is not None
    oracle = BruteForce()
    oracle.add(list(space.store.embedded()))
    both = {"text": "thing 130", "image": picture(131)}
    asked: list[tuple[dict[str, Any], Any]] = [
        ({"text": "thing 130"}, "text"),
        ({"image": picture(130)}, "image"),
        (both, "both"),
        (both | {"text_weight": 1}, "text"),
        (both | {"text_weight": 0}, "image"),
    ]
    for given, kind in asked:
        query = Query(**given, k=20)
        hits = space.search_query(query)
        vector = space.embed_query(query)
        expected = oracle.search_calibrated(space.calibration, vector, kind, 20)
        assert [hit.record.id for hit in hits] == [found[0] for found in expected]
        for hit, (*_, chance) in zip(hits, expected, strict=True):
            assert hit.relevance == (None if chance is None else pytest.approx(chance, abs=1e-5))
    together = space.search_many([Query(**given, k=20) for given, _ in asked])
    alone = [said(space.search(**given, k=20)) for given, _ in asked]
    assert [said(hits) for hits in together] == alone


@pytest.mark.parametrize("match", ["any", "text", "image"])
@pytest.mark.parametrize(
    "asked",
    [
        {"text": "thing 121"},
        {"image": picture(122)},
        {"text": "thing 121", "image": picture(122)},
    ],
)
def test_least_relevance(space: SemanticSpace, asked: dict[str, Any], match: Any) -> None:
    every = space.search(**asked, k=1000, match=match)
    known = [hit for hit in every if hit.relevance is not None]
    assert len(known) == len(every)
    least = float(np.median([hit.relevance for hit in known]))
    found = space.search(**asked, k=1000, match=match, min_relevance=least)
    assert said(found) == said([hit for hit in known if (hit.relevance or 0) >= least])
    assert 0 < len(found) < len(every)
    assert space.search(**asked, match=match, min_relevance=1) == []


def test_what_told_the_probabilities(space: SemanticSpace) -> None:
    """Captions across; within a kind, as there is one word that says something, the other pair."""
    assert space.calibration is not None
    told = {pair: choice.evidence for pair, choice in space.calibration.pairs.items()}
    assert told["text", "image"] == told["image", "text"] == "pairs"
    assert told["text", "text"] == told["image", "image"] == told["both", "text"] == "other pair"


def test_a_probability_that_nobody_knows_is_refused(space: SemanticSpace) -> None:
    untold = opened(None)
    untold.add(apart(ASKED))
    untold.calibrate()
    with pytest.raises(CalibrationError, match=r"a text is relevant .* captions tell it, and"):
        untold.search("thing 3", min_relevance=0.5)
    assert untold.search("thing 3")[0].relevance is None
    with pytest.raises(CalibrationError, match=r"space\.calibrate\(\) fits one"):
        filled(None).search("thing 3", min_relevance=0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        space.search("thing 3", min_relevance=1.5)
    with pytest.raises(ValueError, match="keyword"):
        space.search("thing", mode="keyword", min_relevance=0.5)


def test_diversity_sees_what_the_calibration_sees(space: SemanticSpace) -> None:
    calibration = space.calibration
    assert calibration is not None
    hits = space.search("thing 130", k=30)
    groups = []
    for vectors in space.store.vectors([hit.record.id for hit in hits]):
        assert vectors is not None
        groups.append(
            [
                calibration.documents(row[None], np.array([kind == "image"]))[0, :-3]
                for kind, row in vectors.items()
            ]
        )
    likeness = np.array([[max(float(a @ b) for a in x for b in y) for y in groups] for x in groups])
    order = choose(np.array([hit.score for hit in hits]), likeness, 6, balance=0.5)
    found = space.search("thing 130", k=6, diversity=0.5, fetch_k=30)
    assert [hit.record.id for hit in found] == [hits[place].record.id for place in order]


def test_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    with filled(path) as space:
        assert packed(space.calibrate(seed=3)) == packed(space.calibrate(seed=3))
        expected = said(space.search("thing 130", k=20))
        kept = load_calibration(path / "calibration.safetensors")
        assert kept.fingerprint == space.encoder.fingerprint
        assert kept.seed == 3
    with opened(path) as space:
        assert space.calibration is not None
        assert said(space.search("thing 130", k=20)) == expected
        space.use_calibration(None)
        assert space.calibration is None


def test_what_is_too_little_is_refused_and_the_old_stays() -> None:
    space = opened(None)
    space.add(captioned(range(20)))
    with pytest.raises(CalibrationError, match="32 pictures at least"):
        space.calibrate()
    space.add([Record(id=f"t{number}", text=f"thing {number}") for number in range(60)])
    with pytest.raises(CalibrationError, match="there are 20 of pictures"):
        space.calibrate()
    space.add(captioned(range(40)))
    fitted = space.calibrate()
    space.delete([f"c{number}" for number in range(40)])
    with pytest.raises(CalibrationError, match="no picture here"):
        space.calibrate()
    assert space.calibration is fitted
    with pytest.raises(EncoderMismatchError, match="fit one"):
        space.use_calibration(replace(fitted, fingerprint="cd"))
    assert space.calibration is fitted


def test_a_store_that_cannot_says_so() -> None:
    space = SemanticSpace.open(None, encoder=ThingEncoder(), store=ListKind())
    space.add(captioned(range(40)))
    with pytest.raises(StoreError, match="ListStore cannot calibrate"):
        space.calibrate()
    assert space.calibration is None


def test_an_interruption_leaves_the_old(tmp_path: Path) -> None:
    with filled(tmp_path / "s.unisem") as space:
        before = packed(space.calibrate())

        def interrupt(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            space.calibrate(seed=1, progress=interrupt)
        assert (tmp_path / "s.unisem" / "calibration.safetensors").read_bytes() == before
        assert space.calibration is not None
        assert packed(space.calibration) == before


def test_another_encoders_is_not_used_and_the_space_opens(
    tmp_path: Path, space: SemanticSpace, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "toy.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder(dimension=64)) as toy:
        toy.add([Record(id="a", text="a red card")])
        expected = said(toy.search("red"))
    assert space.calibration is not None
    save_calibration(space.calibration, path / "calibration.safetensors")
    with (
        caplog.at_level(logging.WARNING),
        SemanticSpace.open(path, encoder=ToyEncoder(dimension=64)) as toy,
    ):
        assert said(toy.search("red")) == expected
        assert toy.calibration is None
    assert "fitted to vectors of the encoder" in caplog.text


def test_a_sample_is_bounded_and_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.stores.sampling.MOST", 64)
    space = opened(None)
    space.add([*captioned(range(100)), *apart(range(100, 300))])

    encode = space.encoder.encode_texts
    seen: list[tuple[int, int]] = []
    sample = sample_of(
        space.store, encode, seed=1, progress=lambda done, total: seen.append((done, total))
    )
    assert len(sample.texts) == len(sample.images) == 64
    assert len(np.intersect1d(sample.text_groups, sample.image_groups)) == 32
    assert seen[-1] == (96, 96)
    again = sample_of(space.store, encode, seed=1)
    np.testing.assert_array_equal(again.texts, sample.texts)
    assert not np.array_equal(sample_of(space.store, encode, seed=2).texts, sample.texts)
    for row, asked in zip(sample.texts, sample.asked, strict=True):
        (number,) = np.flatnonzero((CORPUS.texts == row).all(axis=1))
        np.testing.assert_array_equal(asked, CORPUS.questions[number])


def test_the_same_words_belong_together() -> None:
    space = opened(None)
    records = captioned([1, 2])
    space.add([*records, replace(records[0], id="again"), Record(id="t", text="thing 2")])
    sample = sample_of(space.store, space.encoder.encode_texts)
    assert sorted(np.bincount(sample.text_groups).tolist()) == [2, 2]
    assert sorted(np.bincount(sample.image_groups).tolist()) == [1, 2]
