"""Two heads from scratch on frozen networks, trained by InfoNCE: encoders with a gap of their own.

A low temperature makes a wide gap (Liang et al. 2022, https://arxiv.org/abs/2203.02053).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.mixed_data import Things
from unisem.records import Vector

DIMENSION = 256
EPOCHS = 30
BATCH = 256
RATE = 1e-3
DECAY = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """A linear layer for texts, and one for pictures' features."""

    text: nn.Linear
    image: nn.Linear

    @classmethod
    def random(cls, things: Things, seed: int) -> Heads:
        """Heads as they are born."""
        torch.manual_seed(seed)
        return cls(
            nn.Linear(things.texts.shape[1], DIMENSION),
            nn.Linear(things.features.shape[1], DIMENSION),
        )

    @classmethod
    def trained(cls, things: Things, temperature: float, seed: int) -> Heads:
        """Heads that tell which question and which text belong to which picture."""
        heads = cls.random(things, seed)
        both = nn.ModuleList([heads.text, heads.image])
        optimizer = torch.optim.AdamW(both.parameters(), lr=RATE, weight_decay=DECAY)
        questions, texts, features = map(
            torch.from_numpy, (things.questions, things.texts, _scaled(things.features))
        )
        order = np.random.default_rng(seed)
        for _ in range(EPOCHS):
            for rows in np.array_split(order.permutation(len(things)), len(things) // BATCH):
                words = torch.where(torch.rand(len(rows), 1) < 0.5, questions[rows], texts[rows])
                said = functional.normalize(heads.text(words), dim=1)
                shown = functional.normalize(heads.image(features[rows]), dim=1)
                likeness = said @ shown.T / temperature
                right = torch.arange(len(rows))
                loss = functional.cross_entropy(likeness, right)
                loss = loss + functional.cross_entropy(likeness.T, right)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return heads

    @torch.no_grad()
    def embed(self, things: Things) -> Things:
        """The same things in the heads' space."""
        return Things(
            _unit(self.text(torch.from_numpy(things.questions))),
            _unit(self.text(torch.from_numpy(things.texts))),
            _unit(self.image(torch.from_numpy(_scaled(things.features)))),
            things.features,
        )


def _scaled(features: Vector) -> Vector:
    scaled: Vector = features / np.linalg.norm(features, axis=1, keepdims=True)
    return scaled


def _unit(rows: torch.Tensor) -> Vector:
    unit: Vector = functional.normalize(rows, dim=1).numpy()
    return unit
