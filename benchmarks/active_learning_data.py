"""The pictures that `benchmarks.active_learning` may ask about, and those that are looked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.clip_art_pairs import as_dataset
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import Pairs, load_split
from unisem.pairs import PairDataset


def parts(library: Path, size: int, asked: int, work: Path) -> tuple[PairDataset, PairDataset]:
    """Pictures that may be asked about, and those of the held-out part that repeat none of them.

    Args:
        library: The folder with ``png`` and ``svg`` in it.
        size: How many captions of the training part, with their pictures, are drawn.
        asked: How many captions of the held-out part, at most.
        work: For what is found out once.
    """
    training, held_out = load_split(library)
    pool, held_out = _drawn(training, size), _drawn(held_out, asked)
    kept = work / f"strict-{size}-{asked}.json"
    if not kept.exists():
        strict, _, _ = without_near_duplicates(held_out, pool)
        work.mkdir(parents=True, exist_ok=True)
        found = [list(map(str, strict.pictures)), strict.captions, strict.relevant]
        kept.write_text(json.dumps(found), encoding="utf-8")
    pictures, captions, relevant = json.loads(kept.read_text(encoding="utf-8"))
    strict = Pairs(captions, list(map(Path, pictures)), relevant)
    return as_dataset(pool, library, work), as_dataset(strict, library, work)


def _drawn(pairs: Pairs, size: int) -> Pairs:
    """So many captions, always the same, with their pictures."""
    captions = np.random.RandomState(1).permutation(len(pairs.captions))[:size].tolist()
    pictures: list[Path] = []
    relevant: list[list[int]] = []
    for caption in captions:
        owned = [pairs.pictures[picture] for picture in pairs.relevant[caption]]
        relevant.append(list(range(len(pictures), len(pictures) + len(owned))))
        pictures += owned
    return Pairs([pairs.captions[caption] for caption in captions], pictures, relevant)
