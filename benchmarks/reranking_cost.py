"""What judging hits costs: with stored tokens, with the image tower, and beside the search itself.

    OMP_NUM_THREADS=1 python -m benchmarks.reranking_cost [--pictures 200] [--queries 20]

A space of drawn pictures with `mini`, on disk; text queries; the 50 hits of each are judged by a
cross-modal Transformer of the usual size. Its weights are random, which changes no cost. Every
query is asked in all ways, one after the other, and the table has medians over the queries, with
the lower and the upper quartile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from unisem import Record, SemanticSpace, load_encoder
from unisem.encoders import Encoder
from unisem.rerank.cross_modal import (
    CaptionTokenizer,
    CrossModalFiles,
    CrossModalReranker,
    CrossModalSettings,
    CrossModalTransformer,
    PatchFeatures,
    WordVectors,
)
from unisem.search import Query
from unisem.stores.hits import Hit

_COLOURS = ("red", "green", "blue", "orange", "purple", "black")
_SHAPES = ("circle", "square", "triangle", "star")
_JUDGED = 50
_WAYS = ("stored tokens", "the same in bfloat16", "image tower")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--queries", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    encoder = load_encoder("mini")
    table = Table("milliseconds", "search", *(f"judging 50, {way}" for way in _WAYS))
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        space = filled(Path(folder), encoder, options.pictures, rng)
        for words in ("own words", "the encoder's words"):
            model = random_model(Path(folder) / words, encoder, from_tower=words != "own words")
            found = costs(space, model, queries(options.queries, rng))
            for kind, (search, *ways) in found.items():
                judged, half, looked = (way - search for way in ways)
                cells = map(spread, (search, judged, half, looked))
                table.add_row(f"{words}, {kind}", *cells)
                times = float(np.median(judged) / np.median(search))
                faster = float(np.median(looked) / np.median(judged))
                console.print(
                    f"{words}, {kind}: judging takes {times:.2f} searches, and is {faster:.0f} "
                    "times faster than with the tower"
                )
        file = next((space.path or Path()).glob("tokens-*.sqlite"))  # all are as large
        console.print(f"{file.stat().st_size / options.pictures:,.0f} bytes a picture")
    console.print(table)


def costs(
    space: SemanticSpace, model: CrossModalReranker, asked: list[str]
) -> dict[str, tuple[np.ndarray, ...]]:
    """Milliseconds of each query: alone, and reranked in the three ways."""
    space.make_tokens(model)
    bare = CrossModalReranker(model.name, model.directory, encoder=space.encoder)
    bare.at = lambda directory: bare  # type: ignore[method-assign]  # it knows of no stored tokens
    half = CrossModalReranker(model.name, model.directory, encoder=space.encoder, dtype="bfloat16")

    def reranked(by: CrossModalReranker, text: str) -> list[Hit]:
        return space.search_query(Query(text=text, k=_JUDGED, fetch_k=_JUDGED, reranker=by))

    ways: tuple[Callable[[str], list[Hit]], ...] = (
        lambda text: space.search_query(Query(text=text, k=_JUDGED)),
        *(partial(reranked, by) for by in (model, half, bare)),
    )
    for way in ways:
        way("warm")
    wall, processor = np.empty((2, len(ways), len(asked)))
    for place, text in enumerate(asked):
        answers = []
        for number, way in enumerate(ways):
            before, spent = time.perf_counter(), time.process_time()
            answers.append(way(text))
            processor[number, place] = 1000 * (time.process_time() - spent)
            wall[number, place] = 1000 * (time.perf_counter() - before)
        assert answers[1] == answers[3]
        assert sum(hit.judged is not None for hit in answers[1]) == _JUDGED
    return {"wall": tuple(wall), "processor": tuple(processor)}


def spread(values: np.ndarray) -> str:
    """Median and quartiles."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def filled(folder: Path, encoder: Encoder, count: int, rng: np.random.Generator) -> SemanticSpace:
    """A space of pictures with two shapes each."""
    space = SemanticSpace.open(folder / "drawn.unisem", encoder=encoder)
    records = []
    for number in range(count):
        image = Image.new("RGB", (320, 240), "white")
        draw = ImageDraw.Draw(image)
        for _ in range(2):
            (x, y), colour = rng.integers(0, 170, 2).tolist(), rng.choice(_COLOURS)
            box = (x, y, x + 60, y + 60)
            sides = int(rng.integers(3, 6))
            if sides == 5:
                draw.ellipse(box, fill=str(colour))
            else:
                draw.regular_polygon((x + 30, y + 30, 35), sides, fill=str(colour))
        path = folder / f"{number}.png"
        image.save(path)
        records.append(Record(id=f"{number:05}", image=path))
    space.add(records)
    return space


def random_model(directory: Path, encoder: Encoder, *, from_tower: bool) -> CrossModalReranker:
    """A cross-modal Transformer of the usual size, with random weights."""
    features = PatchFeatures(encoder)
    tokenizer = CaptionTokenizer.learn(queries(200, np.random.default_rng(1)), words=200)
    words = WordVectors(encoder) if from_tower else None
    settings = CrossModalSettings(
        feature_width=features.width,
        words=len(tokenizer),
        text_width=None if words is None else words.width,
    )
    text_tower = None if words is None else words.fingerprint
    network = CrossModalTransformer(settings)
    files = CrossModalFiles(network, tokenizer, encoder.name, features.fingerprint, text_tower)
    directory.mkdir()
    files.write(directory)
    return CrossModalReranker(str(directory), directory, encoder=encoder)


def queries(count: int, rng: np.random.Generator) -> list[str]:
    """Sentences about two shapes."""
    pick = [[str(rng.choice(names)) for names in (_COLOURS, _SHAPES) * 2] for _ in range(count)]
    return [f"a {a} {b} to the left of a {c} {d}" for a, b, c, d in pick]


if __name__ == "__main__":
    main()
