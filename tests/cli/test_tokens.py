"""``unisem tokens``: made, counted by ``store stats``, used by ``search``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.rerank.cross_modal.support import save_random
from tests.support.checkpoints import save_picture_cross_encoder, save_two_towers
from tests.support.matching_checkpoints import save_colbert
from unisem import SemanticSpace, load_encoder
from unisem.encoders import Encoder
from unisem.ingest import token_making
from unisem.rerank.cross_modal import CrossModalReranker


@pytest.fixture
def towers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """A space's encoder with towers, whatever its name."""
    encoder = load_encoder(str(save_two_towers(tmp_path / "towers")))
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **_: encoder)
    return encoder


@pytest.fixture
def model(tmp_path: Path, towers: Encoder) -> Path:
    return save_random(tmp_path / "own", towers, side=4, picture_tokens=16)


def test_tokens_are_made_counted_and_used(
    run: Run, towers: Encoder, model: Path, built: Path, cards: Path
) -> None:
    assert json.loads(run("store", "stats", built, "--json").stdout)["tokens"] == []
    result = run("tokens", built, "--reranker", model)
    assert result.exit_code == 0, result.output
    made = int(result.stdout.split()[3])
    assert made == len(list(cards.glob("*.png")))
    again = run("index", cards, "--into", built, "--tokens-for", model)
    assert f"keeps tokens of {made} pictures, 0 dropped, 0 skipped" in again.stdout
    (kept,) = json.loads(run("store", "stats", built, "--json").stdout)["tokens"]
    assert kept["pictures"] == made
    assert kept["bytes"] == (built / kept["file"]).stat().st_size
    assert f"of {made} pictures at " in run("store", "stats", built).stdout
    found = run("search", built, "red", "--json", "--reranker", model, "-k", 3)
    with SemanticSpace.open(built, encoder=towers) as space:
        judge = CrossModalReranker("m", model, encoder=towers)
        hits = space.search("red", k=3, reranker=judge)
    assert [(hit["id"], hit["judged"]) for hit in json.loads(found.stdout)["hits"]] == [
        (hit.record.id, hit.judged) for hit in hits
    ]
    assert run("store", "check", built).exit_code == 0
    (built / kept["file"]).write_bytes(b"damaged" * 1000)
    checked = run("store", "check", built)
    assert checked.exit_code == 1
    assert f"{kept['file']} cannot be read" in checked.stdout
    assert "damaged; `unisem tokens`" in run("store", "stats", built).stdout


def test_a_folder_comes_in_with_its_tokens(
    run: Run, model: Path, cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(*_: object) -> None:
        raise AssertionError("a picture was opened again")

    monkeypatch.setattr(token_making, "_unchanged", nothing_left)
    new, count = tmp_path / "new.unisem", len(list(cards.glob("*.png")))
    result = run("index", cards, "--into", new, "--tokens-for", model)
    assert result.exit_code == 0, result.output
    assert f"keeps tokens of {count} pictures, 0 dropped, 0 skipped" in result.stdout


def test_token_vectors_of_late_interaction_are_pooled_and_told(
    run: Run, towers: Encoder, model: Path, built: Path, cards: Path, tmp_path: Path
) -> None:
    colbert = save_colbert(tmp_path / "texts")
    result = run("tokens", built, "--reranker", colbert, "--pool-factor", 2)
    assert result.exit_code == 0, result.output
    (kept,) = json.loads(run("store", "stats", built, "--json").stdout)["tokens"]
    assert (kept["pictures"], kept["pool_factor"]) == (0, 2)
    assert f"made tokens of 0 pictures and {kept['texts']} texts; 0 had theirs" in result.stdout
    told = " ".join(run("store", "stats", built).stdout.split())
    assert f"of {kept['texts']} texts at {round(kept['bytes_per_text'])} B each, pooled by" in told
    found = run("search", built, "red", "--json", "--reranker", colbert, "-k", 3)
    assert any(hit["judged"] for hit in json.loads(found.stdout)["hits"])
    again = run("index", cards, "--into", built, "--tokens-for", colbert)
    assert f"and {kept['texts']} texts, 0 dropped" in again.stdout, "as the file is pooled"
    refused = run("tokens", built, "--reranker", model, "--pool-factor", 2)
    assert refused.exit_code == 2
    assert "has no pool_factor" in " ".join(refused.stderr.replace("│", " ").split())


def test_what_has_no_tokens_is_one_line(run: Run, built: Path, tmp_path: Path) -> None:
    other = save_picture_cross_encoder(tmp_path)
    result = run("tokens", built, "--reranker", other)
    assert result.exit_code == 1
    assert "keeps no tokens" in result.stderr
    assert run("tokens", built).exit_code == 2


def test_an_interruption_says_what_is_kept(
    run: Run, towers: Encoder, model: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(token_making, "raise_if_interrupted", interrupted)
    result = run("tokens", built, "--reranker", model)
    assert result.exit_code == 130
    assert "are kept" in result.stderr
