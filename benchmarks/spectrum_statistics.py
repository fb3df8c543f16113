"""How real vectors of `mini` vary: makes `benchmarks/peers/spectrum.npz`, and holds it to them.

    python -m benchmarks.spectrum_statistics [--library DIR] [--sources DIR] [--check]

Pictures are Open Clip Art's, all but those of its held-out part; texts are the captions of its
training part and nouns' glosses of WordNet; queries are captions of the held-out part, whose
pictures are none of the statistics' (`benchmarks.open_clip_art`). Without ``--library`` and
``--sources`` the Debian packages are fetched (156 and 6 MB).

``--check`` prints, for as many drawn vectors as there are real ones and the same queries, what an
index feels: how far ahead the nearest are, how the variance falls off, and how many of the ten
nearest pictures one bit a dimension finds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.open_clip_art import load_split
from benchmarks.peers.base import Vector
from benchmarks.peers.spectrum import FILE, Mixture, Spectrum
from tools.mini_training.sources import Sources
from tools.open_clip_art import fetched_library
from unisem import Encoder, load_encoder
from unisem.errors import ImageError

CLUSTERS = 128
QUERIES = 256
GLOSSES = 6_000
_SHORTLIST = 100


def main() -> None:
    """Embed, fit, write; or compare what was drawn with what is real."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--sources", type=Path, help="where packages lie or are put")
    parser.add_argument("--check", action="store_true", help="write nothing; compare")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fetched:
        sources = Sources(options.sources or Path(fetched))
        with nullcontext(options.library) if options.library else fetched_library() as library:
            pictures, texts, queries = embedded(load_encoder("mini"), library, sources)
    if options.check:
        Console().print(comparison(pictures, texts, Spectrum.load()))
        return
    Spectrum(Mixture.of(pictures, CLUSTERS), Mixture.of(texts, CLUSTERS), queries).save()
    Console().print(
        f"{FILE}: {FILE.stat().st_size:,} bytes from {len(pictures):,} pictures, "
        f"{len(texts):,} texts; {len(queries)} queries"
    )


def embedded(encoder: Encoder, library: Path, sources: Sources) -> tuple[Vector, Vector, Vector]:
    """Vectors of pictures, of texts, and of held-out captions."""
    training, held_out = load_split(library)
    barred = set(held_out.pictures)
    paths = [path for path in sorted((library / "png").rglob("*.png")) if path not in barred]
    pictures = []
    for path in track(paths, "encoding pictures"):
        try:
            pictures.append(encoder.encode_images([path])[0])
        except ImageError:
            continue
    texts = encoder.encode_texts([*training.captions, *glosses(sources)], role="document")
    asked = np.random.default_rng(0).permutation(len(held_out.captions))[:QUERIES]
    queries = encoder.encode_texts([held_out.captions[row] for row in sorted(asked)], role="query")
    return np.unique(np.stack(pictures), axis=0), np.unique(texts, axis=0), queries


def glosses(sources: Sources) -> Iterator[str]:
    """Every so many-th noun's gloss, without the examples that follow some."""
    lines = sources.debian_file("wordnet-base", "usr/share/wordnet/data.noun").decode().splitlines()
    found = [line.partition(" | ")[2].partition(";")[0].strip() for line in lines]
    found = [gloss for gloss in found if len(gloss) > 20]
    yield from found[:: len(found) // GLOSSES][:GLOSSES]


def comparison(pictures: Vector, texts: Vector, spectrum: Spectrum) -> Table:
    """Real vectors beside as many drawn ones."""
    table = Table("", "pictures", "drawn", "texts", "drawn")
    rng = np.random.default_rng(0)
    sets = [
        pictures,
        spectrum.pictures.draw(rng, len(pictures)),
        texts,
        spectrum.texts.draw(rng, len(texts)),
    ]
    figures = [_felt(vectors, spectrum.queries) for vectors in sets]
    for name in figures[0]:
        table.add_row(name, *(f"{each[name]:.3f}" for each in figures))
    return table


def _felt(vectors: Vector, queries: Vector) -> dict[str, float]:
    """What an index feels of some vectors when these queries are asked."""
    import faiss

    scores = queries @ vectors.T
    ordered = -np.sort(-scores, axis=1)
    values = np.sort(np.linalg.eigvalsh(np.cov(vectors.T)))[::-1]
    falling = np.cumsum(values) / values.sum()
    dimension = vectors.shape[1]
    codes = faiss.IndexPreTransform(
        faiss.RandomRotationMatrix(dimension, dimension),
        faiss.IndexRaBitQFastScan(dimension, faiss.METRIC_INNER_PRODUCT),
    )
    codes.train(vectors)
    codes.add(vectors)
    exact = np.argsort(-scores, axis=1)[:, :10]
    found = codes.search(queries, _SHORTLIST)[1]
    right = [len(set(one) & set(other)) for one, other in zip(exact, found, strict=True)]
    return {
        "vectors": float(len(vectors)),
        "length of the mean": float(np.linalg.norm(vectors.mean(axis=0))),
        "dimensions with half the variance": float(np.searchsorted(falling, 0.5) + 1),
        "dimensions with 90 % of it": float(np.searchsorted(falling, 0.9) + 1),
        "mean score of a query": float(scores.mean()),
        "its 10th best": float(ordered[:, 9].mean()),
        "from the 10th to the 100th": float((ordered[:, 9] - ordered[:, 99]).mean()),
        f"recall@10 among {_SHORTLIST} by codes": float(np.mean(right) / 10),
    }


if __name__ == "__main__":
    main()
