"""hit@k of a model on pairs, before, during and after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.util import batch_to_device

from unisem.evaluation import Ranking
from unisem.pairs.dataset import Ids
from unisem.records import Vector
from unisem.training.inputs.collator import PreparedPairs
from unisem.training.inputs.columns import Column
from unisem.training.inputs.prefetching import made_ahead

_BATCH = 32
_SCORES_AT_ONCE = 8_000_000  # 64 MB in float64


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """Both directions: captions that look for their pictures, pictures for their captions.

    Attributes:
        text_to_image: One query per distinct caption.
        image_to_text: One query per distinct picture.
        caption_groups: ``(captions,)`` the first picture of each: what succeeds and fails together.
    """

    text_to_image: Ranking
    image_to_text: Ranking
    caption_groups: Ids


def rank_pairs(model: Any, pairs: PreparedPairs) -> Rankings:
    """Rank all distinct pictures for each distinct caption, and the other way round.

    Relevant to a caption is every picture that it, or an equal caption, is paired with. Captions
    are what a `TextColumn` makes of them, queries, in both directions.

    Args:
        model: A ``SentenceTransformer`` or a view of one, for the columns' features.
        pairs: The pairs.
    """
    captions, first = np.unique(pairs.caption_ids, return_index=True)
    texts = embed(model, pairs.texts, [int(position) for position in first])
    images = embed(model, pairs.images, range(len(pairs.images)))
    relevant: list[set[int]] = [set() for _ in captions]
    described: list[set[int]] = [set() for _ in range(len(images))]
    row = {int(caption): number for number, caption in enumerate(captions)}
    for image, caption in zip(pairs.image_of, pairs.caption_ids, strict=True):
        relevant[row[int(caption)]].add(int(image))
        described[int(image)].add(row[int(caption)])
    return Rankings(
        _ranked(texts, images, relevant),
        _ranked(images, texts, described),
        np.array([min(found) for found in relevant], np.int64),
    )


def _ranked(queries: Vector, candidates: Vector, relevant: Sequence[set[int]]) -> Ranking:
    """Rank block by block; equal vectors tie, as in `unisem.evaluation.answers.Answers`."""
    documents = candidates.astype(np.float64).T
    step = max(1, _SCORES_AT_ONCE // len(candidates))
    parts = []
    for start in range(0, len(queries), step):
        cosines = queries[start : start + step].astype(np.float64) @ documents
        wanted = [sorted(found) for found in relevant[start : start + step]]
        parts.append(Ranking.of(cosines.astype(np.float32), wanted))
    return Ranking.joined(parts)


def embed(model: Any, column: Column, positions: Any) -> Vector:
    """``(n, d)`` float32 unit vectors of a column's inputs."""
    positions = list(positions)
    was_training = model.training
    model.eval()
    rows = []
    batches = [positions[start : start + _BATCH] for start in range(0, len(positions), _BATCH)]
    with torch.inference_mode():
        for made in made_ahead(column.features, batches):
            features = batch_to_device(made, model.device)
            vectors = model(features)["sentence_embedding"].float()
            rows.append(torch.nn.functional.normalize(vectors, dim=1).cpu().numpy())
    model.train(was_training)
    return np.concatenate(rows)


class HitEvaluator(BaseEvaluator):  # type: ignore[misc]
    """hit@k from caption to picture, for early stopping.

    Args:
        pairs: Pairs that are not trained on.
        k: How far down counts.
    """

    def __init__(self, pairs: PreparedPairs, k: int) -> None:
        super().__init__()
        self._pairs = pairs
        self._k = k
        self.primary_metric = f"hit@{k}"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate; ``hit@k`` and ``mrr``."""
        ranking = rank_pairs(model, self._pairs).text_to_image
        return {
            self.primary_metric: float(ranking.hit(self._k).mean()),
            "mrr": float(ranking.reciprocal_rank().mean()),
        }
