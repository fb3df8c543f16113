"""What a captioning head writes of held-out Open Clip Art, beside tags that need no training.

    python -m benchmarks.clip_art_captions [--library DIR] [--work DIR] [--docs DIR] [--seed 0]

A cross-modal Transformer learns to write titles and keywords from the drawings that `mini` was
trained on, and writes of one drawing for each caption of the strict set of `benchmarks.retrieval`.
It is held against

- the tags that `unisem caption --captioner tags` gives,
- the words of the training part, three times there or more, that `mini` puts nearest to the
  picture: as many as the caption has words, since who says more finds more,
- as many of the commonest of these words, the same for every picture.

See `benchmarks.caption_words` for words, and `benchmarks.tags` for the shipped vocabulary's tags.
Sixteen drawings are drawn into ``clip_art_captions.png`` in ``--docs``: in the order of how well
captions fit, four each of the best, of those a quarter and a half of the way down, and of those
of which the caption says nothing that a person said.
"""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from benchmarks.caption_words import WordRecall, caption_words, words_of
from benchmarks.clip_art_pairs import allowed_pairs
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import Pairs, load_split
from benchmarks.tags import right_tags
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.captioners import CrossModalCaptioner, TagCaptioner
from unisem.errors import ImageError
from unisem.evaluation.ranking import bootstrap_interval
from unisem.images.reference import open_image
from unisem.pairs import PairDataset
from unisem.training.cross_modal import CrossModalRecipe, train_reranker

WRITER = CrossModalRecipe(
    loss="infonce",
    hard_negatives=0,
    words="tower",
    fusion="attention",
    length=24,
    vocabulary=3000,
    caption_layers=2,
    batch_size=64,
    group=64,
    epochs=20,
    learning_rate=1.5e-3,
    precision="bfloat16",
)
BEAMS = 3
LEAST, SIDE, COLUMNS = 3, 150, 4


@dataclass(frozen=True, slots=True)
class Drawings:
    """Held-out drawings with what people said of them.

    Attributes:
        images: The drawings.
        captions: A caption of each.
    """

    images: list[Image.Image]
    captions: list[str]

    @classmethod
    def of(cls, strict: Pairs) -> Drawings:
        """The first picture of each caption that has words, if it can be opened."""
        rows = [
            (strict.pictures[pictures[0]], caption)
            for caption, pictures in zip(strict.captions, strict.relevant, strict=True)
            if caption_words(caption)
        ]
        images, captions = [], []
        for path, caption in rows:
            try:
                images.append(open_image(path, min_side=512))
            except ImageError:  # two are larger than the limit
                continue
            captions.append(caption)
        return cls(images, captions)


def main() -> None:
    """Train, write, compare, and print the tables and the samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--work", type=Path, default=Path("build/cross-modal"))
    parser.add_argument("--docs", type=Path, default=Path("docs/measured"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console = Console(width=200)
    with nullcontext(options.library) if options.library else fetched_library() as library:
        training, held_out = load_split(library)
        known = allowed_pairs(training, library, options.work)
        place = options.work / f"writer-{options.seed}"
        if not place.exists():
            report = train_reranker(
                "mini",
                known,
                place,
                recipe=replace(WRITER, seed=options.seed),
                features=options.work,
            )
            console.print(f"{report.trained:,} numbers, {report.seconds:.0f} s")
        strict, _, _ = without_near_duplicates(held_out, training)
        drawings = Drawings.of(strict)
    writer = CrossModalCaptioner("writer", place, beams=BEAMS)
    captions = [text if isinstance(text, str) else "" for text in writer.caption(drawings.images)]
    shipped = TagCaptioner(load_encoder("mini"))
    tags = [text if isinstance(text, str) else "" for text in shipped.caption(drawings.images)]
    words = all_words(drawings, captions, tags, commonest(known))
    wanted = [caption_words(caption) for caption in drawings.captions]
    console.print(f"{len(wanted):,} drawings")
    console.print(words_table(words, wanted))
    console.print(tags_table(drawings, captions, tags, shipped.tags))
    samples = picked(WordRecall.of(words["captions"], wanted))
    draw([drawings.images[row] for row in samples], options.docs / "clip_art_captions.png")
    for number, row in enumerate(samples, 1):
        cells = (drawings.captions[row], captions[row], tags[row])
        console.print(" | ".join([f"| {number}", *cells]) + " |", markup=False)


def all_words(
    drawings: Drawings, captions: list[str], tags: list[str], common: list[str]
) -> dict[str, list[list[str]]]:
    """The words that each way has for each drawing."""
    nearest = TagCaptioner(load_encoder("mini"), common, template="{}").scores(drawings.images)
    order = np.argsort(-nearest, axis=1, kind="stable")
    words = [words_of(caption) for caption in captions]
    return {
        "captions": words,
        "tags": [words_of(text) for text in tags],
        "nearest words": [
            [common[word] for word in row[: len(its)]]
            for row, its in zip(order, words, strict=True)
        ],
        "commonest words": [common[: len(its)] for its in words],
    }


def words_table(said: dict[str, list[list[str]]], wanted: list[set[str]]) -> Table:
    """Recall and precision of words, and how far recall is from the captions'."""
    table = Table("who", "words", "recall", "precision", "recall less the captions'")
    own = WordRecall.of(said["captions"], wanted).recall
    for name, rows in said.items():
        found = WordRecall.of(rows, wanted)
        low, high = bootstrap_interval(found.recall - own)
        table.add_row(
            name,
            f"{np.mean([len(row) for row in rows]):.1f}",
            f"{found.recall.mean():.3f}",
            f"{found.precision.mean():.3f}",
            f"{(found.recall - own).mean():+.3f} ({low:+.3f} to {high:+.3f})",
        )
    return table


def tags_table(
    drawings: Drawings, captions: list[str], tags: list[str], vocabulary: list[str]
) -> Table:
    """Recall and precision of the vocabulary's tags, over all drawings as in `benchmarks.tags`."""
    table = Table("who", "recall", "precision", "tags a picture")
    right = right_tags(drawings.captions, vocabulary)
    for name, texts in (("captions", captions), ("tags", tags)):
        given = right_tags(texts, vocabulary)
        hits = (given & right).sum()
        figures = (hits / right.sum(), hits / max(1, given.sum()), given.sum(axis=1).mean())
        table.add_row(name, *(f"{it:.3f}" for it in figures))
    return table


def commonest(known: PairDataset) -> list[str]:
    """The words of the training part's distinct captions, the commonest first."""
    counted = Counter(w for c in sorted(set(known.captions)) for w in sorted(caption_words(c)))
    return [word for word, count in counted.most_common() if count >= LEAST]


def picked(found: WordRecall) -> list[int]:
    """Places of four of the best, of a quarter and a half of the way down, and of the rest."""
    fit = found.recall + found.precision
    order = np.argsort(-fit, kind="stable")
    hits = int((fit > 0).sum())
    starts = (0, len(fit) // 4, len(fit) // 2, (hits + len(fit)) // 2)
    return [int(row) for start in starts for row in order[start : start + COLUMNS]]


def draw(images: list[Image.Image], path: Path) -> None:
    """Draw pictures with their numbers, four a row, on white."""
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (SIDE + 10), rows * (SIDE + 24)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, image in enumerate(images):
        left, top = number % COLUMNS * (SIDE + 10), number // COLUMNS * (SIDE + 24)
        small = image.copy()
        small.thumbnail((SIDE, SIDE))
        sheet.paste(small, (left + 5, top + 18))
        pen.text((left + 5, top + 3), str(number + 1), fill="black")
    sheet.quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
