"""What an animation is found by: its first frame, its middle one, both, or the mean of both.

``python -m benchmarks.animation_frames`` puts the gallery's pictures together two by two as
animations that begin with one and are about the other by their middle, asks for each by its
caption, and prints a Markdown table of hit@1 and hit@10 with 95 % intervals (bootstrap over the
animations). `mini` may have seen such drawings in its training: rows can be compared with each
other, and with nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisem import load_encoder
from unisem.records import Vector

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"
DRAWS = 2000


def rank_of_right(asked: Vector, frames: list[Vector]) -> NDArray[np.int64]:
    """How many animations are before the right one, each at its best frame.

    Args:
        asked: ``(n, d)`` queries, one an animation.
        frames: ``(n, d)`` each: the vectors that every animation has.
    """
    scores = np.max([asked @ rows.T for rows in frames], axis=0)
    return (scores > np.diagonal(scores)[:, None]).sum(1)


def interval(hits: NDArray[np.bool_], rng: np.random.Generator) -> str:
    """A share with its 95 % interval."""
    draws = hits[rng.integers(0, len(hits), (DRAWS, len(hits)))].mean(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{hits.mean():.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Print the table."""
    lines = (GALLERY / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    encoder = load_encoder("mini")
    pictures = encoder.encode_images([GALLERY / entry["file_name"] for entry in entries])
    captions = encoder.encode_texts([entry["text"] for entry in entries], role="query")
    rng = np.random.default_rng(0)
    half = len(entries) // 2
    order = rng.permutation(2 * half)
    first, middle = order[:half], order[half:]
    mean = pictures[first] + pictures[middle]
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    ways = {
        "first frame": [pictures[first]],
        "middle frame": [pictures[middle]],
        "mean of both": [mean],
        "both": [pictures[first], pictures[middle]],
    }
    print("| vectors | first asked for, hit@1 | hit@10 | middle asked for, hit@1 | hit@10 |")
    print("|---|---|---|---|---|")
    for name, frames in ways.items():
        ranks = [rank_of_right(captions[asked], frames) for asked in (first, middle)]
        cells = [interval(rank < k, rng) for rank in ranks for k in (1, 10)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
