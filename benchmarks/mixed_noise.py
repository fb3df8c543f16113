"""What noise in captions costs, and what cleaning them gives back.

    python -m benchmarks.mixed_noise [--work build/evidence]

After `benchmarks.relevance_evidence`, whose texts and pictures it takes. Titles ask for keywords
(clip art), title and keywords for captions (the gallery), among texts alone and in one list of
texts and pictures, by raw cosine. Each kind of noise is put into every text that is stored, and
`CaptionCleaning` takes out what it knows. Intervals are a paired bootstrap over texts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unisem import load_encoder
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.pairs import CaptionCleaning
from unisem.records import Vector

SETS = ("clip art", "gallery")
Noise = Callable[[str, np.random.Generator], str]
NOISES: dict[str, Noise] = {
    "none": lambda text, rng: text,
    "tags and entities": lambda text, rng: f"<p><b>{text}</b>&nbsp;&mdash; &copy;</p>",
    "a link": lambda text, rng: f"{text} https://example.org/{rng.integers(10**6)}/view?id=7",
    "a file's name before": lambda text, rng: f"IMG_{rng.integers(1000, 10000)}.JPG {text}",
    "a camera's name before": lambda text, rng: f"DSC{rng.integers(10000, 100000):05} {text}",
    "a number behind": lambda text, rng: f"{text} #{rng.integers(10**6)}",
    "words by underscores, as a file": lambda text, rng: (
        "_".join(text.split()) + f"_{rng.integers(10, 1000)}.png"
    ),
    "hashtags": lambda text, rng: " ".join(f"#{word}" for word in text.split()),
    "a camera's name alone": lambda text, rng: f"IMG_{rng.integers(1000, 10000)}",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/evidence"))
    work = parser.parse_args().work
    words = json.loads((work / "texts.json").read_text())
    encoder, cleaning = load_encoder("mini"), CaptionCleaning()
    print("| set | noise | among texts | cleaned | change | in one list | cleaned | change |")
    print("|---|---|---|---|---|---|---|---|")
    for name in SETS:
        questions = encoder.encode_texts(words[name]["questions"], "query")
        with np.load(work / "images.npz") as held:
            images = held[f"{name}:images"]
        for noise, make in NOISES.items():
            rng = np.random.default_rng(0)
            noisy = [make(text, rng) for text in words[name]["texts"]]
            clean = [cleaning.clean(text) for text in noisy]
            rows = [stored(encoder.encode_texts, texts) for texts in (noisy, clean)]
            cells = []
            for among in (images[:0], images):
                before, after = (found(questions, texts, among) for texts in rows)
                low, high = bootstrap_interval(after - before, rounds=2000)
                cells.append(
                    f"{before.mean():.3f} | {after.mean():.3f} "
                    f"| {(after - before).mean():+.3f} ({low:+.3f} to {high:+.3f})"
                )
            print(f"| {name} | {noise} | " + " | ".join(cells) + " |", flush=True)


def stored(encode: Callable[[list[str]], Vector], texts: list[str]) -> Vector:
    """Vectors of texts; an empty one, which nothing finds, is zero."""
    full = [row for row, text in enumerate(texts) if text]
    vectors = encode([texts[row] for row in full] or ["nothing"])
    rows = np.zeros((len(texts), vectors.shape[1]), np.float32)
    rows[full] = vectors[: len(full)]
    return rows


def found(questions: Vector, texts: Vector, images: Vector) -> Floats:
    """``(n,)`` nDCG@10 of each question's text or picture, in one list of both."""
    scores = (questions @ np.vstack([texts, images]).T).astype(np.float64)
    count = len(texts)
    scores[:, :count][:, ~texts.any(axis=1)] = -np.inf
    right = [[row, count + row] if len(images) else [row] for row in range(count)]
    return Ranking.of(scores, right).ndcg(10)


if __name__ == "__main__":
    main()
