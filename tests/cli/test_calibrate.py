"""``unisem calibrate``, and what it changes in ``search`` and ``store stats``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.things import ThingEncoder, apart, captioned
from unisem import SemanticSpace


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("unisem.space.load_encoder", lambda *_, **__: ThingEncoder())
    path = tmp_path / "things.unisem"
    with SemanticSpace.open(path) as space:
        space.add([*captioned(range(120)), *apart(range(120, 200))])
    return path


def test_calibrate(run: Run, things: Path) -> None:
    assert "none; scores are raw cosines" in run("store", "stats", things).stdout
    refused = run("search", things, "thing 3", "--min-relevance", "0.5")
    assert refused.exit_code == 1
    assert "space.calibrate() fits one" in refused.stderr
    done = run("calibrate", things)
    assert done.exit_code == 0
    for text in ("fitted to 160 texts, 160 pictures", "chosen: centred", "nDCG@10 of "):
        assert text in done.stdout
    shown = " ".join(run("store", "stats", things).stdout.split())
    assert "as chosen, on" in shown
    assert "drift of the newest vectors: text 0.0" in shown
    found = json.loads(run("store", "stats", things, "--json").stdout)["calibration"]
    assert found["fitted_to"] == {"text": 160, "image": 160}
    assert found["after"] > found["before"]
    assert max(found["drift"].values()) < 0.1
    by_picture = ("search", things, "thing 3", "--match", "image")
    hits = json.loads(run(*by_picture, "--json").stdout)["hits"]
    assert all(0 <= hit["relevance"] <= 1 for hit in hits)
    assert "relevant" in run(*by_picture).stdout
    nothing = run(*by_picture, "--min-relevance", "1")
    assert nothing.exit_code == 0
    assert "nothing here is really like that" in nothing.stderr
    assert run("search", things, "thing 3", "--min-relevance", "2").exit_code == 2
    off = run("calibrate", things, "--off")
    assert off.exit_code == 0
    assert not (things / "calibration.safetensors").exists()
    assert json.loads(run("store", "stats", things, "--json").stdout)["calibration"] is None


def test_what_cannot_be_calibrated(run: Run, built: Path) -> None:
    refused = run("calibrate", built)
    assert refused.exit_code == 1
    assert "32 texts and of 32 pictures" in refused.stderr
