"""``unisem calibrate``, and what it changes in ``search`` and ``store stats``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_page import read
from tests.support.rerankers import ColourReranker
from tests.support.things import ThingEncoder, apart, captioned
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.hit_table import doubt
from unisem.evaluation import AskedQuery, calibrate_reranker
from unisem.search import RerankCalibration
from unisem.stores.hits import Hit


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda *_, **__: ThingEncoder())
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
    for text in (
        "fitted to 160 texts, 160 pictures",
        "chosen: centred",
        "nDCG@10 of ",
        "probabilities of relevance told by pairs for text to picture, picture to text; by other "
        "pairs for text to text, picture to picture, both to text, both to picture",
    ):
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
    assert nothing.stderr == (
        "Nothing here is really like that. Try a lower --min-relevance or no --match.\n"
    )
    assert run("search", things, "thing 3", "--min-relevance", "0.2").exit_code == 0
    assert run("search", things, "thing 3", "--min-relevance", "2").exit_code == 2
    off = run("calibrate", things, "--off")
    assert off.exit_code == 0
    assert not (things / "calibration.safetensors").exists()
    assert json.loads(run("store", "stats", things, "--json").stdout)["calibration"] is None


def test_the_page_says_how_probable(run: Run, things: Path) -> None:
    run("calibrate", things)
    found = run("search", things, "thing 3", "--html", "page.html", "--json")
    shares = [hit["relevance"] for hit in json.loads(found.stdout)["hits"]]
    seen = read(Path("page.html"))
    said = ["< 1%" if share < 0.005 else f"{round(100 * share)}%" for share in shares]
    assert [text for text in seen.texts if text.endswith("%")] == said
    assert [bar["style"] for bar in seen.named("i")] == [
        f"width:{round(100 * share)}%" for share in shares
    ]
    assert seen.texts.count("relevant") == len(shares)
    with SemanticSpace.open(things) as space:
        space.use_calibration(None)
    run("search", things, "thing 3", "--html", "page.html")
    assert read(Path("page.html")).named("i") == []


def test_a_doubt_is_said_on_the_terminal_and_on_the_page(run: Run, things: Path) -> None:
    """By the best hit, wherever it stands; nothing is said where nobody knows."""
    run("calibrate", things)
    sure = run("search", things, "thing 3", "-k", "3", "--html", "page.html")
    assert "Perhaps" not in sure.stderr
    assert "role" not in {name for tag in read(Path("page.html")).named("p") for name in tag}
    with SemanticSpace.open(things) as space:
        least = min(hit.relevance or 0 for hit in space.search("thing 3", k=1000))
        assert least < 0.1
    hits = [Hit(Record(id="a", text="a"), 0.9, "text", chance) for chance in (0.02, 0.099)]
    assert doubt(hits) == (
        "Perhaps nothing here is really like that: the best hit is relevant with a probability of "
        "10%."
    )
    assert "less than 1%" in doubt([replace(hits[0], relevance=0.001)])
    assert doubt([*hits, replace(hits[0], relevance=0.1)]) == ""
    assert doubt([replace(hits[0], relevance=None)]) == doubt([]) == ""
    run("search", things, "thing 3", "--min-relevance", "1", "--html", "page.html")
    seen = read(Path("page.html"))
    assert "Nothing here is really like that. Try a lower --min-relevance." in seen.texts
    assert "relevant with a probability of 100% or more" in seen.texts
    assert "Nothing found." not in seen.texts


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
