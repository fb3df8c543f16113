"""`Typical`: the most typical picture of each group of alike ones."""

from __future__ import annotations

import numpy as np

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool
from unisem.records import Vector

_NEIGHBOURS = 20
_ROUNDS = 20  # of k-means


class Typical(Strategy):
    """The most typical picture of each group without a caption, the largest group first.

    Pictures, labelled ones among them, are put into as many groups as there will be captions
    (spherical k-means). Typical is who is nearest, in the mean, to the twenty nearest of the group.
    Where labels are few this beats uncertainty. Source: Hacohen, Dekel and Weinshall 2022, "Active
    Learning on a Budget" (TypiClust), https://arxiv.org/abs/2202.02794, section 3.
    """

    reason = "typical of many alike without a caption"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        images, labelled = pool.head.images, pool.labelled
        rows = np.concatenate([images, labelled.reshape(-1, images.shape[1])])
        groups = _groups(rows, min(len(labelled) + count, len(rows)), int(rng.integers(1 << 31)))
        captions = np.bincount(groups[len(images) :], minlength=groups.max() + 1)
        order = [
            _by_typicality(images, np.flatnonzero(groups[: len(images)] == group))
            for group in range(len(captions))
        ]
        chosen: list[int] = []
        while len(chosen) < count:
            # Groups with fewest captions, the largest of them first, give one picture each.
            waiting = [group for group in range(len(order)) if len(order[group])]
            fewest = min(captions[group] for group in waiting)
            waiting = [group for group in waiting if captions[group] == fewest]
            waiting.sort(key=lambda group: -len(order[group]))
            for group in waiting[: count - len(chosen)]:
                chosen.append(int(order[group][0]))
                order[group] = order[group][1:]
                captions[group] += 1
        return np.array(chosen, np.int64)


def _groups(rows: Vector, count: int, seed: int) -> Positions:
    """``(n,)`` numbers of the groups that rows are in."""
    import faiss

    if count >= len(rows):
        return np.arange(len(rows), dtype=np.int64)
    means = faiss.Kmeans(
        rows.shape[1],
        count,
        niter=_ROUNDS,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
    )
    rows = np.ascontiguousarray(rows, np.float32)
    means.train(rows)
    found: Positions = means.index.search(rows, 1)[1][:, 0]
    return found


def _by_typicality(images: Vector, members: Positions) -> Positions:
    """The members of a group, the most typical first."""
    if len(members) < 2:
        return members
    cosines = images[members] @ images[members].T
    np.fill_diagonal(cosines, -np.inf)
    near = min(_NEIGHBOURS, len(members) - 1)
    typical = np.partition(cosines, -near, axis=1)[:, -near:].mean(axis=1)
    return members[np.argsort(-typical, kind="stable")]
