"""``unisem train-reranker``: its options, what it says, and that what it makes is loaded."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.training.support import coloured_pairs, tiny_encoder
from unisem import Record, load_encoder
from unisem.rerank import load_reranker
from unisem.training.cross_modal import CrossModalRecipe


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    rows = [
        {"filepath": pair.image.path.name, "title": pair.caption}
        for pair in coloured_pairs(folder, 20)
        if pair.image.path is not None
    ]
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_run_makes_what_is_loaded(run: Run, table: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "my-reranker"
    options = ["--encoder", tiny, "--epochs", 2, "--side", 4, "--width", 16, "-k", 5]
    options += ["--hard-negatives", 2, "--mined", 3, "--batch-size", 8, "--depth", 4]
    result = run("train-reranker", "--data", table, "--output", out, *options)
    assert result.exit_code == 0, result.output
    assert "16 pairs to train on, 4 held out, nothing in common" in result.output
    assert "hit@1" in result.output
    assert "hit@5" in result.output
    assert "kB of tokens a picture" in result.output
    assert f"{out} is ready" in result.output
    model = load_reranker(out, encoder=load_encoder(str(tiny)))
    picture = Record(id="a", image=str(tmp_path / "data" / "0.png"))
    assert model.score("a red tiger", None, [picture]).shape == (1,)
    again = run("train-reranker", "--data", table, "--output", table.parent)
    assert again.exit_code == 1
    assert "no training of a reranker wrote" in again.output


def test_every_setting_is_an_option_that_reaches_the_run(
    run: Run, table: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import unisem.training.cross_modal.run as module

    seen: dict[str, Any] = {}

    def noted(*arguments: Any, **options: Any) -> Any:
        seen.update(options, encoder=arguments[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_reranker", noted)
    wanted: dict[str, Any] = {
        "loss": "itm",
        "group": 3,
        "compared": "texts",
        "captioning": 0.5,
        "distillation": 2.0,
        "hard_negatives": 1,
        "mined": 7,
        "random_negatives": 2,
        "words": "tower",
        "fusion": "attention",
        "vocabulary": 900,
        "width": 64,
        "heads": 2,
        "layers": 1,
        "caption_layers": 2,
        "side": 5,
        "picture_tokens": 9,
        "token_width": 32,
        "length": 30,
        "dropout": 0.2,
        "epochs": 3,
        "batch_size": 9,
        "learning_rate": 0.01,
        "warmup": 0.2,
        "weight_decay": 0.1,
        "precision": "bfloat16",
        "checkpoint_steps": 4,
        "seed": 5,
        "depth": 20,
        "k": 3,
        "patience": 2,
        "validation": 0.3,
    }
    assert wanted.keys() == {field.name for field in fields(CrossModalRecipe)}
    options: list[Any] = []
    for name, value in wanted.items():
        options += [f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}", value]
    options += ["--encoder", tiny, "--query-instruction", "a ", "--attention", "eager"]
    run("train-reranker", "--data", table, "--output", tmp_path / "o", *options)
    assert seen["recipe"] == CrossModalRecipe(**wanted)
    assert seen["encoder"].options.given == {"query_instruction": "a ", "attention": "eager"}
    refused = run("train-reranker", "--data", table, "--output", tmp_path / "o", "--dimension", 3)
    assert refused.exit_code == 2
