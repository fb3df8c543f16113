"""Every loss against its formula: the article's code, the papers' algorithms, and peers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    MultipleNegativesRankingLoss,
    TripletLoss,
)
from torch import Tensor, nn
from torch.nn import functional

from tests.training.losses.support import assert_same, gradients, unit
from unisem.training.losses import (
    InfoNCE,
    PairLabels,
    PairLoss,
    Sigmoid,
    Triplet,
)
from unisem.training.losses.triplet import margin_loss


class ArticleInfoNCE(nn.Module):
    """The article's class: captions in the first half of the rows, pictures in the second."""

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        batch_size = features.shape[0] // 2
        labels = torch.arange(batch_size)
        logits = features[:batch_size] @ features[batch_size:].T / self.temperature
        return functional.cross_entropy(logits, labels)


class ArticleTripletLoss(nn.Module):
    """The article's class: anchor, positive, negative of shape ``(batch, dimension)``."""

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        near = functional.pairwise_distance(anchor, positive)
        far = functional.pairwise_distance(anchor, negative)
        return torch.mean(torch.relu(near - far + self.margin))


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_info_nce_is_the_articles(temperature: float) -> None:
    texts, images = unit(1, 5, 768), unit(2, 5, 768)
    ours = InfoNCE(temperature, directions=("text_to_image",))
    assert_same(
        ours(texts, images, PairLabels.distinct(5)),
        ArticleInfoNCE(temperature)(torch.cat([texts, images])),
        texts,
        images,
    )


def test_symmetric_info_nce_is_clips() -> None:
    # Radford et al. 2021, figure 3.
    texts, images = unit(1), unit(2)
    logits = images @ texts.T * math.exp(math.log(1 / 0.07))
    rows = torch.arange(len(texts))
    clip = functional.cross_entropy(logits, rows) + functional.cross_entropy(logits.T, rows)
    assert_same(InfoNCE()(texts, images, PairLabels.distinct(6)), clip / 2, texts, images)


def test_info_nce_is_sentence_transformers_where_both_can_do_it() -> None:
    texts, images = unit(1), unit(2, 12)  # six pictures, six hard negatives
    peer = MultipleNegativesRankingLoss(None, scale=20.0)  # type: ignore[arg-type]
    ours = InfoNCE(0.05, directions=("text_to_image",))
    assert_same(
        ours(texts, images, PairLabels.distinct(12)),
        peer.compute_loss_from_embeddings([texts, images[:6], images[6:]], None),  # type: ignore
        texts,
        images,
    )


def masked_oracle(
    texts: Tensor, images: Tensor, false: list[tuple[int, int]], tau: float
) -> Tensor:
    """InfoNCE written out term by term, the false negatives left out of the sums."""
    n = len(texts)
    loss = torch.zeros((), dtype=texts.dtype)
    for i in range(n):
        keep = [j for j in range(len(images)) if (i, j) not in false]
        down = sum(torch.exp(texts[i] @ images[j] / tau) for j in keep)
        loss = loss - torch.log(torch.exp(texts[i] @ images[i] / tau) / down)
        keep = [j for j in range(n) if (j, i) not in false]
        down = sum(torch.exp(texts[j] @ images[i] / tau) for j in keep)
        loss = loss - torch.log(torch.exp(texts[i] @ images[i] / tau) / down)
    return loss / (2 * n)


def test_false_negatives_by_picture_and_by_caption_are_left_out() -> None:
    texts, images = unit(1, 4), unit(2, 5)
    # Pairs 0 and 2 share a picture, 1 and 3 a caption; the hard negative 4 is picture 3 again.
    labels = PairLabels(torch.tensor([7, 1, 7, 3, 3]), torch.tensor([0, 5, 2, 5, 9]))
    false = [(0, 2), (2, 0), (1, 3), (3, 1), (3, 4)]
    masked = InfoNCE(0.1)(texts, images, labels)
    assert_same(masked, masked_oracle(texts, images, false, 0.1), texts, images)
    assert masked < InfoNCE(0.1)(texts, images, PairLabels.distinct(5))


def test_false_negatives_by_caption_similarity_are_left_out() -> None:
    texts, images = unit(1, 5), unit(2, 5)
    with torch.no_grad():
        cosines = texts @ texts.T
        threshold = float(cosines[~torch.eye(5, dtype=torch.bool)].topk(4).values[-1])
    false = [(i, j) for i in range(5) for j in range(5) if i != j and cosines[i, j] >= threshold]
    assert len(false) == 4
    masked = InfoNCE(0.1, mask_above=threshold)(texts, images, PairLabels.distinct(5))
    assert_same(masked, masked_oracle(texts, images, false, 0.1), texts, images)


