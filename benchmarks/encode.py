"""How fast pictures and texts become vectors, beside the incumbents' way with the same model.

    python -m benchmarks.encode [--encoder mini] [--images 200] [--rounds 5]

The incumbents take one input at a time: LangChain's ``OpenCLIPEmbeddings`` opens every picture,
then preprocesses and encodes them one by one; LlamaIndex's ``ClipEmbedding`` opens, preprocesses
and encodes each in turn, texts likewise, all with gradients on. Their packages cannot run the
same model, so their loops are written out here around it, loaded plainly. Each round measures
every way once, in turn; a ratio is the median over rounds, so a machine whose speed drifts does
not spoil it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from unisem.encoders.loading import locate_model
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"


def main() -> None:
    """Run the measurements and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    console = Console()
    encoder = SentenceTransformerEncoder(options.encoder, locate_model(options.encoder))
    warnings.filterwarnings("ignore", "Implicit dimension choice for softmax")
    plain = SentenceTransformer(str(encoder.directory), local_files_only=True).eval()
    check_that_the_ways_agree(encoder, plain)
    console.print(
        f"encoder {options.encoder}, {torch.get_num_threads()} torch threads, "
        f"{options.images} inputs, {options.rounds} rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        small = sorted((GALLERY / "images").glob("*.png"))[: options.images]
        large = write_photographs(Path(folder), max(8, options.images // 8))
        texts = captions(options.images)
        table = Table("input", "way", "per second", "ratio to one by one")
        for label, paths in (("320 px PNG", small), ("8 MP JPEG", large)):
            ways = {
                "one by one (OpenCLIPEmbeddings)": lambda p=paths: open_all_then_one_by_one(
                    plain, p
                ),
                "one by one (ClipEmbedding)": lambda p=paths: one_by_one(plain, p),
                "unisem": lambda p=paths: encoder.encode_images(p),
            }
            add_rows(table, label, len(paths), ways, options.rounds)
        ways = {
            "one by one (ClipEmbedding)": lambda: texts_one_by_one(plain, texts),
            "unisem": lambda: encoder.encode_texts(texts),
        }
        add_rows(table, "captions", len(texts), ways, options.rounds)
        console.print(table)
        table = Table("input", "decoding", "preprocessing", "model")
        for label, paths in (("320 px PNG", small), ("8 MP JPEG", large)):
            table.add_row(label, *(f"{share:.0%}" for share in shares(encoder, paths)))
        console.print("where the time goes if nothing overlaps, batches of 4:", table)


def add_rows(
    table: Table, label: str, count: int, ways: dict[str, Callable[[], object]], rounds: int
) -> None:
    """Measure every way once a round, in turn, and add a row for each."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[way].append(time.perf_counter() - start)
    first = next(iter(ways))
    for way, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[first], times, strict=True))
        table.add_row(label, way, f"{count / statistics.median(times):,.0f}", f"{ratio:.2f} x")
    table.add_section()


def open_all_then_one_by_one(model: SentenceTransformer, paths: list[Path]) -> list[list[float]]:
    """LangChain's way: all pictures open at once, then one forward pass each."""
    pictures = [Image.open(path) for path in paths]
    return [encode_one(model, picture.convert("RGB")) for picture in pictures]


def one_by_one(model: SentenceTransformer, paths: list[Path]) -> list[list[float]]:
    """LlamaIndex's way: open, preprocess and encode each in turn."""
    return [encode_one(model, Image.open(path).convert("RGB")) for path in paths]


def encode_one(model: SentenceTransformer, picture: Image.Image) -> list[float]:
    """One forward pass for one picture, gradients on, as the incumbents leave them."""
    features = model.preprocess([{"image": picture}], modality="image")
    vector = model(features, modality="image")["sentence_embedding"][0]
    return (vector / vector.norm()).tolist()


def texts_one_by_one(model: SentenceTransformer, texts: list[str]) -> list[list[float]]:
    """One forward pass for one text, gradients on."""
    vectors = []
    for text in texts:
        features = model.preprocess([{"text": text}], modality="text")
        vectors.append(model(features, modality="text")["sentence_embedding"][0].tolist())
    return vectors


def check_that_the_ways_agree(
    encoder: SentenceTransformerEncoder, plain: SentenceTransformer
) -> None:
    """Refuse to compare the speeds of different things; also warms the model up."""
    picture = Image.new("RGB", (300, 300), (200, 30, 30))
    ours, theirs = encoder.encode_images([picture])[0], encode_one(plain, picture)
    if float(np.dot(ours, theirs)) < 0.999:
        raise SystemExit("the one-by-one loop does not give the encoder's vectors")
    encoder.encode_texts(["warm up"])


def shares(encoder: SentenceTransformerEncoder, paths: list[Path]) -> list[float]:
    """Shares of the time spent decoding, preprocessing, and in the model, without overlap."""
    times = np.zeros(3)
    for start in range(0, len(paths), 4):
        marks = [time.perf_counter()]
        pictures = [encoder.prepare_image(path) for path in paths[start : start + 4]]
        marks.append(time.perf_counter())
        features = encoder.model.preprocess(
            [{"image": picture} for picture in pictures], modality="image"
        )
        marks.append(time.perf_counter())
        with torch.inference_mode():
            encoder.model(features, modality="image")
        marks.append(time.perf_counter())
        times += np.diff(marks)
    return list(times / times.sum())


def write_photographs(folder: Path, count: int) -> list[Path]:
    """Write seeded 3264 x 2448 JPEGs with detail at every scale, as a camera would."""
    paths = []
    for number in range(count):
        rng = np.random.default_rng(number)
        picture = Image.new("RGB", (3264, 2448))
        for side in (4, 32, 256, 1024):
            pixels = rng.integers(0, 256, (side * 3 // 4, side, 3), np.uint8)
            layer = Image.fromarray(pixels).resize(picture.size, Image.Resampling.BICUBIC)
            picture = layer if side == 4 else Image.blend(picture, layer, 0.25)
        paths.append(folder / f"{number}.jpg")
        picture.save(paths[-1], quality=90)
    return paths


def captions(count: int) -> list[str]:
    """The gallery's captions, repeated if they are too few."""
    lines = (GALLERY / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["text"] for line in lines]
    return (found * (count // len(found) + 1))[:count]


if __name__ == "__main__":
    main()
