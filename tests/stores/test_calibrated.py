"""A calibrated store against brute force over what a calibration says, and how it is swapped."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.calibration.synthetic import DIMENSION, Corpus
from tests.stores.contract.items import item as small_item
from tests.support.list_store import ListStore
from tests.support.oracle import BruteForce
from unisem import Record
from unisem.calibration import Calibration, Choices, PairChoice, QueryKind, fit_calibration
from unisem.calibration.artefact import packed
from unisem.calibration.reference import scaled
from unisem.errors import CalibrationError, EncoderMismatchError, StoreError
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.records import VECTOR_KINDS, EmbeddedRecord, Vector, VectorKind
from unisem.stores import Store
from unisem.stores.calibrated import Calibrated
from unisem.stores.faiss import FaissStore
from unisem.stores.faiss.index_settings import KINDS, IndexSettings
from unisem.stores.faiss.kinds import base
from unisem.stores.faiss.kinds.flat import Rounded
from unisem.stores.faiss.kinds.ivf_pq import IvfPQ
from unisem.stores.faiss.snapshot_keeper import SnapshotKeeper
from unisem.stores.selection import EVERYTHING, Match, Selection

CORPUS = Corpus.of(240, 0.6, 1)
ASKED: tuple[QueryKind, ...] = ("text", "image", "both")
MATCHES: tuple[Match, ...] = ("any", "text", "image", "both")
FUSED = scaled(CORPUS.texts + CORPUS.images + 0.02)
SELECTIONS = (
    EVERYTHING,
    Selection(modality="text"),
    Selection(filter=Field("year") >= 2003),
    Selection(ids=("r3", "r4", "r5", "nobody")),
)


def fitted(seed: int, alpha: float = 0.75) -> Calibration:
    corpus = Corpus.of(200, 0.6, seed)
    fused = scaled(corpus.texts + corpus.images + 0.02)
    found = fit_calibration(replace(corpus.sample, fused=fused), fingerprint="ab")
    assert found.documents_of.keys() == {"text", "image", "both"}
    pairs = {
        (asked, kind): PairChoice(alpha=alpha, k=16, slope=15.0 if kind == "text" else 10.0)
        for asked, kind in found.pairs
    }
    return replace(found, choices=Choices(), pairs=pairs)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fitted(2)


@pytest.fixture(scope="module")
def other() -> Calibration:
    return fitted(3, alpha=0.0)


def record(number: int) -> EmbeddedRecord:
    """A text, a picture, or a picture with its caption, half of them fused, by turns."""
    vectors: dict[VectorKind, Vector] = {}
    if number % 3 != 1:
        vectors["text"] = CORPUS.texts[number]
    if number % 3 != 0:
        vectors["image"] = CORPUS.images[number]
    if number % 6 == 2:
        vectors["both"] = FUSED[number]
    image = None
    if "image" in vectors:
        image = ImageRef(path=Path("/pictures/a.png"), root=Path("/pictures"), sha256="00")
    text = f"text {number}" if "text" in vectors else None
    metadata = {"year": 2000 + number % 6}
    return EmbeddedRecord(
        Record(id=f"r{number}", text=text, image=image, metadata=metadata), vectors
    )


ITEMS = [record(number) for number in range(len(CORPUS.texts))]


def opened(path: Path | None, kind: Any = "auto") -> FaissStore:
    return FaissStore(path, ImageLibrary(path), index=kind)


def filled(path: Path | None, kind: Any = "auto") -> tuple[FaissStore, BruteForce]:
    store, oracle = opened(path, kind), BruteForce()
    store.add(ITEMS)
    oracle.add(ITEMS)
    return store, oracle


def answers(store: Store, asked: QueryKind = "text", k: int = 10) -> list[list[tuple[Any, ...]]]:
    found = store.search(CORPUS.questions[:8], k, asked=asked)
    return [
        [(hit.record.id, hit.score, hit.matched, hit.relevance) for hit in hits] for hits in found
    ]


def assert_agree(store: Store, oracle: BruteForce, calibration: Calibration) -> None:
    for asked in ASKED:
        for selection in SELECTIONS:
            for match in MATCHES:
                for k in (1, 7, 500):
                    vector = CORPUS.questions[k % 11]
                    (hits,) = store.search(vector[None], k, selection, match, asked)
                    expected = oracle.search_calibrated(
                        calibration, vector, asked, k, selection, match
                    )
                    assert [hit.record.id for hit in hits] == [found[0] for found in expected]
                    assert [hit.matched for hit in hits] == [found[2] for found in expected]
                    assert [hit.relevance for hit in hits] == pytest.approx(
                        [found[3] for found in expected], abs=1e-5
                    )
                    assert_one_line([hit.score for hit in hits], [found[1] for found in expected])


def assert_one_line(scores: list[float], standard: list[float]) -> None:
    """Scores are standard scores on another scale, the same for both kinds of vectors."""
    if len(scores) > 2:
        line = np.polyfit(standard, scores, 1)
        assert line[0] > 0
        np.testing.assert_allclose(np.polyval(line, standard), scores, atol=1e-5)


@pytest.mark.parametrize("kind", [None, *KINDS])
@pytest.mark.parametrize("on_disk", [False, True])
def test_every_index_finds_what_brute_force_finds(
    kind: str | None,
    on_disk: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calibration: Calibration,
) -> None:
    monkeypatch.setattr(base, "FEW", 0)
    for each in (base.VectorIndex, Rounded):
        monkeypatch.setattr(each, "sparse", 0)
    monkeypatch.setattr(IvfPQ, "is_scanned", lambda _, count: not count)
    path = tmp_path / "s" if on_disk else None
    store, oracle = filled(path, IndexSettings(effort=1e3, oversampling=20))
    if kind is not None:
        store.compact(kind)
    store.calibrate(calibration)
    assert store.index_kind == (kind or "flat")
    assert_agree(store, oracle, calibration)
    new = [record(number) for number in (1, 5, 9)] + [
        EmbeddedRecord(Record(id="new", text="x"), {"text": CORPUS.questions[3]})
    ]
    for state in (store, oracle):
        state.add(new)
        state.delete(Selection(ids=("r7", "r8")))
    assert_agree(store, oracle, calibration)
    store.close()
    if path is not None:
        with_path = opened(path)
        assert with_path.calibration is not None
        assert packed(with_path.calibration) == packed(calibration)
        with_path.close()


def test_scores_are_at_the_height_of_cosines(calibration: Calibration) -> None:
    """Brought to the mean middle and spread of what the bank's queries score."""
    store, _ = filled(None)
    store.calibrate(calibration)
    vector = CORPUS.questions[0]
    (hits,) = store.search(vector[None], 5)
    query = calibration.query(vector, "text")
    bank = calibration.queries_of["text"].bank[::3]  # 64 of 200, evenly
    scales = [
        each.scale(kind)
        for each in calibration.queries(bank, "text")
        for kind in ("text", "image")  # type: ignore[attr-defined]
    ]
    middle = np.mean([scale.middle for scale in scales])
    spread = np.mean([scale.spread for scale in scales])
    for hit in hits:
        number = int(hit.record.id[1:])
        rows = {"text": CORPUS.texts, "image": CORPUS.images, "both": FUSED}[hit.matched]
        kind = np.array([VECTOR_KINDS.index(hit.matched)])
        searched = calibration.documents(rows[number][None], kind)
        standard = query.scale(hit.matched).comparable(searched @ query.vector)[0]
        assert hit.score == pytest.approx(middle + spread * standard, abs=1e-5)
        assert -1 < hit.score < 1


