"""Tokens of a space's pictures: made once, used by searches, gone with the pictures."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.rerank.cross_modal.support import picture, save_random
from tests.support.checkpoints import save_two_towers
from tests.support.rerankers import ColourReranker
from unisem import Record, SemanticSpace
from unisem.captioners import load_captioner
from unisem.encoders import Encoder, load_encoder
from unisem.errors import RerankerError
from unisem.ingest.token_making import TokenReport, check_tokens
from unisem.records import EmbeddedRecord
from unisem.rerank.cross_modal import CrossModalReranker, PatchFeatures
from unisem.rerank.token_store import TokenStore
from unisem.search import Reranking
from unisem.stores.selection import Selection

COLOURS = ("red", "green", "blue", "black", "orange")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_two_towers(tmp_path_factory.mktemp("towers"))))


@pytest.fixture
def reranker(tmp_path: Path, encoder: Encoder) -> CrossModalReranker:
    saved = save_random(tmp_path / "model", encoder, side=4, picture_tokens=16)
    return CrossModalReranker("m", saved, encoder=encoder)


@pytest.fixture
def space(tmp_path: Path, encoder: Encoder) -> SemanticSpace:
    records = [Record(id="text", text="a red tiger")]
    for number, colour in enumerate(COLOURS):
        path = tmp_path / f"{colour}.png"
        picture(colour, 5 * number).save(path)
        records.append(Record(id=colour, image=path))
    records.append(Record(id="copy", image=tmp_path / "red.png"))
    space = SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder)
    space.add(records)
    return space


def looked(reranker: CrossModalReranker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures go through the tower, call by call."""
    counts: list[int] = []
    make = reranker.tokens_of_prepared

    def counted(images: Any) -> Any:
        counts.append(len(images))
        return make(images)

    monkeypatch.setattr(reranker, "tokens_of_prepared", counted)
    return counts


