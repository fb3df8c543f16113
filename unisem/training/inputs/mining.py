"""`mine_hard_negatives`: for every query, documents that a store takes for its own and are not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from unisem.errors import TrainingError
from unisem.pairs.dataset import Ids, PairDataset, caption_key
from unisem.pairs.input import Input
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.stores.base import Store
from unisem.stores.selection import Selection
from unisem.training.inputs.prepared import PreparedPairs
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

    A picture counts as wrong if no pair has it for the same caption, if it is not the query itself
    (among pairs of two texts, or of two pictures), and if its score is at least ``margin`` of the
    right picture's below it: what scores higher is, more often than not, right as well and only not
    written down. Where a search finds too few, random wrong pictures fill up.

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
    caption_ids, image_ids = dataset.contents.T
    position_of: dict[str, int] = {}
    for position, pair in enumerate(dataset):
        position_of.setdefault(_name(pair.document), position)
    right: dict[int, list[int]] = {}
    for caption, image in zip(caption_ids.tolist(), image_ids.tolist(), strict=True):
        right.setdefault(caption, []).append(image)
    record_of = {
        key: record.id for record in store.select() if (key := _content(record)) in position_of
    }
    if not record_of:
        raise TrainingError(
            "the store has none of the dataset's pictures; add them first, or check the pairs so "
            "that their contents are known"
        )
    own = store.vectors([record_of.get(_name(pair.document), "") for pair in dataset])
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
            wrong = ~np.isin(image_ids, right[int(caption_ids[row])])
            wrong &= image_ids != caption_ids[row]
            found = [position_of[_content(hit.record)] for hit in hits if hit.score <= limit]
            found = [position for position in found if wrong[position]][:count]
            if len(found) < count:
                others = np.setdiff1d(np.flatnonzero(wrong), found)
                if not len(others) and not found:
                    raise TrainingError(
                        f"the pair {dataset[row].query.name} has no negative: all pairs share "
                        "its document or its query"
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
        name = _name(pair.document)
        if name not in items:
            items[name] = EmbeddedRecord(Record(id=name, text=name), {"image": vectors[row]})
    store.add(list(items.values()))
    return store


def _name(document: Input) -> str:
    """A document by its content: a picture by its digest, another by a digest of its parts."""
    picture = "" if document.image is None else document.image.sha256 or document.image_id or ""
    if document.text is None:
        return picture
    return hashlib.sha256(f"{picture}\0{caption_key(document.text)}".encode()).hexdigest()


def _content(record: Record) -> str:
    """The digest of a record's picture; records of `store_of_images` are named by their content."""
    if record.image is not None and record.image.sha256 is not None:
        return record.image.sha256
    return record.id


def negatives_of(
    view: Any, pairs: PreparedPairs, dataset: PairDataset, recipe: Recipe, epoch: int = 0
) -> Ids | None:
    """The recipe's hard negatives of pairs, mined by the model as it is now, kind by kind.

    The epoch decides, beside the seed, what is taken by chance.

    Returns:
        ``(n, h)`` positions of pairs; ``None`` for none.
    """
    count, margin, seed = recipe.hard_negatives, 1 - recipe.negative_share, recipe.seed + epoch
    if not count:
        return None
    chosen = np.empty((len(dataset), count), np.int64)
    for rows in pairs.kinds.values():
        part = dataset.select(rows)
        queries = embed(view, pairs.inputs, pairs.queries[rows])
        _, first, document_of = np.unique(
            pairs.document_ids[pairs.documents[rows]], return_index=True, return_inverse=True
        )
        documents = embed(view, pairs.inputs, pairs.documents[rows][first])
        store = store_of_images(part, document_of, documents)
        mined = mine_hard_negatives(store, part, queries, count=count, margin=margin, seed=seed)
        chosen[rows] = rows[mined]
    return chosen