def test_without_scales_scores_are_the_inner_products(calibration: Calibration) -> None:
    store, oracle = filled(None)
    plain = replace(calibration, choices=Choices(scaled=()))
    store.calibrate(plain)
    assert_agree(store, oracle, plain)
    vector = CORPUS.questions[0]
    expected = oracle.search_calibrated(plain, vector, "text", 9)
    assert [hit[1] for hit in answers(store, k=9)[0]] == pytest.approx([hit[1] for hit in expected])


def test_one_vector_has_one_score_wherever_it_lies(calibration: Calibration) -> None:
    """Stored one by one, all at once, before or after: to the bit."""
    at_once, _ = filled(None)
    at_once.calibrate(calibration)
    one_by_one = opened(None)
    one_by_one.add(ITEMS[:1])
    one_by_one.calibrate(calibration)
    for each in ITEMS[1:]:
        one_by_one.add([each])
    assert answers(one_by_one) == answers(at_once)


def test_without_a_calibration_nothing_has_changed(
    tmp_path: Path, calibration: Calibration
) -> None:
    store, _ = filled(tmp_path)
    store.compact("flat")
    before, seal = answers(store), (tmp_path / "vectors.json").read_text()
    assert all(hit[3] is None for hits in before for hit in hits)
    assert json.loads(seal)["calibration"] is None
    for asked in ASKED:
        assert answers(store, asked) == before
    store.calibrate(calibration)
    assert answers(store) != before
    store.calibrate(None)
    assert store.calibration is None
    assert answers(store) == before
    assert not (tmp_path / "calibration.safetensors").exists()
    store.close()


