"""`Geometry`: where pictures and texts lie in the space, apart or together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector


@dataclass(frozen=True, slots=True)
class Geometry:
    """The modality gap in two figures.

    Attributes:
        centroid_distance: Euclidean distance of the pictures' and the captions' means (Liang et
            al. 2022, "Mind the gap", https://arxiv.org/abs/2203.02053); from 0 to 2.
        separability: Share of held-out vectors whose modality a linear classifier tells: .5 is
            chance, 1 a wall between the modalities. ``None`` if all pairs hang together, so that
            none can be held out.
    """

    centroid_distance: float
    separability: float | None

    @classmethod
    def of(
        cls,
        images: Vector,
        texts: Vector,
        groups: NDArray[Any],
        text_groups: NDArray[Any],
        *,
        seed: int = 0,
    ) -> Geometry:
        """Measure it.

        Args:
            images: ``(n, d)`` pictures.
            texts: ``(m, d)`` captions, embedded as documents.
            groups: ``(n,)`` numbers of the pictures' groups; a group is in one fold as a whole.
            text_groups: ``(m,)`` the same of the captions.
            seed: Decides the folds.
        """
        distance = np.linalg.norm(
            images.mean(axis=0, dtype=np.float64) - texts.mean(axis=0, dtype=np.float64)
        )
        rng = np.random.default_rng(seed)
        size = max(int(groups.max()), int(text_groups.max())) + 1
        fold = rng.permutation(np.arange(size) % 2)
        return cls(float(distance), _separability(images, texts, fold[groups], fold[text_groups]))


def _separability(
    images: Vector, texts: Vector, image_fold: NDArray[Any], text_fold: NDArray[Any]
) -> float | None:
    """Balanced accuracy of a ridge classifier, trained on one fold and asked about the other.

    Both modalities weigh the same, however many there are of each.
    """
    right: list[float] = []
    for held_out in (0, 1):
        seen = images[image_fold != held_out], texts[text_fold != held_out]
        asked = images[image_fold == held_out], texts[text_fold == held_out]
        if not all(map(len, (*seen, *asked))):
            continue
        weights, middle = _classifier(*seen)
        right += [
            float((asked[0] @ weights > middle).mean()),
            float((asked[1] @ weights < middle).mean()),
        ]
    return float(np.mean(right)) if right else None


def _classifier(images: Vector, texts: Vector) -> tuple[NDArray[np.float64], float]:
    """Fisher's discriminant with shrunken covariance: direction and threshold."""
    means = [rows.mean(axis=0, dtype=np.float64) for rows in (images, texts)]
    spreads = [np.cov(rows.astype(np.float64), rowvar=False, bias=True) for rows in (images, texts)]
    within: NDArray[np.float64] = (spreads[0] + spreads[1]) / 2
    ridge = 0.01 * np.trace(within) / len(within) + 1e-9
    weights = np.linalg.solve(within + ridge * np.eye(len(within)), means[0] - means[1])
    return weights, float((means[0] + means[1]) @ weights / 2)
