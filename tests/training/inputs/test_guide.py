"""A guide's vectors: whose they are, when they are computed, and what is no guide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.support import changed
from unisem import load_encoder
from unisem.errors import TrainingError
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.inputs.guide import Guide
from unisem.training.losses import Guided, InfoNCE

pytestmark = pytest.mark.usefixtures("one_thread")


def test_its_vectors_lie_at_the_ids_and_are_computed_once(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(str(tiny))
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
        texts, images = (made.get_buffer(name).numpy() for name in ("_texts", "_images"))
        np.testing.assert_allclose(texts @ images.T, expected[::order, ::order], atol=1e-5)


class OnlyTexts:
    """An encoder of texts, as far as a guide asks."""

    def require(self, modality: str) -> None:
        from unisem.errors import EncoderError

        if modality == "image":
            raise EncoderError("the encoder 'words' takes no pictures")

    def encode_texts(self, texts: Sequence[str]) -> None:
        raise AssertionError("asked")


def test_an_encoder_of_one_modality_is_no_guide(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"'words' takes no pictures; name another guide"):
        Guide(OnlyTexts(), tmp_path)  # type: ignore[arg-type]


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
    assert [path.name[:6] for path in (tmp_path / "f").glob("guide-*")] == ["guide-", "guide-"]
    assert torch.get_num_threads() == 1
