"""What is done to a space from elsewhere is what is done to it where it lies."""

from __future__ import annotations

import gc
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fpdf import FPDF

from tests.clients.live import serving
from tests.remote.conftest import cards
from tests.support.captioners import ColourCaptioner
from tests.support.pictures import noise, solid
from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.errors import (
    CalibrationError,
    ExchangeError,
    FilterError,
    ImageError,
    RecordError,
    RerankerError,
    ServiceError,
    StoreError,
    VectorError,
)
from unisem.exchange import export_space, import_space
from unisem.filters import Field
from unisem.images.reference import CHANGED, ImageRef
from unisem.images.region import Region
from unisem.records import EmbeddedRecord, Vector, VectorKind
from unisem.remote import RemoteSpace
from unisem.service.http.app import create_app
from unisem.service.settings import ServiceSettings
from unisem.service.view import SpaceView
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING
from unisem.wire.store import EmbeddedItem


def told(hits: list[Hit]) -> list[Any]:
    """All that a hit says, but for where its picture lies."""
    return [(*plain(hit.record), hit.score, hit.matched, hit.relevance, hit.judged) for hit in hits]


def plain(record: Record) -> tuple[Any, ...]:
    image = record.image
    picture = None if image is None else (image.sha256, image.mime_type, image.width, image.height)
    parts = record.id, record.text, record.source_id, record.metadata, record.links, record.payload
    return picture, *json.loads(json.dumps(parts))


def vectors_of(space: SemanticSpace) -> dict[str, dict[str, bytes]]:
    return {
        item.record.id: {kind: rows.tobytes() for kind, rows in item.vectors.items()}
        for item in space.store.embedded()
    }


