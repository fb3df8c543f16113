"""``unisem calibrate``, and what it changes in ``search`` and ``store stats``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.rerankers import ColourReranker
from tests.support.things import ThingEncoder, apart, captioned
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.evaluation import AskedQuery, calibrate_reranker
from unisem.search import RerankCalibration


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


def test_a_reranker_is_calibrated_by_queries_and_keeps_that_beside_its_files(
    run: Run, tmp_path: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours, path = ("red", "green", "blue", "white"), tmp_path / "colours.unisem"
    with SemanticSpace.open(path, encoder=toy) as space:
        for colour in colours:
            space.add(Record(id=f"{colour}{n}", text=f"{colour} thing {n}") for n in range(10))
        rows = [
            {"text": f"a {colour} one", "relevant": [f"{colour}{n}" for n in range(10)]}
            for colour in colours
        ]
        queries = [AskedQuery(row["text"], tuple(row["relevant"])) for row in rows]
        expected = calibrate_reranker(space, ColourReranker(), queries)
    file, model = tmp_path / "held-out.jsonl", tmp_path / "model"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model.mkdir()
    monkeypatch.setattr("unisem.rerank.load_reranker", lambda *_, **__: ColourReranker())
    done = run("calibrate", path, "--reranker", model, "--queries", file)
    assert done.exit_code == 0
    assert RerankCalibration.load(model) == expected
    assert f"{expected.judged:.3g} for each unit of the reranker's score" in done.stdout
    assert run("calibrate", path, "--reranker", model).exit_code == 2
    off = ("--off", "--reranker", model, "--queries", file)
    assert run("calibrate", path, *off).exit_code == 2
    file.write_text(json.dumps({"text": "a red one"}) + "\n")
    refused = run("calibrate", path, "--reranker", model, "--queries", file)
    assert refused.exit_code == 1
    assert "no query says" in refused.stderr
