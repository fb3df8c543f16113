"""A guide's vectors: whose they are, when they are computed, and what is no guide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.networks import save_bert
from tests.training.support import changed
from unisem import load_encoder
from unisem.errors import TrainingError
from unisem.pairs import Input, Pair, PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.inputs.guide import Guide
from unisem.training.losses import Guided, InfoNCE

pytestmark = pytest.mark.usefixtures("one_thread")


def test_its_vectors_lie_at_the_ids_and_are_computed_once(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder: Any = load_encoder(str(tiny))
    backwards = pairs.select(range(len(pairs) - 1, -1, -1))
    told: list[tuple[int, int]] = []
    loss = Guide(encoder, tmp_path).around(InfoNCE(), pairs, lambda *at: told.append(at))
    assert told[-1] == (36, 36)

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("computed again")

    expected = (
        encoder.encode_texts(pairs.captions, role="query")
        @ encoder.encode_images([pair.image for pair in pairs]).T
    )
    monkeypatch.setattr(type(encoder), "encode_texts", never)
    monkeypatch.setattr(type(encoder), "encode_images", never)
    other = Guide(encoder, tmp_path).around(InfoNCE(), backwards)
    for made, order in ((loss, 1), (other, -1)):
        assert isinstance(made, Guided)
        texts, images = (made.get_buffer(name).numpy()[:18] for name in ("_texts", "_images"))
        np.testing.assert_allclose(texts @ images.T, expected[::order, ::order], atol=1e-5)


def test_a_guide_takes_what_the_pairs_are_made_of(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    words = load_encoder(str(save_words(tmp_path / "words")))
    with pytest.raises(TrainingError, match=r"the guide does not take these pairs.*name another"):
        Guide(words, tmp_path / "cache").around(InfoNCE(), pairs)
    both = PairDataset((Pair(Input("a", pairs[0].document.image), pairs[0].document),))
    with pytest.raises(TrainingError, match="not at both in one"):
        Guide(load_encoder(str(tiny)), tmp_path).around(InfoNCE(), both)


def save_words(place: Path) -> Path:
    """An encoder of texts alone."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(save_bert(place / "bert")), device="cpu").save(str(place / "model"))
    return place / "model"


def test_texts_may_be_documents(tiny: Path, tmp_path: Path) -> None:
    encoder = load_encoder(str(tiny))
    words = ["red", "blue tiger", "a word"]
    wrong = (Input("a tiger"), Input("red"))  # the second is a query as well
    pairs = [Pair(Input(word), Input(f"ask {word}"), wrong) for word in words]
    loss = Guide(encoder, tmp_path).around(InfoNCE(), PairDataset(tuple(pairs)))
    shown = [f"ask {word}" for word in words] + ["red", "a tiger"]
    expected = encoder.encode_texts(shown, role="document")
    found = loss.get_buffer("_images").numpy()  # documents, queries, and negatives that are neither
    np.testing.assert_allclose(found[[0, 1, 2, 3, 6]], expected, atol=1e-6)
    assert not found[[4, 5]].any()


def test_a_run_asks_its_guide_and_knows_it_again(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    plain = Recipe(epochs=2, batch_size=9)
    guided = Recipe(epochs=2, batch_size=9, guide=str(tiny))
    said: list[str] = []
    for name, recipe in (("plain", plain), ("guided", guided)):
        train_encoder(
            str(tiny),
            pairs,
            tmp_path / name,
            recipe=recipe,
            features=tmp_path / "f",
            progress=lambda what, done, total: said.append(what),
        )
    assert "asking the guide" in said
    assert changed(tmp_path / "plain", tmp_path / "guided")
    assert [path.name[:6] for path in (tmp_path / "f").glob("guide-*")] == ["guide-"] * 2
    assert torch.get_num_threads() == 1
