"""Retrieval figures of an encoder on the held-out part of the Open Clip Art Library.

    python -m benchmarks.retrieval [--encoder mini] [--library DIR]

Pictures are compared by their pixels alone: no caption is indexed with them. See
`benchmarks.open_clip_art` for the set. The first row leaves out pictures that nearly repeat one of
the training part or another of their own (`benchmarks.near_duplicates`); the second asks those for
all but flags, which look much alike. The last two have everything. Without ``--library`` the two
Debian packages are fetched with ``apt-get download`` (156 MB).
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import load_split
from tools.open_clip_art import fetched_library
from unisem import Encoder, load_encoder
from unisem.errors import ImageError
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.records import Vector


def main() -> None:
    """Encode the held-out part, rank, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    console = Console()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        training, pairs = load_split(library)
        strict, captions, pictures = without_near_duplicates(pairs, training)
        texts = encoder.encode_texts(pairs.captions, role="query").astype(np.float64)
        images = np.stack(
            [encode(encoder, path, console) for path in track(pairs.pictures, "encoding pictures")]
        ).astype(np.float64)
    table = Table("direction", "queries", "candidates", "hit@1", "hit@5", "hit@10", "MRR")
    stricter = scores(texts[captions], images[pictures])
    to_others = Ranking.of(stricter, strict.relevant)
    add_row(table, "text to picture, no near duplicates", to_others, len(pictures))
    asked = [row for row, caption in enumerate(strict.captions) if "flag" not in caption.lower()]
    to_others = Ranking.of(stricter[asked], [strict.relevant[row] for row in asked])
    add_row(table, "… and not asked for flags", to_others, len(pictures))
    to_images = Ranking.of(scores(texts, images), pairs.relevant)
    add_row(table, "text to picture, all", to_images, len(images))
    to_texts = Ranking.of(scores(images, texts), pairs.captions_of_pictures)
    add_row(table, "picture to text, all", to_texts, len(texts))
    console.print(f"encoder {options.encoder} ({encoder.fingerprint[:12]}), 95 % intervals")
    console.print(table)


def encode(encoder: Encoder, path: Path, console: Console) -> Vector:
    """One picture's vector; not-a-number for one that is refused, which then is never found."""
    try:
        return encoder.encode_images([path])[0]
    except ImageError as error:
        console.print(f"counted as not found: {error}")
        return np.full(encoder.dimension, np.nan, np.float32)


def scores(queries: Floats, candidates: Floats) -> Floats:
    """Cosines, and minus infinity where either side has no vector."""
    found: Floats = np.nan_to_num(queries @ candidates.T, nan=-np.inf)
    return found


def add_row(table: Table, direction: str, ranking: Ranking, candidates: int) -> None:
    """Add one direction's figures."""
    measures = [ranking.hit(1), ranking.hit(5), ranking.hit(10), ranking.reciprocal_rank()]
    cells = [figure(values) for values in measures]
    table.add_row(direction, f"{len(ranking.ranks):,}", f"{candidates:,}", *cells)


def figure(values: Floats) -> str:
    """A mean with its bootstrap interval."""
    low, high = bootstrap_interval(values, rounds=2000)
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
