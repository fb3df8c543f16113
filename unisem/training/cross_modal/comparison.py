"""`compare_rankings`: what reranking an encoder's first hits does to held-out pairs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unisem.evaluation.ranking import Ranking
from unisem.records import Vector
from unisem.rerank.cross_modal.model import CrossModalTransformer
from unisem.training.cross_modal.inputs import CrossModalInputs
from unisem.training.cross_modal.report import Reranked

_AT_ONCE = 256  # pictures


def compare_rankings(
    network: CrossModalTransformer,
    inputs: CrossModalInputs,
    captions: Vector,
    images: Vector,
    depth: int,
) -> Reranked:
    """Rank all distinct pictures for each distinct caption, by the encoder and then reranked.

    Relevant to a caption is every picture that it, or an equal caption, is paired with. What the
    encoder did not put among its first hits stays behind them, in its order.

    Args:
        network: Judges, from tokens in float16 as they are stored.
        inputs: The pairs.
        captions: ``(n, d)`` the encoder's vectors of each pair's caption.
        images: ``(m, d)`` its vectors of the distinct pictures.
        depth: How many of the encoder's hits are reranked.
    """
    network.eval()
    distinct, first = np.unique(inputs.caption_ids, return_index=True)
    row = {int(caption): number for number, caption in enumerate(distinct)}
    relevant: list[set[int]] = [set() for _ in distinct]
    for image, caption in zip(inputs.image_of, inputs.caption_ids, strict=True):
        relevant[row[int(caption)]].add(int(image))
    wanted = [sorted(found) for found in relevant]
    cosines = captions[first] @ images.T  # (q, m)
    order = np.argsort(-cosines, axis=1, kind="stable")  # (q, m)
    tokens = _tokens(network, inputs, len(images))
    with torch.inference_mode():
        for query, position in enumerate(first):
            hits = order[query, :depth]
            words, present = inputs.texts.padded(inputs.text_of[[position]])
            asked, there = (each.expand(len(hits), *each.shape) for each in (words, present))
            scores = network.match(asked, there, tokens[torch.from_numpy(hits)])[:, 0].numpy()
            order[query, :depth] = hits[np.argsort(-scores, kind="stable")]
    reranked = np.empty(cosines.shape, np.float32)
    np.put_along_axis(reranked, order, -np.arange(len(images), dtype=np.float32)[None], 1)
    groups = np.array([min(found) for found in relevant], np.int64)
    return Reranked(Ranking.of(cosines, wanted), Ranking.of(reranked, wanted), groups)


def _tokens(network: CrossModalTransformer, inputs: CrossModalInputs, count: int) -> Tensor:
    """Tokens of pictures as they are stored, ``(m, t, w)``."""
    rows = np.arange(count)
    parts = np.array_split(rows, max(1, count // _AT_ONCE))
    with torch.inference_mode():
        made = [network.tokens(inputs.features(part)).half().float() for part in parts]
    return torch.cat(made)