def test_what_is_added_is_as_if_added_there(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    assert far.add(cards(folder)) == [record.id for record in cards(folder)]
    with SemanticSpace.open(None, encoder=ToyEncoder(), image_roots=[folder]) as other:
        other.add(cards(folder))
        assert vectors_of(near) == vectors_of(other) == vectors_of(far)
        ids = [record.id for record in cards(folder)]
        for mine, theirs in zip(
            far.get([*ids, "nobody"]), other.get([*ids, "nobody"]), strict=True
        ):
            assert (mine and plain(mine)) == (theirs and plain(theirs))
        for query in (
            Query(text="a red card", k=9),
            Query(text="red", image=folder / "blue.png", k=9, text_weight=0.3),
            Query(text="noise", mode="hybrid", k=9, duplicates="keep"),
            Query(text="red", mode="keyword"),
            Query(text="red", diversity=0.5, k=3),
            Query(text="red", k=9, neighbors=1),
            Query(vector=3.7 * np.arange(1, 49)),
            Query(text="a red card", reranker=ColourReranker(), k=3),
        ):
            assert told(far.search_query(query)) == told(other.search_query(query)), query
            assert far.embed_query(query).tobytes() == other.embed_query(query).tobytes()
    assert len(far) == len(near) == 5
    assert repr(far) == f"SemanticSpace({far.place!r}, encoder='toy-0')"
    assert far.path is None


def test_many_queries_keep_their_order(far: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    queries = [Query(text=f"{colour} card", k=n % 4) for n in range(50) for colour in ("red", "x")]
    queries[7] = Query(text="red", reranker=ColourReranker())
    one_by_one = [far.search_query(query) for query in queries]
    assert far.search_many(queries) == one_by_one
    assert far.search_many([]) == []


@pytest.mark.parametrize("hits", [64_000, 20])
def test_more_vectors_than_one_request_may_have(
    near: SemanticSpace, folder: Path, hits: int
) -> None:
    near.add(cards(folder))
    rows = np.random.default_rng(0).standard_normal((150, 48)).astype(np.float32)
    app = create_app({"cards": near}, ServiceSettings.limited({"hits": hits}))
    with serving(app) as url, SemanticSpace.connect(url, image_roots=[folder]) as far:
        assert list(map(told, far.store.search(rows, 3))) == list(
            map(told, near.store.search(rows, 3))
        )
        assert far.store.search(rows[:0], 3) == []


def test_deleting_updating_selecting(far: SemanticSpace, near: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    before = vectors_of(near)
    far.update({"b": {"year": 1999}, "c": {}})
    assert near.get(["b"])[0].metadata == {"year": 1999}  # type: ignore[union-attr]
    assert vectors_of(near) == before
    assert [it.id for it in far.store.select()] == [it.id for it in near.store.select()]
    with pytest.raises(RecordError, match="'nobody'"):
        far.update({"b": {}, "nobody": {}})
    with pytest.raises(FilterError, match="everything"):
        far.delete(filter=Field("x").not_in([]))
    assert far.delete(filter=Field("year") >= 2024) == 1
    assert far.delete(source_ids=["s"]) == 1
    assert [it.id for it in near.store.select()] == ["d", "b", "c"]


def test_long_listings_hold_every_record_once(far: SemanticSpace, near: SemanticSpace) -> None:
    near.add([Record(id=f"{n}", text="a card") for n in range(600)])
    listed = []
    for record in far.store.select():
        listed.append(record.id)
        if len(listed) < 50:  # who writes meanwhile does not read for ever
            near.add([Record(id=record.id, text="a card"), Record(id=f"new {record.id}", text="x")])
    assert len(listed) == len(set(listed)) == 600
    assert far.store.count(EVERYTHING) == 649


# -- pictures --------------------------------------------------------------------------------------


def test_pictures_come_when_they_are_read(far: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    image = far.get(["b"])[0].image  # type: ignore[union-attr]
    assert isinstance(image, ImageRef)
    assert image.path is None
    assert image.read_verified() == (folder / "red.png").read_bytes()
    assert image.open().size == (image.width, image.height)
    assert image.read_start(4) == b"\x89PNG"
    assert image.open_page() is None
    assert image == far.get(["b"])[0].image  # type: ignore[union-attr]


def test_never_another_picture_under_the_same_id(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    far.add(cards(folder))
    image = far.get(["b"])[0].image  # type: ignore[union-attr]
    assert image is not None
    near.add([Record(id="b", image=folder / "green.png")])
    with pytest.raises(ImageError, match=CHANGED):
        image.read_bytes()
    near.delete(["b"])
    with pytest.raises(ImageError, match="cannot be fetched"):
        image.open()


def test_never_another_figure_under_the_same_id(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    book = FPDF(unit="pt", format=(200, 200))
    book.set_font("helvetica", size=20)
    book.add_page()
    book.text(20, 50, "the first")
    book.text(20, 150, "the second")
    book.output(str(folder / "book.pdf"))
    for box in ((0, 0, 200, 100), (0, 100, 200, 200)):
        part = ImageRef(path=folder / "book.pdf", region=Region(page=1, box=box))
        near.add([Record(id="figure", image=part)])
        if box[1] == 0:
            first = far.get(["figure"])[0].image  # type: ignore[union-attr]
            assert first is not None
            assert first.open().size == (first.width, first.height)
            assert first.open_page() is not None
    for reading in (first.read_bytes, first.read_verified, first.open, first.open_page):
        with pytest.raises(ImageError, match=CHANGED):
            reading()


def test_a_picture_that_has_changed_there(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    near.add([Record(id="b", image=folder / "red.png")])
    image = far.get(["b"])[0].image  # type: ignore[union-attr]
    assert image is not None
    solid("blue").save(folder / "red.png")
    with pytest.raises(ImageError, match="has changed"):
        image.read_verified()


def test_a_picture_from_there_goes_into_a_space_here(far: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    with SemanticSpace.open(None, encoder=ToyEncoder()) as here:
        here.add([record for record in far.get(["b", "d"]) if record is not None])
        kept = [record.image for record in here.get(["b", "d"]) if record is not None]
        assert [image.sha256 for image in kept if image] == [
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("red.png", "green.png")
        ]
        assert all(image is not None and image.path is not None for image in kept)


def test_a_picture_that_the_space_has_is_not_sent_again(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    near.add(cards(folder))
    record, vectors = far.get(["b"])[0], far.store.vectors(["b"])[0]
    assert record is not None
    assert vectors is not None
    place = near.get(["b"])[0].image  # type: ignore[union-attr]
    far.store.add([EmbeddedRecord(record.with_metadata({"year": 3}), vectors)])
    assert near.get(["b"])[0].image == place  # type: ignore[union-attr]
    near.add([Record(id="b", image=folder / "green.png")])
    with pytest.raises(ServiceError, match="not the one"):
        far.store.add([EmbeddedRecord(record, vectors)])


def test_a_picture_that_is_replaced_just_before_is_not_kept(
    far: SemanticSpace, near: SemanticSpace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near.add(cards(folder))
    record, vectors = far.get(["b"])[0], far.store.vectors(["b"])[0]
    assert record is not None
    assert vectors is not None
    write = SpaceView.write

    def after_another(view: SpaceView, job: Any) -> Any:
        near.add([Record(id="b", image=folder / "green.png")])
        return write(view, job)

    monkeypatch.setattr(SpaceView, "write", after_another)
    with pytest.raises(ServiceError, match="not the one"):
        far.store.add([EmbeddedRecord(record, vectors)])
    assert near.get(["b"])[0].metadata == {}  # type: ignore[union-attr]


# -- what is wrong ---------------------------------------------------------------------------------


def test_errors_are_the_cores_own(far: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    with pytest.raises(ValueError, match=r"k .*must be at most"):
        far.search("x", k=100_000)
    with pytest.raises(CalibrationError, match="min_relevance needs a calibration"):
        far.search("x", min_relevance=0.5)
    with pytest.raises(VectorError, match="dimension 3"):
        far.search_query(Query(vector=[1, 2, 3]))
    with pytest.raises(VectorError, match="dimension"):
        far.add_embedded([EmbeddedRecord(Record(id="w", text="x"), {"text": np.ones(5)})])
    (folder / "broken.png").write_bytes((folder / "noise.jpg").read_bytes()[:-200])
    with pytest.raises(ImageError, match=r"broken\.png"):
        far.search(image=folder / "broken.png")
    with pytest.raises(ImageError, match=r"broken\.png"):
        far.add([Record(id="x", image=folder / "red.png"), Record(image=folder / "broken.png")])
    with pytest.raises(ImageError, match="outside the allowed"):
        far.add([Record(id="x", image="/etc/hostname")])
    with pytest.raises(TypeError, match="Record"):
        far.add([3])  # type: ignore[list-item]
    assert far.get(["x"]) == [None]


def test_what_is_looked_after_there_says_so(far: SemanticSpace, tmp_path: Path) -> None:
    for call in (far.compact, lambda: far.backup(tmp_path / "copy"), far.store.maintenance):
        with pytest.raises(StoreError, match="where it lies"):
            call()


def test_a_picture_too_large_to_search_by_is_named(near: SemanticSpace, folder: Path) -> None:
    near.add(cards(folder))
    noise(5, (350, 350)).save(folder / "large.png")
    for limits, words in (
        ({"body_bytes": 150_000}, "bytes, more than"),
        ({"pixels": 100_000}, "pixels, more than"),
    ):
        app = create_app({"cards": near}, ServiceSettings.limited(limits))
        with serving(app) as url, SemanticSpace.connect(url, image_roots=[folder]) as far:
            with pytest.raises(ImageError, match=rf"large\.png: has [\d,]+ {words}"):
                far.search(image=folder / "large.png")
            assert far.search(image=folder / "red.png", k=1)[0].record.id == "b"


def test_a_closed_space_says_so(url: str) -> None:
    space = SemanticSpace.connect(url)
    space.close()
    space.close()
    with pytest.raises(StoreError, match="closed"):
        space.search("x")


# -- what is made here and there -------------------------------------------------------------------


def test_a_folder_is_read_here_and_kept_there(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    (folder / "about.md").write_text("# Cards\n\nA red card and a blue one.\n")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    report = far.add_folder(folder)
    assert report.added == 5
    assert [skipped.name for skipped in report.skipped] == [str(folder / "broken.png")]
    encoder = near.encoder
    assert isinstance(encoder, ToyEncoder)
    done = encoder.images_encoded, encoder.texts_encoded
    again = far.add_folder(folder)
    assert (again.added, again.unchanged) == (0, 5)
    assert (encoder.images_encoded, encoder.texts_encoded) == done
    with SemanticSpace.open(None, encoder=ToyEncoder()) as other:
        other.add_folder(folder)
        assert vectors_of(other) == vectors_of(far)
    (folder / "blue.png").unlink()
    assert far.add_folder(folder, prune=True).removed == 1


@pytest.mark.parametrize("limits", [{"body_bytes": 150_000}, {"pixels": 100_000}])
def test_a_picture_that_is_too_much_costs_no_other(
    near: SemanticSpace, folder: Path, limits: dict[str, float]
) -> None:
    noise(5, (350, 350)).save(folder / "large.png")
    assert (folder / "large.png").stat().st_size > 150_000
    for n in range(6):  # together more than one request may have
        noise(n, (120, 100)).save(folder / f"small {n}.png")
    app = create_app({"cards": near}, ServiceSettings.limited(limits))
    with serving(app) as url, SemanticSpace.connect(url, image_roots=[folder]) as far:
        report = far.add_folder(folder)
        assert [skipped.name for skipped in report.skipped] == [str(folder / "large.png")]
        assert report.added == len(near) == 10
        with pytest.raises(ImageError, match=r"large\.png: has .* scale it down"):
            far.add([Record(id="x", image=folder / "red.png"), Record(image=folder / "large.png")])
        vectors: dict[VectorKind, Vector] = {"image": np.ones(48, np.float32)}
        with pytest.raises(ImageError, match=r"has .* scale it down"):
            far.add_embedded(
                [
                    EmbeddedRecord(Record(id="x", image=folder / "red.png"), vectors),
                    EmbeddedRecord(Record(id="y", image=folder / "large.png"), vectors),
                ]
            )
        assert near.get(["x"]) == [None]


def test_what_is_too_much_for_a_request_goes_in_several(near: SemanticSpace, folder: Path) -> None:
    for n in range(6):
        noise(n, (120, 100)).save(folder / f"small {n}.png")
    records = [Record(id=f"{n}", image=folder / f"small {n}.png") for n in range(6)]
    app = create_app({"cards": near}, ServiceSettings.limited({"body_bytes": 150_000}))
    with serving(app) as url, SemanticSpace.connect(url, image_roots=[folder]) as far:
        assert far.add(records) == [record.id for record in records]
        assert [it.id for it in near.store.select()] == [record.id for record in records]
        near.delete([record.id for record in records])
        rows: dict[VectorKind, Vector] = {"image": np.ones(48, np.float32)}
        other = EmbeddedRecord(Record(id="w", text="x"), {"text": np.ones(5, np.float32)})
        with pytest.raises(VectorError):
            far.store.add([*(EmbeddedRecord(record, rows) for record in records), other])
        assert len(near) == 0
        strange = Record(id="w", text="x" * 200_000)
        with pytest.raises(ServiceError, match="larger than") as caught:
            far.store.add(
                [*(EmbeddedRecord(it, rows) for it in records), EmbeddedRecord(strange, rows)]
            )
        assert caught.value.__notes__ == ["the first 6 of 7 records are stored"]
        assert len(near) == 6


def test_pictures_are_read_as_they_are_sent(
    near: SemanticSpace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        noise(n, (120, 100)).save(folder / f"small {n}.png")
    rows: dict[VectorKind, Vector] = {"image": np.ones(48, np.float32)}
    items = [
        EmbeddedRecord(Record(id=f"{n}", image=folder / f"small {n}.png"), rows) for n in range(6)
    ]
    held: list[int] = []
    ask = RemoteSpace.ask

    def counted(space: RemoteSpace, answer: Any, path: str, body: Any, **more: Any) -> Any:
        if path == "/store/add":
            gc.collect()
            held.append(sum(isinstance(it, EmbeddedItem) for it in gc.get_objects()))
        return ask(space, answer, path, body, **more)

    monkeypatch.setattr(RemoteSpace, "ask", counted)
    app = create_app({"cards": near}, ServiceSettings.limited({"body_bytes": 150_000}))
    with serving(app) as url, SemanticSpace.connect(url, image_roots=[folder]) as far:
        far.store.add(items)
    assert [it.id for it in near.store.select()] == [f"{n}" for n in range(6)]
    assert len(held) > 2
    assert max(held) < 6  # a batch, and the record that it had no room for


def test_a_space_that_a_service_keeps_goes_out_and_in(
    far: SemanticSpace, near: SemanticSpace, folder: Path, tmp_path: Path
) -> None:
    far.add(cards(folder))
    report = export_space(far, tmp_path / "out")
    assert (report.records, report.images, report.missing) == (5, 4, ())
    export_space(near, tmp_path / "there", copy_images=True)
    for name in ("records.jsonl", "vectors.npy", "vectors.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    with SemanticSpace.open(None, encoder=ToyEncoder()) as here:
        import_space(tmp_path / "out", here)
        assert vectors_of(here) == vectors_of(near)
    before = vectors_of(near)
    near.delete(["a/1 ü?#%", "b", "c", "d", "e"])
    assert import_space(tmp_path / "there", far).embedded == 0
    assert vectors_of(near) == before
    with pytest.raises(RerankerError, match="made where it lies"):
        far.make_tokens(ColourReranker())
    (folder / "red.png").unlink()
    near.add([Record(id="f", image=folder / "blue.png")])
    (folder / "blue.png").unlink()
    with pytest.raises(ExchangeError, match=r"nothing is exported: .* cannot be fetched"):
        export_space(far, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_captions_are_written_and_taken_out(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    far.add(cards(folder))
    report = far.caption(ColourCaptioner())
    assert report.captioned == 2
    assert near.get(["c"])[0].text  # type: ignore[union-attr]
    assert far.search("blue", match="text", k=1)[0].record.id == "c"
    assert far.remove_captions().removed == 2
    assert near.get(["c"])[0].text is None  # type: ignore[union-attr]


def test_a_calibration_is_fitted_from_here(
    far: SemanticSpace, near: SemanticSpace, folder: Path
) -> None:
    words = ("red", "green", "blue", "card", "tiger", "snow", "teapot")
    pictures = [
        Record(id=f"p{n}", image=picture(folder, n), text=f"{words[n % 3]} {words[n % 7]} {n}")
        for n in range(40)
    ]
    texts = [Record(id=f"t{n}", text=f"{words[n % 7]} {words[n % 5]} {n}") for n in range(40)]
    far.add([*pictures, *texts])
    assert far.calibration is None
    fitted = far.calibrate()
    assert near.calibration is not None
    assert far.calibration is not None
    assert far.calibration.fingerprint == fitted.fingerprint == near.encoder.fingerprint
    assert told(far.search("red card", k=20)) == told(near.search("red card", k=20))
    ranked = far.search("red card", k=5, reranker=ColourReranker())
    assert told(ranked) == told(near.search("red card", k=5, reranker=ColourReranker()))
    far.use_calibration(None)
    assert near.calibration is far.calibration is None


def picture(folder: Path, n: int) -> Path:
    path = folder / f"noise {n}.png"
    noise(n).save(path)
    return path


async def test_the_async_door(url: str) -> None:
    with await SemanticSpace.aconnect(url, "cards", timeout=20) as space:
        assert len(space) == 0
