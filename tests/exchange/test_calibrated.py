"""A calibration goes out with its space and comes back; a stranger's is checked like any file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.list_store import ListKind
from tests.support.things import ThingEncoder, apart, captioned
from unisem import Record, SemanticSpace
from unisem.calibration import Calibration, load_calibration, save_calibration
from unisem.calibration.artefact import packed
from unisem.errors import ExchangeError
from unisem.exchange import export_space, import_space
from unisem.exchange.info import CALIBRATION, digest

ASKED = ("thing 3", "thing 77", "thing 110")


def opened(path: Path | None, **options: Any) -> SemanticSpace:
    return SemanticSpace.open(path, encoder=ThingEncoder(), **options)


def said(space: SemanticSpace) -> list[tuple[str, float, float | None]]:
    hits = [hit for text in ASKED for hit in space.search(text, k=20)]
    return [(hit.record.id, hit.score, hit.relevance) for hit in hits]


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """The directory of a calibrated space."""
    with opened(tmp_path / "s.unisem") as space:
        space.add([*captioned(range(60)), *apart(range(60, 120))])
        space.calibrate()
    return tmp_path / "s.unisem"


def resealed(export: Path, calibration: Calibration | None) -> None:
    """Put another calibration, or no such file, into an export, as if it had always been there."""
    if calibration is None:
        (export / CALIBRATION).write_bytes(b"no calibration")
    else:
        save_calibration(calibration, export / CALIBRATION)
    info = json.loads((export / "export.json").read_text())
    info["files"][CALIBRATION] = digest(export / CALIBRATION)
    (export / "export.json").write_text(json.dumps(info))


@pytest.mark.parametrize("layout", ["jsonl", "parquet"])
def test_it_comes_back(origin: Path, tmp_path: Path, layout: Any) -> None:
    with opened(origin) as space:
        expected, kept = said(space), space.calibration
        export_space(space, tmp_path / "out", layout=layout)
    export_space(origin, tmp_path / "by path", layout=layout)
    assert kept is not None
    for export in ("out", "by path"):
        with opened(tmp_path / f"{export}.unisem") as new:
            for times in range(2):  # as after an interruption
                report = import_space(tmp_path / export, new)
                assert report.skipped == ()
                assert report.calibrated == (times == 0)
                assert new.calibration is not None
                assert packed(new.calibration) == packed(kept)
                assert said(new) == expected


def test_a_space_keeps_its_own(origin: Path, tmp_path: Path) -> None:
    export_space(origin, tmp_path / "out")
    with opened(None) as new:
        new.add([Record(id="own", text="thing 200")])
        assert not import_space(tmp_path / "out", new).calibrated
        assert new.calibration is None
        own = new.calibrate(seed=5)
        assert not import_space(tmp_path / "out", new).calibrated
        assert new.calibration is own
    with opened(None) as new:
        assert not import_space(tmp_path / "out", new, vectors="renew").calibrated
        assert new.calibration is None


def test_none_goes_out_where_there_is_none(origin: Path, tmp_path: Path) -> None:
    with opened(origin) as space:
        space.use_calibration(None)
        export_space(space, tmp_path / "out")
    assert not (tmp_path / "out" / CALIBRATION).exists()
    with opened(None) as new:
        assert not import_space(tmp_path / "out", new).calibrated


def test_a_strangers(origin: Path, tmp_path: Path) -> None:
    """What does not fit costs itself; what was changed on the way costs the import."""
    export_space(origin, tmp_path / "out")
    fitted = load_calibration(tmp_path / "out" / CALIBRATION)
    for stranger, fault in (
        (replace(fitted, fingerprint="cd" * 32), "fitted to vectors of the encoder"),
        (None, "cannot be read as a calibration"),
    ):
        resealed(tmp_path / "out", stranger)
        with opened(None) as new:
            report = import_space(tmp_path / "out", new)
            assert (report.records, report.calibrated) == (120, False)
            (skipped,) = report.skipped
            assert fault in skipped.reason
            assert new.calibration is None
    (tmp_path / "out" / CALIBRATION).write_bytes(b"changed")
    with opened(None) as new, pytest.raises(ExchangeError, match="damaged or was changed"):
        import_space(tmp_path / "out", new)
    (tmp_path / "out" / CALIBRATION).unlink()
    (tmp_path / "out" / CALIBRATION).symlink_to(origin / CALIBRATION)
    with opened(None) as new, pytest.raises(ExchangeError, match="is missing"):
        import_space(tmp_path / "out", new)


def test_a_store_that_cannot_takes_the_records(origin: Path, tmp_path: Path) -> None:
    export_space(origin, tmp_path / "out")
    with opened(None, store=ListKind()) as new:
        report = import_space(tmp_path / "out", new)
        assert report.records == len(new) == 120
        assert ["cannot calibrate" in item.reason for item in report.skipped] == [True]