def test_a_learned_temperature_has_the_right_gradient_and_a_limit() -> None:
    texts, images = unit(1), unit(2)
    learned = InfoNCE(0.1, learned=True).double()
    learned(texts, images, PairLabels.distinct(6)).backward()
    step = 1e-4
    sides = []
    for move in (step, -step):
        moved = InfoNCE().double()
        moved.log_scale.data.copy_(learned.log_scale.detach() + move)
        sides.append(moved(texts, images, PairLabels.distinct(6)).detach())
    assert learned.log_scale.grad is not None
    slope = (sides[0] - sides[1]) / (2 * step)
    torch.testing.assert_close(learned.log_scale.grad, slope, rtol=1e-5, atol=1e-5)
    learned.log_scale.data.fill_(10)
    assert learned.temperature == pytest.approx(0.01)
    assert not [p for p in InfoNCE(0.1).parameters() if p.requires_grad]
    # Beyond the limit there is no gradient; the next step brings it back to where there is one.
    learned.on_progress(0.5)
    learned.log_scale.grad = None
    learned(texts.detach(), images.detach(), PairLabels.distinct(6)).backward()
    assert abs(learned.log_scale.grad) > 1e-3  # type: ignore[arg-type]


def test_sigmoid_is_transformers_siglip() -> None:
    from transformers import SiglipConfig, SiglipModel

    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text = tower | {"num_attention_heads": 2, "vocab_size": 20, "max_position_embeddings": 4}
    vision = tower | {"num_attention_heads": 2, "image_size": 8, "patch_size": 4}
    model = SiglipModel(
        SiglipConfig(text_config=text | {"projection_size": 16}, vision_config=vision)
    ).eval()
    torch.manual_seed(0)
    output = model(
        input_ids=torch.randint(0, 20, (5, 4)),
        pixel_values=torch.randn(5, 3, 8, 8),
        return_loss=True,
    )
    ours = Sigmoid(float(model.logit_scale.exp()), float(model.logit_bias))
    texts, images = output.text_embeds.detach(), output.image_embeds.detach()
    torch.testing.assert_close(
        ours(texts, images, PairLabels.distinct(5)), output.loss, rtol=0, atol=1e-5
    )


def test_sigmoid_is_the_papers_algorithm_without_false_negatives() -> None:
    texts, images = unit(1, 4), unit(2, 5)
    labels = PairLabels(torch.tensor([0, 1, 0, 3, 1]), torch.tensor([0, 1, 2, 3, 4]))
    loss = Sigmoid(10, -3)
    expected = torch.zeros((), dtype=torch.float64)
    for i in range(4):
        for j in range(5):
            if (i, j) in [(0, 2), (2, 0), (1, 4)]:
                continue
            sign = 1 if i == j else -1
            expected = expected - functional.logsigmoid(sign * (10 * texts[i] @ images[j] - 3))
    assert_same(loss(texts, images, labels), expected / 4, texts, images)


def test_margin_loss_is_the_articles_and_sentence_transformers() -> None:
    anchor, positive, negative = unit(1, 5, 768), unit(2, 5, 768), unit(3, 5, 768)
    ours = margin_loss(anchor, positive, negative, 1.0)
    assert_same(ours, ArticleTripletLoss(1.0)(anchor, positive, negative), anchor, negative)
    peer = TripletLoss(None, triplet_margin=1.0)  # type: ignore[arg-type]
    theirs = peer.compute_loss_from_embeddings([anchor, positive, negative], None)  # type: ignore
    assert_same(margin_loss(anchor, positive, negative, 1.0), theirs, anchor, positive)


def mined_oracle(texts: Tensor, images: Tensor, labels: PairLabels, mining: str) -> Tensor:
    """The article's loss on triplets chosen by looking at every candidate."""
    n = len(texts)
    matches = labels.matches(n)
    sides = []
    for anchors, positives, candidates, same in (
        (texts, images[:n], images, matches),
        (images[:n], texts, texts, matches[:, :n].T),
    ):
        rows, chosen = [], []
        for i in range(n):
            others = [j for j in range(len(candidates)) if not same[i, j]]
            if not others:
                continue
            distance = {j: float((anchors[i] - candidates[j]).norm()) for j in others}
            pick = min(others, key=distance.__getitem__)
            if mining == "semi-hard":
                own = float((anchors[i] - positives[i]).norm())
                outside = [j for j in others if distance[j] > own]
                pick = (
                    min(outside, key=distance.__getitem__)
                    if outside
                    else max(others, key=distance.__getitem__)
                )
            rows.append(i)
            chosen.append(pick)
        sides.append(ArticleTripletLoss(0.3)(anchors[rows], positives[rows], candidates[chosen]))
    return (sides[0] + sides[1]) / 2


@pytest.mark.parametrize("mining", ["hard", "semi-hard"])
@pytest.mark.parametrize("seed", range(4))
def test_mined_triplets_are_those_of_an_exhaustive_search(mining: Any, seed: int) -> None:
    texts, images = unit(seed, 8), unit(seed + 50, 10)
    generator = torch.Generator().manual_seed(seed)
    labels = PairLabels(
        torch.randint(0, 7, (10,), generator=generator),
        torch.randint(0, 7, (10,), generator=generator),
    )
    ours = Triplet(0.3, mining=mining)(texts, images, labels)
    assert_same(ours, mined_oracle(texts, images, labels, mining), texts, images)


@pytest.mark.parametrize("loss", [Triplet(mining="hard"), Triplet(), InfoNCE(), Sigmoid()])
def test_a_batch_without_negatives_gives_a_finite_loss(loss: PairLoss) -> None:
    texts, images = unit(1, 3), unit(2, 3)
    same = torch.zeros(3, dtype=torch.int64)
    value = loss(texts, images, PairLabels(same, same))
    assert isinstance(value, Tensor)
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients(value, texts, images))