def test_a_reader_sees_the_swap_at_its_next_search(
    tmp_path: Path, calibration: Calibration, other: Calibration
) -> None:
    writer, _ = filled(tmp_path)
    reader = opened(tmp_path)
    raw = answers(reader)
    for present in (calibration, other):
        writer.calibrate(present)
        assert reader.calibration is not None
        assert packed(reader.calibration) == packed(present)
        assert answers(reader) == answers(writer) != raw
        assert reader.index_kind == "flat"  # mapped, not built
    writer.calibrate(None)
    assert answers(reader) == raw
    reader.close()
    writer.close()


def test_an_index_of_another_calibration_is_never_believed(
    tmp_path: Path, calibration: Calibration, other: Calibration
) -> None:
    store, oracle = filled(tmp_path)
    store.calibrate(calibration)
    store.close()
    digest = json.loads((tmp_path / "vectors.json").read_text())["calibration"]
    assert digest == Calibrated.of(calibration).digest
    (tmp_path / "calibration.safetensors").write_bytes(packed(other))
    store = opened(tmp_path)
    assert store.index_kind is None
    assert_agree(store, oracle, other)
    store.compact("flat")
    store.close()
    (tmp_path / "calibration.safetensors").unlink()
    store = opened(tmp_path)
    assert store.index_kind is None
    expected = oracle.search(CORPUS.questions[0], 10)
    assert [hit[0] for hit in answers(store)[0]] == [found[0] for found in expected]
    store.close()


def test_a_file_that_cannot_be_used_is_said_and_left_alone(
    tmp_path: Path, calibration: Calibration, caplog: pytest.LogCaptureFixture
) -> None:
    store, _ = filled(tmp_path)
    raw = answers(store)
    store.close()
    path = tmp_path / "calibration.safetensors"
    alien = replace(calibration, fingerprint="cd" * 32)
    for content, reason in ((b"damaged", "cannot be read"), (packed(alien), "of the encoder cdcd")):
        path.write_bytes(content)
        store = opened(tmp_path)
        store.expect("ab")
        with caplog.at_level(logging.WARNING):
            assert answers(store) == raw
            assert store.calibration is None
        assert len([line for line in caplog.messages if reason in line]) == 1
        store.close()
        assert path.read_bytes() == content
        caplog.clear()


def test_what_does_not_fit_is_refused_and_the_old_stays(
    tmp_path: Path, calibration: Calibration
) -> None:
    store, _ = filled(tmp_path)
    store.expect("ab")
    store.calibrate(calibration)
    before = answers(store)
    small = opened(None)
    small.add([small_item("a", 1)])
    with pytest.raises(CalibrationError, match=f"dimension {DIMENSION}, not 8"):
        small.calibrate(calibration)
    with pytest.raises(EncoderMismatchError, match="fit one"):
        store.calibrate(replace(calibration, fingerprint="cd"))
    assert answers(store) == before
    with pytest.raises(StoreError, match="ListStore cannot calibrate"):
        ListStore(None, ImageLibrary(None)).calibrate(calibration)
    store.close()


