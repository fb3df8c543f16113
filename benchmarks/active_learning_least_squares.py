"""Which pictures are worth a caption, with a head that is fitted in closed form.

    python -m benchmarks.active_learning_least_squares [--base build/mini-base] [--library DIR]
        [--work DIR] [--pool 2500] [--asked 1000] [--seeds 5]

As `benchmarks.active_learning`, whose stored features it reads, at a small part of the cost: the
head is `mini-base`'s and, added to its vectors, a ridge regression from the frozen network's
outputs to what they lack of the captions' vectors. Nothing is left to chance but what strategies
draw.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from benchmarks.active_learning_data import parts
from benchmarks.active_learning_runs import BUDGETS, K, Run, write
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.captioners.tags import VOCABULARY, read_vocabulary
from unisem.evaluation.ranking import Ranking
from unisem.pairs import PairDataset
from unisem.pairs.labelling.strategies import STRATEGIES, Head, Pool, load_strategy
from unisem.records import Vector

RIDGE = 0.5  # of unit features' Gram matrix


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One part's pictures and captions, as the frozen networks see them, pair by pair.

    Attributes:
        features: ``(n, 1280)`` float32 of length 1, about their mean in the pool.
        before: ``(n, 384)`` float32 unit vectors of the pictures, by `mini-base`.
        captions: ``(n, 384)`` float32 unit vectors.
        pairs: The pairs.
    """

    features: Vector
    before: Vector
    captions: Vector
    pairs: PairDataset


def main() -> None:
    """Run every strategy with every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=Path("build/mini-base"))
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--work", type=Path, default=Path("build/active-learning"))
    parser.add_argument("--strategies", default=",".join(STRATEGIES), metavar="NAME,NAME …")
    parser.add_argument("--pool", type=int, default=2500, help="captions of the training part")
    parser.add_argument("--asked", type=int, default=1000, help="captions of the held-out part")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ridge", type=float, default=RIDGE)
    parser.add_argument("--docs", type=Path, default=Path("docs/measured"))
    options = parser.parse_args()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        datasets = parts(library, options.pool, options.asked, options.work)
    pool, asked = sides(options.base, options.work, *datasets)
    names = [f"a picture of a {tag}" for tag in read_vocabulary(VOCABULARY)]
    tags = load_encoder("mini").encode_texts(names, role="query")  # its text tower is mini-base's
    runs = [
        run(name, seed, pool, asked, tags, options.ridge)
        for seed in range(options.seeds)
        for name in options.strategies.split(",")
    ]
    write(hits(asked.before, asked), runs, options.docs)


def run(name: str, seed: int, pool: Side, asked: Side, tags: Vector, ridge: float) -> Run:
    """One strategy with one seed, budget by budget."""
    strategy = load_strategy(name)
    chosen = np.zeros(0, np.int64)
    images = pool.before
    found: list[list[float]] = []
    seconds: list[float] = []
    for budget in (it for it in BUDGETS if it <= len(pool.pairs)):
        began = time.perf_counter()
        left = np.setdiff1d(np.arange(len(pool.pairs)), chosen)
        before = (Head(pool.before[left], tags),)
        seen = Pool(Head(images[left], tags), images[chosen], before)
        new = strategy.choose(seen, budget - len(chosen), seed * 1000 + budget)
        chosen = np.concatenate([chosen, left[new]])
        seconds.append(time.perf_counter() - began)
        lacking = pool.captions[chosen] - pool.before[chosen]
        known = pool.features[chosen]
        gram = known @ known.T + ridge * np.eye(len(known), dtype=np.float32)
        solved = np.linalg.solve(gram, lacking)
        images = _unit(pool.before + pool.features @ known.T @ solved)
        shown = _unit(asked.before + asked.features @ known.T @ solved)
        found.append(hits(shown, asked))
    return Run(name, seed, found, seconds)


def hits(images: Vector, asked: Side) -> list[float]:
    """For each distinct caption, 1 if a picture of it is among the first ten, else 0."""
    ids, first = np.unique(asked.pairs.query_ids, return_index=True)
    _, kept = np.unique(asked.pairs.document_ids, return_index=True)
    owners = asked.pairs.query_ids[kept]
    relevant = [np.flatnonzero(owners == caption).tolist() for caption in ids]
    ranking = Ranking.of(asked.captions[first] @ images[kept].T, relevant)
    values: list[float] = ranking.hit(K).tolist()
    return values


def sides(base: Path, work: Path, *datasets: PairDataset) -> list[Side]:
    """What `benchmarks.active_learning` has stored of each part."""
    (images,), (texts,) = (list(work.glob(f"*-{kind}")) for kind in ("image-1", "text-2"))
    pictures = [_stored(images, [pair.image.sha256 or "" for pair in it]) for it in datasets]
    captions = [
        _stored(texts, [hashlib.sha256(text.encode()).hexdigest() for text in it.captions])
        for it in datasets
    ]
    one, two = (load_file(base / f"image_{n}_Dense" / "model.safetensors") for n in (1, 2))
    mean = _unit(pictures[0]).mean(axis=0)
    found = []
    for dataset, raw, words in zip(datasets, pictures, captions, strict=True):
        logits = raw @ one["linear.weight"].astype(np.float32).T + one["linear.bias"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        beliefs = powers / powers.sum(axis=1, keepdims=True)
        before = _unit(beliefs @ two["linear.weight"].astype(np.float32).T)
        found.append(Side(_unit(_unit(raw) - mean), before, _unit(words), dataset))
    return found


def _stored(folder: Path, digests: Sequence[str]) -> Vector:
    rows: dict[str, Vector] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), framework="numpy") as file:
            rows |= zip(
                json.loads(file.metadata()["digests"]), file.get_tensor("features"), strict=True
            )
    return np.array([rows[digest] for digest in digests], np.float32)


def _unit(rows: NDArray[np.floating]) -> Vector:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    main()
