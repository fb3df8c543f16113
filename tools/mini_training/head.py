"""`BeliefHead`: ConSE with learned classes, in two stock layers.

The start model's head is ``Dense(1280 -> 1000, softmax)``, a belief over ImageNet's classes, and
``Dense(1000 -> 384)``, the text vector of each. The trained head has the same two layers with more
rows: K further classes, each born from one training picture, whose row in the first layer answers
to features like that picture's and whose column in the second is that picture's text vector
(a key-value cache, as in Zhang et al. 2022, "Tip-Adapter", https://arxiv.org/abs/2111.03930). All
rows are then trained. The softmax is the gate between old and new skills: on a photograph the
classes of ImageNet are certain and take the mass, on a drawing they are not and leave it to the
new ones. So one output serves both, and no layer is needed that sentence-transformers lacks. A
residual head beside the old one would need a sum of two normalised branches, which a chain of
``Dense`` layers cannot express.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

CLASSES = 1000
Vectors = np.ndarray


class BeliefHead(nn.Module):
    """Features ``(n, 1280)`` to unit vectors ``(n, 384)``: softmax over classes, mean of vectors.

    The first 1,000 classes are ImageNet's and are kept apart from the new ones, since they are
    trained more slowly.

    Args:
        weight: ``(c, 1280)`` of the first layer.
        bias: ``(c,)``.
        places: ``(c, 384)``, where each class lies in the text space.
    """

    def __init__(self, weight: Vectors, bias: Vectors, places: Vectors) -> None:
        super().__init__()
        rows = {"weight": weight, "bias": bias, "places": places}
        tensors = {key: torch.as_tensor(value, dtype=torch.float32) for key, value in rows.items()}
        self.known = nn.ParameterDict({k: v[:CLASSES].clone() for k, v in tensors.items()})
        self.new = nn.ParameterDict({k: v[CLASSES:].clone() for k, v in tensors.items()})

    def whole(self, key: str) -> torch.Tensor:
        """``weight``, ``bias`` or ``places`` of all classes."""
        return torch.cat([self.known[key], self.new[key]])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Products in bfloat16 while training (four times faster on new processors)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            logits = features @ self.whole("weight").T
        belief = torch.softmax(logits.float() + self.whole("bias"), dim=-1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            placed = belief @ self.whole("places")
        return nn.functional.normalize(placed.float(), dim=-1)

    @torch.no_grad()
    def encode(self, features: Vectors) -> Vectors:
        """Unit vectors in float32, for evaluation."""
        was_training = self.training
        self.eval()
        vectors = self(torch.from_numpy(np.ascontiguousarray(features, np.float32))).numpy()
        self.train(was_training)
        return np.asarray(vectors)


def extended(
    start: BeliefHead,
    places: Vectors,
    features: Vectors,
    texts: Vectors,
    *,
    extra: int,
    seed: int,
    sharpness: float = 2.0,
    prior: float = 6.0,
) -> BeliefHead:
    """The start head with new places for its classes and ``extra`` classes from pictures.

    Args:
        start: The head of 1,000 classes.
        places: ``(1000, 384)``.
        features: ``(n, v, 1280)``: pictures in several views.
        texts: ``(n, 384)``.
        extra: How many pictures become classes, drawn at random.
        seed: Of that draw.
        sharpness: Length of a new row, in units in which features have unit variance.
        prior: Bias of the new rows; the larger, the more mass they take.
    """
    random = np.random.default_rng(seed)
    mean, spread = features[:, 0].mean(0), features[:, 0].std(0) + 0.05
    chosen = random.choice(len(features), extra, replace=len(features) < extra)
    view = random.integers(0, features.shape[1], extra)
    keys = (features[chosen, view] - mean) / spread
    keys *= 6 * sharpness / (np.linalg.norm(keys, axis=1, keepdims=True) * np.sqrt(keys.shape[1]))
    rows = keys / spread
    return BeliefHead(
        np.concatenate([start.whole("weight").detach().numpy(), rows]),
        np.concatenate([start.whole("bias").detach().numpy(), prior - rows @ mean]),
        np.concatenate([places, texts[chosen]]),
    )


@torch.no_grad()
def towards_start(head: BeliefHead, start: BeliefHead, places: Vectors, share: float) -> BeliefHead:
    """The head with ImageNet's classes moved back by ``share`` of the way they went.

    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), for the rows that
    photographs need; the new classes stay where they are.

    Args:
        head: Trained.
        start: The start model's head.
        places: ``(1000, 384)`` where training started in the second layer.
        share: 0 leaves the head as it is, 1 undoes all.
    """
    before = {
        "weight": start.known["weight"],
        "bias": start.known["bias"],
        "places": torch.from_numpy(places),
    }
    rows = {
        key: torch.cat([(1 - share) * head.known[key] + share * before[key], head.new[key]])
        for key in before
    }
    return BeliefHead(**{key: value.numpy() for key, value in rows.items()}).eval()


@torch.no_grad()
def softened(head: BeliefHead, temperature: float) -> BeliefHead:
    """The head with its logits divided by ``temperature``, which folds into the first layer."""
    weight, bias = head.whole("weight") / temperature, head.whole("bias") / temperature
    return BeliefHead(weight.numpy(), bias.numpy(), head.whole("places").numpy()).eval()


@torch.no_grad()
def average(heads: list[BeliefHead]) -> BeliefHead:
    """The mean of heads trained from one start (Wortsman et al. 2022, "Model soups")."""

    def mean(key: str) -> Vectors:
        return np.asarray(torch.stack([head.whole(key) for head in heads]).mean(0).numpy())

    return BeliefHead(mean("weight"), mean("bias"), mean("places")).eval()
