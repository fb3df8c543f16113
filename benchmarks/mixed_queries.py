"""What the wording of a question and the crop of a picture change, on the gallery, with `mini`.

    python -m benchmarks.mixed_queries

Captions ask for the 426 pictures alone, by cosine. Each way is compared with the plain one, caption
by caption; intervals are a paired bootstrap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
from PIL import Image

from benchmarks.mixed_data import GALLERY
from unisem import load_encoder
from unisem.calibration.reference import scaled
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.records import Vector

TEMPLATES = (
    "a photo of {}",
    "a drawing of {}",
    "a picture of {}",
    "Please show me a picture in which one can see the following: {}",
)
CROPS = (0.9, 0.75)


def main() -> None:
    """Print the table."""
    rows = [json.loads(line) for line in (GALLERY / "metadata.jsonl").open(encoding="utf-8")]
    captions = [row["text"] for row in rows]
    encoder = load_encoder("mini")
    pictures = [Image.open(GALLERY / row["file_name"]).convert("RGB") for row in rows]

    def asked(words: Callable[[str], list[str]]) -> Vector:
        """The mean of the vectors of the parts of each caption."""
        parts = [words(caption) for caption in captions]
        vectors = iter(
            encoder.encode_texts([text for several in parts for text in several], "query")
        )
        means = [np.mean([next(vectors) for _ in several], axis=0) for several in parts]
        return scaled(np.array(means))

    def shown(share: float) -> Vector:
        return encoder.encode_images([cropped(picture, share) for picture in pictures])

    plain, whole = asked(lambda caption: [caption]), shown(1)
    raw = ndcg(plain, whole)
    ways = {
        form: ndcg(asked(lambda caption: [form.format(caption)]), whole)  # noqa: B023
        for form in TEMPLATES
    }
    ways["clauses, averaged"] = ndcg(asked(clauses), whole)
    ways["clauses and the whole, averaged"] = ndcg(
        asked(lambda caption: [caption, *clauses(caption)]), whole
    )
    ways["the first four words"] = ndcg(
        asked(lambda caption: [" ".join(caption.split()[:4])]), whole
    )
    for share in CROPS:
        inner = shown(share)
        ways[f"the middle {share:.0%} of pictures"] = ndcg(plain, inner)
        both = scaled(whole + inner)
        ways[f"whole and middle {share:.0%}, averaged"] = ndcg(plain, both)
    print("| way | nDCG@10 | change |\n|---|---|---|")
    print(f"| plain | {raw.mean():.3f} | |")
    for name, values in ways.items():
        low, high = bootstrap_interval(values - raw, rounds=2000)
        change = (values - raw).mean()
        print(f"| {name} | {values.mean():.3f} | {change:+.3f} ({low:+.3f} to {high:+.3f}) |")


def clauses(caption: str) -> list[str]:
    """Parts between commas and before what introduces a clause."""
    parts = re.split(r", | with | and | on | in ", caption)
    return [part for part in parts if part.strip()]


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """The middle of a picture."""
    width, height = (round(side * share) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def ndcg(questions: Vector, images: Vector) -> Floats:
    """``(n,)`` of each caption's own picture."""
    own = [[row] for row in range(len(questions))]
    return Ranking.of((questions @ images.T).astype(np.float64), own).ndcg(10)


if __name__ == "__main__":
    main()
