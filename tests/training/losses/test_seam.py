"""What goes around a loss: Matryoshka, schedules, precision, and settings that mean nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor, nn

from tests.training.losses.support import assert_same, unit
from unisem.training.losses import (
    EmbeddingLoss,
    InfoNCE,
    Matryoshka,
    PairLabels,
    PairLoss,
    Sigmoid,
    Triplet,
)


class Given(nn.Module):
    """A model whose features are its vectors; as much as `MatryoshkaLoss` looks at."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return dict(features)

    def get_embedding_dimension(self) -> int:
        return 8


def test_matryoshka_is_sentence_transformers() -> None:
    texts, images = unit(1), unit(2)
    features = [{"sentence_embedding": texts}, {"sentence_embedding": images}]
    model: Any = Given()
    inner = MultipleNegativesRankingLoss(
        model, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    theirs = MatryoshkaLoss(model, inner, [8, 4, 2], [1, 2, 0.5])
    ours = EmbeddingLoss(model, Matryoshka(InfoNCE(0.05), [8, 4, 2], [1, 2, 0.5]))
    labels = torch.arange(6)[:, None].expand(6, 2)
    assert_same(ours(features, labels), theirs(features, None), texts, images)


def test_an_inner_losses_schedule_and_parameters_are_reached() -> None:
    shares: list[float] = []
    own = nn.Parameter(torch.ones(1))
    inner = InfoNCE()
    inner.on_progress = shares.append  # type: ignore[method-assign]
    inner.own_parameters = lambda: iter([own])  # type: ignore[method-assign]
    outer = Matryoshka(inner, [4])
    outer.on_progress(0.5)
    assert shares == [0.5]
    assert list(outer.own_parameters()) == [own]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: InfoNCE(0), "temperature must be above 0"),
        (lambda: InfoNCE(directions=()), "directions"),
        (lambda: Sigmoid(0), "scale must be above 0"),
        (lambda: Triplet(0), "margin must be above 0"),
        (lambda: Triplet(mining="easy"), "mining must be"),  # type: ignore[arg-type]
        (lambda: Matryoshka(InfoNCE(), []), "dimensions must be positive"),
        (lambda: Matryoshka(InfoNCE(), [4], [1, 2]), "2 weights for 1 dimensions"),
        (
            lambda: Matryoshka(InfoNCE(), [9])(unit(1), unit(2), PairLabels.distinct(6)),
            "have 8 numbers",
        ),
    ],
)
def test_nonsense_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_half_precision_vectors_are_compared_in_float32() -> None:
    seen: list[SimpleNamespace] = []

    class Watch(PairLoss):
        def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
            product = texts @ images.T
            seen.append(SimpleNamespace(inputs=texts.dtype, product=product.dtype))
            return product.sum()

    half = [{"sentence_embedding": unit(1).to(torch.bfloat16)}] * 2
    with torch.autocast("cpu", torch.bfloat16):
        EmbeddingLoss(Given(), Watch())(half, torch.zeros(6, 2, dtype=torch.int64))
    assert seen == [SimpleNamespace(inputs=torch.float32, product=torch.float32)]