def test_searches_judge_stored_tokens_and_give_the_same_to_the_bit(
    space: SemanticSpace, reranker: CrossModalReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = looked(reranker, monkeypatch)
    fresh = space.search("a red tiger", k=7, reranker=reranker)
    assert sum(counts) == 5  # of a picture and its copy one is judged
    seen: list[tuple[int, int]] = []
    report = space.make_tokens(reranker, progress=lambda *done: seen.append(done))
    assert report == TokenReport(made=5)
    assert seen == [(5, 5)]
    assert space.make_tokens(reranker) == TokenReport(present=5)
    counts.clear()
    asked = Reranking(reranker, modalities=["image"], seconds=60)
    for record in space.get(list(COLOURS)):
        assert record is not None
        assert record.image is not None
        Path(str(record.image.path)).unlink()
    assert space.search("a red tiger", k=7, reranker=reranker) == fresh
    assert space.search("a red tiger", k=7, reranker=asked)
    assert counts == []


def test_what_lacks_tokens_is_looked_at(
    space: SemanticSpace, reranker: CrossModalReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = space.search("a red tiger", k=7, reranker=reranker)
    space.make_tokens(reranker)
    (file,) = (space.path or Path()).glob("tokens-*.sqlite")
    with sqlite3.connect(file) as connection:
        damaged = "(SELECT image FROM tokens LIMIT 1)"
        connection.execute(f"UPDATE tokens SET checksum = 0 WHERE image = {damaged}")
        last = "(SELECT image FROM tokens ORDER BY rowid DESC LIMIT 1)"
        connection.execute(f"DELETE FROM tokens WHERE image = {last}")
    counts = looked(reranker, monkeypatch)
    assert space.search("a red tiger", k=7, reranker=reranker) == fresh
    assert sum(counts) >= 2
    assert space.make_tokens(reranker) == TokenReport(made=2, present=3)
    file.write_bytes(b"no database" * 500)
    assert space.search("a red tiger", k=7, reranker=reranker) == fresh
    assert space.make_tokens(reranker) == TokenReport(made=5)
    file.unlink()
    assert space.search("a red tiger", k=7, reranker=reranker) == fresh


def test_pictures_that_changed_or_went_are_skipped_and_removed_ones_dropped(
    space: SemanticSpace, reranker: CrossModalReranker, tmp_path: Path
) -> None:
    picture("yellow").save(tmp_path / "green.png")
    (tmp_path / "blue.png").unlink()
    report = space.make_tokens(reranker)
    assert (report.made, report.present) == (3, 0)
    assert sorted(Path(it.name).name for it in report.skipped) == ["blue.png", "green.png"]
    assert "has changed since" in " ".join(it.reason for it in report.skipped)
    space.delete(["black"])
    assert space.make_tokens(reranker).dropped == 1


def test_an_interruption_costs_the_last_batch(
    space: SemanticSpace, reranker: CrossModalReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.ingest.token_making._AT_ONCE", 2)
    calls = 0
    write = TokenStore.write

    def interrupted(self: TokenStore, tokens: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        write(self, tokens)

    monkeypatch.setattr(TokenStore, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        space.make_tokens(reranker)
    assert space.make_tokens(reranker) == TokenReport(made=3, present=2)


def test_who_has_no_tokens(space: SemanticSpace, encoder: Encoder, reranker: Any) -> None:
    with pytest.raises(RerankerError, match="keeps no tokens"):
        space.make_tokens(ColourReranker())
    with pytest.raises(RerankerError, match="directory"):
        SemanticSpace.open(None, encoder=encoder).make_tokens(reranker)


def test_what_is_added_to_a_space_that_was_told_has_its_tokens(
    tmp_path: Path,
    encoder: Encoder,
    reranker: CrossModalReranker,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, path = tmp_path / "told.unisem", tmp_path / "disk.png"
    picture("red").save(path)
    with SemanticSpace.open(place, encoder=encoder, tokens_for=reranker) as space:
        (item,) = space.embed([Record(id="a", image=path)])
        assert not list(place.glob("tokens-*")), "nothing was added"
        counts = looked(reranker, monkeypatch)
        space.add([Record(id="a", image=path), Record(id="text", text="a red tiger")])
        space.add([Record(id="a", image=path, text="with other words")])
        assert counts == [1]
        picture("blue").save(path)  # the record's picture is another one from now on
        space.add([Record(id="a", image=path)])
        assert counts == [1, 1]
        damaged = tmp_path / "damaged.png"
        damaged.write_bytes(path.read_bytes()[:200])
        space.add_embedded([EmbeddedRecord(Record(id="b", image=damaged), item.vectors)])
        assert "no tokens are made of the picture" in caplog.text
        assert len(space) == 3
        (skipped,) = space.make_tokens(reranker).skipped
        assert skipped.name == str(damaged)
    with pytest.raises(RerankerError, match="directory"):
        SemanticSpace.open(None, encoder=encoder, tokens_for=reranker)
    with pytest.raises(RerankerError, match="keeps no tokens"):
        SemanticSpace.open(tmp_path / "n.unisem", encoder=encoder, tokens_for=ColourReranker())
    assert not (tmp_path / "n.unisem").exists()


def test_a_check_finds_damaged_tokens(
    space: SemanticSpace, reranker: CrossModalReranker, tmp_path: Path
) -> None:
    place = space.path or Path()
    assert list(check_tokens(place)) == []
    space.make_tokens(reranker)
    assert list(check_tokens(place)) == []
    (file,) = place.glob("tokens-*.sqlite")
    whole = file.read_bytes()

    def found() -> str:
        (finding,) = check_tokens(place)
        assert (finding.area, finding.is_problem) == ("tokens", True)
        return finding.text

    with sqlite3.connect(file) as connection:
        two = "(SELECT image FROM tokens LIMIT 2)"
        connection.execute(f"UPDATE tokens SET numbers = zeroblob(9) WHERE image IN {two}")
    assert "those of 2 pictures or texts are damaged; `unisem tokens`" in found()
    assert space.make_tokens(reranker).made == 2
    assert list(check_tokens(place)) == []
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert "cannot be read" in found()
    (tmp_path / "elsewhere").write_bytes(whole)
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in found()


def test_tokens_of_copies_are_kept_once_and_are_those_of_the_model(
    space: SemanticSpace, reranker: CrossModalReranker, tmp_path: Path
) -> None:
    space.make_tokens(reranker)
    records = [record for record in space.store.select() if record.image is not None]
    store = reranker.tokens_in(space.path or Path())
    stored = store.read([record.image.sha256 or "" for record in records if record.image])
    assert len(stored) == 5
    space.backup(tmp_path / "copy.unisem")
    assert not list((tmp_path / "copy.unisem").glob("tokens-*"))
    for record in records:
        assert record.image is not None
        expected = reranker.tokens_of([record.image])[0]
        assert stored[record.image.sha256 or ""].tobytes() == np.asarray(expected).tobytes()


def large(colour: str) -> Image.Image:
    """So large that it is scaled down on the way in, and would differ if that were done twice."""
    image = Image.effect_mandelbrot((1500, 1300), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    return Image.blend(image, Image.new("RGB", image.size, colour), 0.5)


def test_a_captioner_reads_the_tokens_that_are_kept(
    space: SemanticSpace,
    reranker: CrossModalReranker,
    tmp_path: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for colour in ("red", "blue"):
        large(colour).save(tmp_path / f"large {colour}.jpg")
        space.add([Record(id=f"large {colour}", image=tmp_path / f"large {colour}.jpg")])
    captioner = load_captioner(reranker.directory, encoder=encoder)
    fresh = captioner.caption(
        [record.image for record in space.store.select(Selection()) if record.image]
    )
    space.make_tokens(reranker)
    late = Record(id="late", image=tmp_path / "large red.jpg")
    late_picture = tmp_path / "late.png"
    picture("purple").save(late_picture)
    space.add([late, Record(id="new", image=late_picture)])
    (tmp_path / "green.png").unlink()
    through: list[int] = []
    features = PatchFeatures.of

    def counted(self: PatchFeatures, prepared: Sequence[Image.Image]) -> Any:
        through.append(len(prepared))
        return features(self, prepared)

    monkeypatch.setattr(PatchFeatures, "of", counted)
    report = space.caption(captioner)
    assert report.captioned + report.wordless == len(COLOURS) + 5
    assert sum(through) == 1, "only the picture that has no tokens is looked at"
    captions = {
        record.id: record.text for record in space.store.select(Selection()) if record.image
    }
    before = {record: captions[record] for record in captions if record not in ("late", "new")}
    assert list(before.values()) == fresh
    assert captions["late"] == captions["large red"]
    assert len(set(fresh)) > 1


def test_too_many_tokens_to_be_kept_are_made_each_time(
    tmp_path: Path, encoder: Encoder, space: SemanticSpace
) -> None:
    saved = save_random(
        tmp_path / "large", encoder, side=12, picture_tokens=144, token_width=64, length=12
    )
    model = CrossModalReranker("large", saved, encoder=encoder)
    hits = space.search("red", k=3, modality="image", reranker=model)
    alone = model.score("red", None, [hit.record for hit in hits])
    judged = [hit.judged or 0 for hit in hits]
    np.testing.assert_allclose(judged, alone, rtol=1e-5)  # batches of other sizes round otherwise
    assert load_captioner(saved, encoder=encoder).at(tmp_path).caption([picture("red")])
