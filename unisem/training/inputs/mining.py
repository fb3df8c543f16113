"""`mine_hard_negatives`: for every caption, pictures that a store takes for its own and are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids, PairDataset
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.stores.base import Store
from unisem.stores.selection import Selection
from unisem.training.inputs.collator import PreparedPairs
from unisem.training.loop.evaluator import embed
from unisem.training.recipe import Recipe

_AT_A_TIME = 256  # captions per search


def mine_hard_negatives(
    store: Store,
    dataset: PairDataset,
    captions: Vector,
    *,
    count: int = 3,
    margin: float = 0.05,
    depth: int = 50,
    seed: int = 0,
) -> Ids:
    """Search a store for every caption and keep the best pictures that do not belong to it.

    A picture counts as wrong if it shares neither content nor caption with the pair, and if its
    score is at least ``margin`` of the right picture's below it: what scores higher is, more often
    than not, right as well and only not written down. Where a search finds too few, random wrong
    pictures fill up.

    Source: Moreira et al. 2024, "NV-Retriever", https://arxiv.org/abs/2407.15831, TopK-PercPos with
    95 %. sentence-transformers' ``mine_hard_negatives`` does this for texts, with an index of its
    own; here it is the store that will be searched later.

    Args:
        store: Holds the dataset's pictures: a space's own, or `store_of_images`.
        dataset: Checked pairs.
        captions: ``(n, d)`` unit vectors of the captions, from the store's encoder.
        count: Negatives per pair.
        margin: Share of the right picture's score.
        depth: Hits that are looked at.
        seed: Decides what fills up.

    Returns:
        ``(n, count)`` positions of pairs whose pictures are the negatives.

    Raises:
        TrainingError: The store has none of the pictures, or every pair is every other's positive.
    """
    image_ids, caption_ids = dataset.document_ids, dataset.query_ids
    position_of: dict[str, int] = {}
    for position, pair in enumerate(dataset):
        if pair.image.sha256 is not None:
            position_of.setdefault(pair.image.sha256, position)
    record_of = {
        key: record.id for record in store.select() if (key := _content(record)) in position_of
    }
    if not record_of:
        raise TrainingError(
            "the store has none of the dataset's pictures; add them first, or check the pairs so "
            "that their contents are known"
        )
    own = store.vectors([record_of.get(pair.image.sha256 or "", "") for pair in dataset])
    rng = np.random.default_rng(seed)
    selection = Selection(ids=tuple(record_of.values()))
    chosen = np.empty((len(dataset), count), np.int64)
    for start in range(0, len(dataset), _AT_A_TIME):
        queries = captions[start : start + _AT_A_TIME]
        for offset, hits in enumerate(store.search(queries, depth, selection, "image")):
            row = start + offset
            limit = np.inf
            vectors = own[row]
            if vectors is not None and "image" in vectors:
                score = float(np.max(np.atleast_2d(vectors["image"]) @ queries[offset]))
                limit = score - margin * abs(score)
            wrong = (image_ids != image_ids[row]) & (caption_ids != caption_ids[row])
            found = [position_of[_content(hit.record)] for hit in hits if hit.score <= limit]
            found = [position for position in found if wrong[position]][:count]
            if len(found) < count:
                others = np.setdiff1d(np.flatnonzero(wrong), found)
                if not len(others) and not found:
                    raise TrainingError(
                        f"the pair {dataset[row].caption[:60]!r} has no negative: all pairs share "
                        "its picture or its caption"
                    )
                pool = others if len(others) else np.array(found)
                need = count - len(found)
                found += rng.choice(pool, need, replace=len(pool) < need).tolist()
            chosen[row] = found
    return chosen


def store_of_images(dataset: PairDataset, image_of: Ids, vectors: Vector) -> Store:
    """A store in memory that holds a dataset's distinct pictures.

    Args:
        dataset: Checked pairs.
        image_of: ``(n,)`` the row of each pair's picture in ``vectors``.
        vectors: ``(p, d)`` unit vectors of the pictures.
    """
    from unisem.images.library import ImageLibrary
    from unisem.stores.registry import DEFAULT, kind_named

    store = kind_named(DEFAULT)().open(None, ImageLibrary(None, roots=[Path.cwd()]))
    items: dict[str, EmbeddedRecord] = {}
    for pair, row in zip(dataset, image_of, strict=True):
        name = pair.image.sha256 or pair.image_id
        if name not in items:
            items[name] = EmbeddedRecord(Record(id=name, text=name), {"image": vectors[row]})
    store.add(list(items.values()))
    return store


def _content(record: Record) -> str:
    """The digest of a record's picture; records of `store_of_images` are named by it."""
    if record.image is not None and record.image.sha256 is not None:
        return record.image.sha256
    return record.id


def negatives_of(
    view: Any, pairs: PreparedPairs, dataset: PairDataset, recipe: Recipe
) -> Ids | None:
    """Hard negatives of pairs: those that people told, and the recipe's by the model as it is now.

    Where people told more of one pair than the recipe wants, every pair gets as many, by chance.

    Returns:
        ``(n, h)`` positions of pairs; ``None`` for none.
    """
    position_of: dict[str, int] = {}
    for position, pair in enumerate(dataset):
        position_of.setdefault(pair.image_id, position)
    told = [
        [position_of[one.image_id] for one in p.negatives if one.image_id in position_of]
        for p in dataset
    ]
    most = max(recipe.hard_negatives, *map(len, told)) if told else recipe.hard_negatives
    if not most:
        return None
    count, seed = recipe.hard_negatives, recipe.seed
    mined: Ids = np.zeros((len(dataset), 0), np.int64)
    if count:
        captions = embed(view, pairs.texts, range(len(pairs.texts)))
        images = embed(view, pairs.images, range(len(pairs.images)))
        store = store_of_images(dataset, pairs.image_of, images)
        mined = mine_hard_negatives(store, dataset, captions, count=count, seed=seed)
    return _with_told(mined, told, most, dataset, seed)


def _with_told(
    mined: Ids, told: list[list[int]], most: int, dataset: PairDataset, seed: int
) -> Ids:
    """``(n, most)``: what people told first, then what was mined, then wrong pictures by chance."""
    image_ids, caption_ids = dataset.document_ids, dataset.query_ids
    rng = np.random.default_rng(seed)
    chosen = np.empty((len(dataset), most), np.int64)
    for row, (wrong, found) in enumerate(zip(told, mined.tolist(), strict=True)):
        known = [*wrong, *found][:most]
        if len(known) < most:
            others = np.flatnonzero(
                (image_ids != image_ids[row]) & (caption_ids != caption_ids[row])
            )
            pool = others if len(others) else np.array(known)
            if not len(pool):
                raise TrainingError(
                    f"the pair {dataset[row].caption[:60]!r} has no negative: all pairs share "
                    "its picture or its caption"
                )
            need = most - len(known)
            known += rng.choice(pool, need, replace=len(pool) < need).tolist()
        chosen[row] = known
    return chosen
