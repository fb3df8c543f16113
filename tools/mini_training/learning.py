"""`train`: symmetric InfoNCE on drawings and on natural features, in one loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tools.mini_training.classes import NaturalFeatures
from tools.mini_training.head import BeliefHead

_SAME_TEXT = 0.85  # cosine above which two texts of a batch are no negatives of each other


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Training pictures by their features.

    Attributes:
        features: ``(n, 5, 1280)``, the views.
        texts: ``(n, 8, 384)``.
        groups: ``(n,)``; equal numbers have the same caption.
        kinds: ``(n,)``, places in `pictures.KINDS`.
    """

    features: np.ndarray
    texts: np.ndarray
    groups: np.ndarray
    kinds: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Pictures:
        return Pictures(self.features[rows], self.texts[rows], self.groups[rows], self.kinds[rows])


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of a training run; the defaults are the ones `mini` was made with.

    Attributes:
        steps: Optimiser steps; the learning rates rise for 20 and fall as a cosine.
        batch: Pictures a step.
        classes: Natural features a step.
        shares: Of a batch: clip art, icons and emoji, flags.
        natural: Weight of the loss on natural features.
        rates: Learning rates of ImageNet's classes in both layers, of the new ones in both.
        to_pictures: Weight of the direction text to picture, the rest being the other's.
        back: Share of the way that ImageNet's classes are moved back after training.
        temperature: What logits are divided by after training: noise made them too sharp.
        scale: Inverse temperature.
        dropout: Of features.
        extra: New classes.
    """

    steps: int = 1000
    batch: int = 384
    classes: int = 384
    shares: tuple[float, float, float] = (0.45, 0.35, 0.2)
    natural: float = 1.5
    rates: tuple[float, float, float, float] = (2e-4, 1e-3, 3e-3, 4e-3)
    to_pictures: float = 0.7
    back: float = 0.9
    temperature: float = 1.28
    scale: float = 20.0
    dropout: float = 0.3
    extra: int = 1000


def info_nce(
    vectors: torch.Tensor, texts: torch.Tensor, groups: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    """InfoNCE in both directions, with false negatives masked.

    ``-1/n sum_i [(1-a) log softmax_j(s v_i t_j) + a log softmax_j(s v_j t_i)]_i`` (van den Oord et
    al. 2018; Radford et al. 2021), where j leaves out other members of i's group and texts nearly
    equal to i's.

    Args:
        vectors: ``(n, d)``, unit.
        texts: ``(n, d)``, unit; row i belongs to picture i.
        groups: ``(n,)``.
        recipe: Gives s and a.
    """
    scores = vectors @ texts.T * recipe.scale
    same = (groups[:, None] == groups[None]) | (texts @ texts.T > _SAME_TEXT)
    same.fill_diagonal_(False)
    scores = scores.masked_fill(same, -1e4)
    target = torch.arange(len(vectors))
    loss = torch.nn.functional.cross_entropy
    to_texts, to_pictures = loss(scores, target), loss(scores.T, target)
    return (1 - recipe.to_pictures) * to_texts + recipe.to_pictures * to_pictures


def train(
    head: BeliefHead,
    pictures: Pictures,
    natural: NaturalFeatures,
    recipe: Recipe,
    *,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
) -> BeliefHead:
    """Train ``head`` in place; the same seed and threads give the same head.

    Args:
        head: From `extended`.
        pictures: What drawings look like.
        natural: What photographs look like.
        recipe: How.
        seed: Of batches, views, texts, noise and dropout.
        progress: Called with each step's number and loss.
    """
    torch_random, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    features, texts = (
        torch.from_numpy(pictures.features),
        torch.from_numpy(pictures.texts),
    )
    groups = torch.from_numpy(pictures.groups)
    known, new = head.known, head.new
    parts = ([known["weight"], known["bias"]], [known["places"]])
    parts += ([new["weight"], new["bias"]], [new["places"]])
    groups_of_rates = [{"params": part, "lr": 0.0} for part in parts]
    optimiser = torch.optim.AdamW(groups_of_rates, weight_decay=0.0)
    weights = sampling_weights(pictures.kinds, recipe.shares)
    view_odds = torch.tensor([0.35, 0.2, 0.15, 0.15, 0.15])
    text_odds = torch.tensor([0.35, *[0.65 / 7] * 7])
    head.train()
    for step in range(recipe.steps):
        factor = min(1, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group, rate in zip(optimiser.param_groups, recipe.rates, strict=True):
            group["lr"] = rate * factor
        count = min(recipe.batch, len(features))
        rows = torch.from_numpy(random.choice(len(features), count, replace=False, p=weights))
        view = torch.multinomial(view_odds, count, replacement=True, generator=torch_random)
        text = torch.multinomial(text_odds, count, replacement=True, generator=torch_random)
        seen = features[rows, view]
        kept = torch.rand(seen.shape, generator=torch_random) > recipe.dropout
        seen = seen * kept / (1 - recipe.dropout)
        loss = info_nce(head(seen), texts[rows, text], groups[rows], recipe)
        looks, names, numbers = natural.draw(recipe.classes, torch_random)
        loss = loss + recipe.natural * info_nce(head(looks), names, numbers, recipe)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if progress is not None:
            progress(step + 1, loss.item())
    return head.eval()


def sampling_weights(kinds: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Odds ``(n,)`` that fill batches with these shares of the kinds that are there."""
    odds = np.zeros(len(kinds))
    for kind, share in enumerate(shares):
        of_kind = kinds == kind
        odds[of_kind] = share / max(1, of_kind.sum())
    return np.asarray(odds / odds.sum())
