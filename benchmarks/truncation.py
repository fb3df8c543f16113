"""Vectors that are cut: what is still found, with Matryoshka's loss and without, and beside PCA.

    python -m benchmarks.truncation [--library DIR] [--training N] [--held-out N] [--seeds 3]

Two linear heads of 384 numbers, one over `mini`'s vectors of texts, one over what its image network
(EfficientNet-Lite0, as ImageNet left it) gives, are trained from scratch on captioned drawings of
the Open Clip Art Library's training part, by the same recipe: InfoNCE at a temperature of 0.07, 30
passes, batches of 256. Once on whole vectors, once on the sum over 384, 256, 128 and 64 numbers
(Matryoshka). Then captions of the held-out part, none of whose pictures repeats one of training,
ask for their pictures, by vectors that are cut to their first numbers and scaled to unit length.

The honest peer turns the whole vectors of the first recipe by PCA (of the training part's texts and
pictures, about their origin, so that nothing is lost at 384) before it cuts. `mini` is cut as it
was shipped; it was trained on whole vectors.

Figures are means over seeds; intervals (95 %) are a bootstrap over captions, of the figure, and of
the change from the whole vectors of the same recipe. The bytes are those of a vector, and of a
record on the disk, in a space of 2,000 texts of 40 letters.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from benchmarks.mixed_data import Network, Things
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import Pairs, load_split
from tools.open_clip_art import fetched_library
from unisem import Record, SemanticSpace, load_encoder
from unisem.evaluation.ranking import bootstrap_interval
from unisem.records import EmbeddedRecord, Vector
from unisem.training.losses import InfoNCE, Matryoshka, PairLabels, PairLoss

SIZES = (384, 256, 128, 64)
EPOCHS = 30
BATCH = 256
RATE = 1e-3
DECAY = 1e-2
RECORDS = 2000

Floats = NDArray[np.float64]


def main() -> None:
    """Embed once, train, cut, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--training", type=int, help="captions to learn from; all if left out")
    parser.add_argument("--held-out", type=int, help="captions to ask; all if left out")
    parser.add_argument("--work", type=Path, default=Path("build/truncation"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    console = Console(width=120)
    training, held_out = things(options)
    console.print(
        f"{len(training):,} captioned drawings to learn from, {len(held_out):,} held-out captions "
        f"with a picture each, seeds 0 to {options.seeds - 1}\n"
    )
    recipes: dict[str, Callable[[], PairLoss]] = {
        "whole": InfoNCE,
        "Matryoshka": lambda: Matryoshka(InfoNCE(), SIZES),
    }
    hits: dict[tuple[str, int], list[Floats]] = {}
    for seed in range(options.seeds):
        for name, loss in recipes.items():
            text, image = trained(training, loss(), seed)
            texts, images = apart(text, held_out.questions), apart(image, held_out.features)
            measure(hits, name, texts, images)
            if name == "whole":
                seen = [apart(text, training.questions), apart(image, training.features)]
                turn = np.linalg.svd(np.concatenate(seen), full_matrices=False)[2].T
                measure(hits, "whole, then PCA", texts @ turn, images @ turn)
    measure(hits, "`mini` as shipped", held_out.questions, held_out.images)
    print(
        "| vectors | numbers | hit@10 (95 %) | change from 384 (95 %) | bytes a vector | a record |"
    )
    print("|---|---|---|---|---|---|")
    whole = {name: np.mean(rows, axis=0) for (name, size), rows in hits.items() if size == SIZES[0]}
    sizes = {size: bytes_a_record(size) for size in SIZES}
    for (name, size), rows in hits.items():
        found = np.mean(rows, axis=0)
        low, high = bootstrap_interval(found, rounds=2000)
        change = found - whole[name]
        least, most = bootstrap_interval(change, rounds=2000)
        print(
            f"| {name} | {size} | {found.mean():.3f} ({low:.3f} to {high:.3f}) | "
            + ("" if size == SIZES[0] else f"{change.mean():+.3f} ({least:+.3f} to {most:+.3f})")
            + f" | {4 * size:,} | {sizes[size]:,} |"
        )
    for size in SIZES[1:]:
        for other in ("whole", "whole, then PCA"):
            change = np.mean(hits["Matryoshka", size], axis=0) - np.mean(hits[other, size], axis=0)
            low, high = bootstrap_interval(change, rounds=2000)
            print(
                f"\n{size}: Matryoshka − {other}: {change.mean():+.3f} ({low:+.3f} to {high:+.3f})"
            )


def things(options: argparse.Namespace) -> tuple[Things, Things]:
    """What is learned from, and what is asked; embedded, or taken from ``work``."""
    file = options.work / f"{options.training}-{options.held_out}.npz"
    if not file.exists():
        with nullcontext(options.library) if options.library else fetched_library() as library:
            training, held_out = load_split(library)
            training = firsts(training, options.training)
            strict, _, _ = without_near_duplicates(firsts(held_out, options.held_out), training)
            network, made = Network(), {}
            for name, pairs in (("training", training), ("held out", strict)):
                captions = [caption.partition(". ")[0] for caption in pairs.captions]
                made |= network.things(name, captions, captions, pairs.pictures)
        options.work.mkdir(parents=True, exist_ok=True)
        np.savez(file, **made)
    with np.load(file) as held:
        training, held_out = (
            Things(*(held[f"{name}:{part}"] for part in Things.__slots__))
            for name in ("training", "held out")
        )
    return training, held_out


def firsts(pairs: Pairs, count: int | None) -> Pairs:
    """So many captions, each with its first picture."""
    captions = pairs.captions[:count]
    pictures = [pairs.pictures[owned[0]] for owned in pairs.relevant[:count]]
    return Pairs(captions, pictures, [[row] for row in range(len(captions))])


def trained(things: Things, loss: PairLoss, seed: int) -> tuple[nn.Linear, nn.Linear]:
    """A head for texts and one for pictures."""
    torch.manual_seed(seed)
    texts, images = (torch.from_numpy(unit(rows)) for rows in (things.questions, things.features))
    text, image = (nn.Linear(rows.shape[1], SIZES[0]) for rows in (texts, images))
    both = nn.ModuleList([text, image])
    optimizer = torch.optim.AdamW(both.parameters(), lr=RATE, weight_decay=DECAY)
    order = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for rows in np.array_split(order.permutation(len(things)), max(1, len(things) // BATCH)):
            value = loss(text(texts[rows]), image(images[rows]), PairLabels.distinct(len(rows)))
            assert isinstance(value, Tensor)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return text, image


@torch.no_grad()
def apart(head: nn.Linear, rows: Vector) -> Vector:
    """What a head makes of what it is given, as unit rows."""
    return unit(head(torch.from_numpy(unit(rows))).numpy())


def unit(rows: NDArray[Any]) -> Vector:
    """Rows scaled to unit length."""
    scaled: Vector = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def measure(
    hits: dict[tuple[str, int], list[Floats]], name: str, texts: Vector, images: Vector
) -> None:
    """Note for each caption whether its picture is among the first ten, at every size."""
    for size in SIZES:
        scores = unit(texts[:, :size]) @ unit(images[:, :size]).T
        better = (scores > np.diag(scores)[:, None]).sum(axis=1)
        hits.setdefault((name, size), []).append((better < 10).astype(np.float64))


def bytes_a_record(size: int) -> int:
    """What a text and its vector cost on the disk, in a space of `RECORDS`."""
    rows = unit(np.random.default_rng(0).normal(size=(RECORDS, size)))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "s.unisem"
        with SemanticSpace.open(place, encoder=load_encoder("mini", dimension=size)) as space:
            records = [Record(id=f"{n:06}", text=f"{n:040}") for n in range(RECORDS)]
            both = zip(records, rows, strict=True)
            space.store.add([EmbeddedRecord(record, {"text": row}) for record, row in both])
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) // RECORDS


if __name__ == "__main__":
    main()