def test_a_disk_that_refuses_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibration: Calibration, other: Calibration
) -> None:
    store, oracle = filled(tmp_path)
    store.calibrate(calibration)
    before = answers(store)

    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("unisem.stores.calibration_file.save_calibration", refuse)
    with pytest.raises(StoreError, match="no space left"):
        store.calibrate(other)
    monkeypatch.undo()
    assert answers(store) == before
    store.close()
    store = opened(tmp_path)  # the index is of the new one already, and so is not believed
    assert answers(store) == before
    assert_agree(store, oracle, calibration)
    store.close()


def test_an_empty_store_is_calibrated_for_what_comes(
    tmp_path: Path, calibration: Calibration
) -> None:
    store = opened(tmp_path)
    store.calibrate(calibration)
    store.add(ITEMS)
    oracle = BruteForce()
    oracle.add(ITEMS)
    assert_agree(store, oracle, calibration)
    store.delete(EVERYTHING)
    assert store.search(CORPUS.questions[:1], 5) == [[]]
    store.close()


def test_a_search_answers_by_one_of_the_two(
    tmp_path: Path, calibration: Calibration, other: Calibration
) -> None:
    store, _ = filled(tmp_path)
    expected = []
    for present in (other, calibration):
        store.calibrate(present)
        expected.append(answers(store))
    seen: list[list[list[tuple[Any, ...]]]] = []
    done = threading.Event()

    def search() -> None:
        reader = opened(tmp_path)
        while True:
            seen.append(answers(reader))
            seen.append(answers(store))
            if done.is_set():
                break
        reader.close()

    thread = threading.Thread(target=search)
    thread.start()
    for _ in range(5):
        store.calibrate(other)
        store.calibrate(calibration)
    done.set()
    thread.join()
    store.close()
    for found in seen:
        for place, hits in enumerate(found):
            assert hits in (expected[0][place], expected[1][place])


def test_a_calibration_that_is_replaced_while_a_reader_catches_up(
    tmp_path: Path, calibration: Calibration, other: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = filled(tmp_path)
    expected = []
    for present in (other, calibration):
        store.calibrate(present)
        expected.append(answers(store))
    reader = opened(tmp_path)
    start, replaced = SnapshotKeeper.start, []

    def started(keeper: SnapshotKeeper, *given: Any) -> Any:
        if not replaced:
            replaced.append(True)
            store.calibrate(other)
        return start(keeper, *given)

    monkeypatch.setattr(SnapshotKeeper, "start", started)
    assert answers(reader)[0] in (expected[0][0], expected[1][0])
    assert replaced
    assert answers(reader) == expected[0]
    reader.close()
    store.close()


def test_a_copy_is_calibrated_and_a_check_sees_what_is_wrong(
    tmp_path: Path, calibration: Calibration, other: Calibration
) -> None:
    store, _ = filled(tmp_path / "s")
    store.calibrate(calibration)
    expected = answers(store)
    store.maintenance().backup(tmp_path / "copy")
    copy = opened(tmp_path / "copy")
    assert copy.index_kind == "flat"
    assert answers(copy) == expected
    copy.close()
    assert list(store.maintenance().check()) == []
    file = tmp_path / "s" / "calibration.safetensors"
    file.write_bytes(packed(other))
    assert store.maintenance().statistics().kind is None
    (finding,) = store.maintenance().check()
    assert "not of the space's calibration" in finding.text
    assert not finding.is_problem
    file.write_bytes(b"damaged")
    findings = list(store.maintenance().check())
    assert [finding.area for finding in findings if finding.is_problem] == ["calibration"]
    store.close()
