"""`Guided` against GIST's written formula, and against sentence-transformers."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import GISTEmbedLoss
from torch import Tensor, nn

from tests.training.losses.support import assert_same, unit
from unisem.training.losses import (
    CachedLoss,
    EmbeddingLoss,
    Guided,
    InfoNCE,
    Matryoshka,
    PairLabels,
    Sigmoid,
    Triplet,
)

ROWS, SHOWN = 6, 9  # captions; pictures, of which three are hard negatives


def guide_vectors() -> tuple[Tensor, Tensor]:
    """Of a guide that finds some strangers alike, and not all pairs."""
    texts, images = unit(11, SHOWN).detach(), unit(12, SHOWN).detach()
    return texts, nn.functional.normalize(images + 0.7 * texts, dim=1)


def written_out(texts: Tensor, images: Tensor, temperature: float) -> Tensor:
    """The formula, pair by pair."""
    asked, shown = guide_vectors()
    guide = asked[: len(texts)] @ shown.T
    parts = []
    for i, text in enumerate(texts):
        kept = [j for j in range(len(images)) if j == i or guide[i, j] <= guide[i, i]]
        scores = torch.stack([text @ images[j] for j in kept]) / temperature
        parts.append(scores.logsumexp(0) - text @ images[i] / temperature)
    for j in range(len(texts)):
        kept = [i for i in range(len(texts)) if i == j or guide[i, j] <= guide[j, j]]
        scores = torch.stack([texts[i] @ images[j] for i in kept]) / temperature
        parts.append(scores.logsumexp(0) - texts[j] @ images[j] / temperature)
    return torch.stack(parts).mean()


def test_guided_info_nce_is_the_written_formula() -> None:
    texts, images = unit(1, ROWS), unit(2, SHOWN)
    ours = Guided(InfoNCE(0.1), *guide_vectors())
    labels = PairLabels.distinct(SHOWN)
    assert_same(ours(texts, images, labels), written_out(texts, images, 0.1), texts, images)
    plain = InfoNCE(0.1)(texts, images, labels)
    assert (ours(texts, images, labels) - plain).abs() > 0.01  # something was passed over


class Given(nn.Module):
    """A model that gives a vector after the other, in the order of the columns."""

    def __init__(self, *columns: Tensor) -> None:
        super().__init__()
        self._columns, self._calls = columns, count()
        self.tokenizer = None

    def forward(self, features: dict[str, Any]) -> dict[str, Tensor]:
        return {"sentence_embedding": self._columns[features["column"]]}


def gist(model: nn.Module, guide: nn.Module, temperature: float) -> GISTEmbedLoss:
    """The peer, whose constructor wants tokenizers."""
    peer = GISTEmbedLoss.__new__(GISTEmbedLoss)
    nn.Module.__init__(peer)
    peer.model, peer.guide, peer.temperature = model, guide, temperature
    peer.similarity_fct = nn.CosineSimilarity(dim=-1)
    peer.must_retokenize = peer.contrast_anchors = peer.contrast_positives = False
    peer.gather_across_devices, peer.margin_strategy, peer.margin = False, "absolute", 0.0
    peer.cross_entropy_loss = nn.CrossEntropyLoss()
    return peer


@pytest.mark.parametrize("negatives", [False, True])
def test_one_way_it_is_sentence_transformers(negatives: bool) -> None:
    """Two columns of texts, or three, as GISTEmbed is for."""
    asked, shown = guide_vectors()
    anchors, documents = unit(1, ROWS), unit(2, 2 * ROWS)
    more = torch.cat([shown[:ROWS], shown[:ROWS].flip(0)])  # the guide's vectors of negatives
    columns = [anchors, documents[:ROWS], documents[ROWS:]]
    told = [asked[:ROWS], more[:ROWS], more[ROWS:]]
    used = 3 if negatives else 2
    peer = gist(Given(*columns), Given(*told), 0.05)
    theirs = peer([{"column": number} for number in range(used)], torch.zeros(0))
    ours = Guided(InfoNCE(0.05, directions=("text_to_image",)), asked, more)
    rows = ROWS * (used - 1)
    labels = PairLabels(
        torch.arange(rows), torch.arange(rows) % ROWS + torch.arange(rows) // ROWS * 99
    )
    assert_same(ours(anchors, documents[:rows], labels), theirs, anchors, documents)


def test_a_triplet_takes_no_negative_that_the_guide_refuses() -> None:
    texts, images = unit(1, 3), unit(2, 3)
    # Caption 0 is as near to picture 1 as can be; the guide says that it shows what 0 shows.
    images = torch.stack([images[0], texts[0].detach(), images[2]])
    shown = torch.eye(3)
    shown[1] = torch.tensor([1.0, 0.5, 0.0])
    asked = torch.tensor([[0.9, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    guided = Guided(Triplet(mining="hard"), asked, shown)
    labels = PairLabels.distinct(3)
    matches = labels._replace(guide=asked @ nn.functional.normalize(shown, dim=1).T).matches(3)
    assert matches.tolist() == [[True, True, False], [False, True, False], [False, False, True]]
    assert guided(texts, images, labels) < Triplet(mining="hard")(texts, images, labels)


def test_a_sigmoid_passes_over_what_either_side_refuses() -> None:
    texts, images = unit(1, ROWS), unit(2, SHOWN)
    asked, shown = guide_vectors()
    guide = asked[:ROWS] @ shown.T
    own = guide.diagonal()
    loss = Sigmoid(5.0, -2.0)
    expected = torch.zeros(())
    for i in range(ROWS):
        for j in range(SHOWN):
            refused = guide[i, j] > own[i] or (j < ROWS and guide[i, j] > own[j])
            if i == j or not refused:
                logit = (1 if i == j else -1) * (5 * texts[i] @ images[j] - 2)
                expected = expected - nn.functional.logsigmoid(logit) / ROWS
    ours = Guided(loss, asked, shown)(texts, images, PairLabels.distinct(SHOWN))
    assert_same(ours, expected, texts, images)


def test_it_goes_around_other_losses_and_cached_gradients() -> None:
    """Every length of a Matryoshka is guided; parts of a batch give what the batch gives."""
    asked, shown = (vectors.float() for vectors in guide_vectors())
    labels = torch.arange(ROWS)[:, None].repeat(1, 2)
    found = []
    for mini_batch in (None, 2):
        torch.manual_seed(0)
        model = Linear()
        loss = Guided(Matryoshka(InfoNCE(0.1, learned=True), [8, 4]), asked, shown)
        wrapped = (
            EmbeddingLoss(model, loss)
            if mini_batch is None
            else CachedLoss(model, loss, mini_batch_size=mini_batch)
        )
        features = [{"x": unit(seed, ROWS).detach().float()} for seed in (1, 2)]
        value = wrapped(features, labels)
        value.backward()
        found.append([value.detach(), *(p.grad for p in wrapped.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert not [name for name in loss.state_dict() if "_texts" in name or "_images" in name]


class Linear(nn.Module):
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": self.layer(features["x"])}


def test_vectors_of_two_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="two matrices of one width"):
        Guided(InfoNCE(), torch.eye(3), torch.eye(4))
