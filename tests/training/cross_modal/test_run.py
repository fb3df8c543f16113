"""`train_reranker`: learns, resumes to the same weights, leaves nothing half done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from tests.training.support import coloured_pairs, numbered_pairs, tiny_encoder
from unisem import Record
from unisem.encoders import load_encoder
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs import Input, PairDataset
from unisem.pairs.dataset import Ids
from unisem.rerank import Reranker
from unisem.rerank.cross_modal import CrossModalReranker
from unisem.rerank.cross_modal.tokenizer import BEGIN
from unisem.training.cross_modal import CrossModalRecipe, train_reranker
from unisem.training.cross_modal.objective import Objective, Term
from unisem.training.loop.checkpoints import checkpoints

SMALL: dict[str, Any] = {
    "side": 4,
    "width": 32,
    "layers": 2,
    "caption_layers": 1,
    "token_width": 16,
    "length": 12,
    "batch_size": 8,
    "mined": 4,
    "hard_negatives": 2,
}


def recipe(**changes: Any) -> CrossModalRecipe:
    drawn = {} if changes.get("loss", "infonce") == "infonce" else {"random_negatives": 3}
    return CrossModalRecipe(**SMALL | drawn | changes)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return numbered_pairs(tmp_path_factory.mktemp("pairs"), 20)


FORMS: tuple[dict[str, Any], ...] = (
    {"epochs": 120},
    {
        "loss": "contrastive",
        "words": "tower",
        "picture_tokens": 6,
        "captioning": 0,
        "precision": "bfloat16",
    },
    {"loss": "itm", "epochs": 100, "captioning": 0},
    {"fusion": "attention", "epochs": 100, "learning_rate": 5e-3, "captioning": 0},
    {"loss": "infonce", "hard_negatives": 0, "captioning": 0},
    {"loss": "infonce", "hard_negatives": 0, "fusion": "cosine", "captioning": 0},
)


@pytest.mark.slow
@pytest.mark.parametrize("changes", FORMS)
def test_twenty_pairs_are_learned_by_heart(
    changes: dict[str, Any], tmp_path: Path, encoder: str, features: Path, pairs: PairDataset
) -> None:
    # The article's form looks at the first word alone, so that one tells the captions apart.
    numbered = (replace(pair, query=Input(f"{n} {pair.caption}")) for n, pair in enumerate(pairs))
    pairs = PairDataset(tuple(numbered))
    by_heart = {"epochs": 60, "dropout": 0, "learning_rate": 3e-3, "depth": 20}
    report = train_reranker(
        encoder,
        pairs,
        tmp_path / "out",
        held_out=pairs,
        recipe=recipe(**by_heart | changes),
        features=features,
    )
    assert report.losses[-1] < report.losses[0] / 3
    assert report.reranked is not None
    assert report.reranked.after.hit(1).mean() >= 0.9
    assert report.leakage is not None
    assert report.leakage.pictures == 20
    model = CrossModalReranker("m", tmp_path / "out", encoder=load_encoder(encoder))
    records = [Record(id=str(n), image=pair.image) for n, pair in enumerate(pairs)]
    best = [int(np.argmax(model.score(pair.caption, None, records))) for pair in pairs]
    found = np.mean([place == n for n, place in enumerate(best)])
    assert found == pytest.approx(report.reranked.after.hit(1).mean(), abs=0.051)
    if "captioning" not in changes:
        tokens = model.tokens_of([pair.image for pair in pairs])
        texts = written(model, tokens)
        said = [text == pair.caption for text, pair in zip(texts, pairs, strict=True)]
        assert np.mean(said) >= 0.9


def written(model: CrossModalReranker, tokens: NDArray[np.float16]) -> list[str]:
    """What the writing stack says of pictures: each time the likeliest word."""
    network = model.files.network
    words, past = torch.full((len(tokens),), BEGIN), network.begin(torch.from_numpy(tokens).float())
    lines: list[list[int]] = [[] for _ in tokens]
    for _ in range(network.settings.length - 1):
        logits, past = network.step(words, past)
        words = logits.argmax(1)
        for line, word in zip(lines, words.tolist(), strict=True):
            line.append(word)
    return [model.files.tokenizer.words(line) for line in lines]


@pytest.mark.slow
def test_wrong_captions_are_learned_to_be_wrong(
    tmp_path: Path, encoder: str, features: Path, pairs: PairDataset
) -> None:
    """Without them nothing says what the caption with another last word is."""
    wrong = [[f"{pair.caption} never"] if n % 2 else [] for n, pair in enumerate(pairs)]
    train_reranker(
        encoder,
        pairs,
        tmp_path / "out",
        wrong_captions=wrong,
        recipe=recipe(
            loss="contrastive",
            compared="texts",
            epochs=40,
            dropout=0,
            learning_rate=3e-3,
            captioning=0,
        ),
        features=features,
    )
    model = CrossModalReranker("m", tmp_path / "out", encoder=load_encoder(encoder))
    tokens = model.tokens_of([pair.image for pair in pairs])
    for n in range(1, 20, 2):
        true = model.score_tokens(pairs[n].caption, tokens[n : n + 1])
        false = model.score_tokens(wrong[n][0], tokens[n : n + 1])
        assert true > false
    assert model.files.network.settings.caption_layers == 0


@pytest.mark.parametrize(("stop", "kept"), [(3, 3), (2, 2)])
def test_a_run_goes_on_to_the_same_weights(
    stop: int,
    kept: int,
    tmp_path: Path,
    encoder: str,
    features: Path,
    pairs: PairDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C in the middle of a step, at the end of an epoch of two steps and within one."""
    chosen = recipe(epochs=3, patience=5, validation=0.2, learning_rate=3e-3)
    terms = Objective.terms

    def run(output: Path, *, resume: bool = False) -> None:
        train_reranker(encoder, pairs, output, recipe=chosen, features=features, resume=resume)

    def interrupted(
        self: Objective, batch: Ids, step: int, mine: slice = slice(None)
    ) -> list[Term]:
        found = terms(self, batch, step, mine)  # dropout has moved the generator
        if step == stop:
            raise KeyboardInterrupt
        return found

    run(tmp_path / "whole")
    monkeypatch.setattr(Objective, "terms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
    folder = tmp_path / "parts.training" / "checkpoints"
    assert [path.name for path in checkpoints(folder)] == [f"checkpoint-{kept}"]
    monkeypatch.undo()
    torch.manual_seed(99)
    run(tmp_path / "parts", resume=True)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    assert not folder.exists()


def test_another_runs_checkpoint_is_refused(
    tmp_path: Path, encoder: str, features: Path, pairs: PairDataset
) -> None:
    def stopped(what: str, done: int, total: int) -> None:
        if what == "training" and done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_reranker(
            encoder,
            pairs,
            tmp_path / "out",
            recipe=recipe(epochs=2),
            features=features,
            progress=stopped,
        )
    with pytest.raises(TrainingError, match="run with other vocabulary, width, pairs"):
        train_reranker(
            encoder,
            pairs.select(range(19)),
            tmp_path / "out",
            recipe=recipe(epochs=2, width=16),
            features=features,
            resume=True,
        )


def test_early_stopping_keeps_the_best_weights(
    tmp_path: Path, encoder: str, features: Path, pairs: PairDataset
) -> None:
    report = train_reranker(
        encoder,
        pairs,
        tmp_path / "out",
        recipe=recipe(epochs=30, patience=2, validation=0.3, learning_rate=1e-2),
        features=features,
    )
    best = int(np.argmin(report.validation))
    assert len(report.validation) == min(30, best + 1 + 2)


class Brightness(Reranker):
    """A teacher that prefers bright pictures, whatever is asked."""

    name = "brightness"

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        means = [np.asarray(record.image.open()).mean() for record in records]  # type: ignore[union-attr]
        return np.array(means, np.float32) / 10


@pytest.mark.slow
def test_a_teacher_is_followed(tmp_path: Path, encoder: str, features: Path) -> None:
    pairs = coloured_pairs(tmp_path / "pairs", 24)
    agreement = {}
    for name, teacher in (("alone", None), ("taught", Brightness())):
        train_reranker(
            encoder,
            pairs,
            tmp_path / name,
            teacher=teacher,
            recipe=recipe(epochs=30, dropout=0, learning_rate=3e-3, distillation=10, captioning=0),
            features=features,
        )
        model = CrossModalReranker("m", tmp_path / name, encoder=load_encoder(encoder))
        tokens = model.tokens_of([pair.image for pair in pairs])
        records = [Record(id=str(n), image=pair.image) for n, pair in enumerate(pairs)]
        wanted = Brightness().score("a", None, records)
        found = [
            np.corrcoef(wanted, model.score_tokens(pair.caption, tokens))[0, 1] for pair in pairs
        ]
        agreement[name] = float(np.mean(found))
    assert agreement["taught"] > agreement["alone"] + 0.3


def test_what_cannot_be_trained_on_is_refused(
    tmp_path: Path, encoder: str, pairs: PairDataset
) -> None:
    with pytest.raises(TrainingError, match="1 usable pair"):
        train_reranker(encoder, pairs.select([0]), tmp_path / "out")
    with pytest.raises(ValueError, match="wrong_captions are one list"):
        train_reranker(encoder, pairs, tmp_path / "out", wrong_captions=[["a"]])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(TrainingError, match="no training of a reranker wrote"):
        train_reranker(encoder, pairs, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").exists()
    for changes, said in (
        ({"hard_negatives": 5}, "are drawn from the mined"),
        ({"loss": "itm", "hard_negatives": 0, "random_negatives": 0}, "needs candidates"),
        ({"loss": "hope"}, "loss must be"),
        ({"random_negatives": 4}, "random_negatives would do nothing with infonce"),
        ({"compared": "both", "random_negatives": 0}, "compared and random_negatives would do"),
        ({"validation": 1.0}, "validation must be"),
    ):
        with pytest.raises(ValueError, match=said):
            recipe(**changes)
