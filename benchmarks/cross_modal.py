"""Does looking at both help? Reranking what `mini` finds on held-out Open Clip Art.

    python -m benchmarks.cross_modal [--library DIR] [--sources DIR] [--base DIR] [--work DIR]
        [--seeds 3]

A cross-modal Transformer learns from the drawings, emoji, icons and flags that `mini` was trained
on, and judges the first fifty that `mini` finds for each caption of the strict set of
`benchmarks.retrieval`. What it says and `mini`'s score are mixed (`RerankCalibration`).

`mini` knows the captions that are trained on, so that its score looks better there than it is. The
mixture is therefore chosen on a fifth of the clip art of the training part, under an encoder that
stands for `mini` and that, like the reranker judged there, has learned from everything else.

What the image tower gives is kept in ``--work`` and computed once. Needs what `tools.train_mini`
needs to draw the icons.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.clip_art_pairs import allowed_pairs, as_pairs
from benchmarks.icon_pairs import icon_pairs, in_other_words, joined
from benchmarks.near_duplicates import Looks, without_near_duplicates
from benchmarks.open_clip_art import Pairs, load_split
from benchmarks.retrieval import encode, scores
from benchmarks.shortlists import Shortlists
from tools.mini_training.sources import REPOSITORY, Sources
from tools.open_clip_art import fetched_library
from unisem import Encoder, load_encoder
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.pairs import PairDataset
from unisem.pairs.splits import Split, split_pairs
from unisem.rerank.cross_modal import CrossModalReranker, PatchFeatures
from unisem.search.rerank_calibration import RerankCalibration
from unisem.training import Recipe, train_encoder
from unisem.training.cross_modal import CrossModalRecipe, train_reranker
from unisem.training.inputs.feature_cache import FeatureCache

RECIPE = CrossModalRecipe(
    loss="infonce",
    hard_negatives=0,
    words="tower",
    fusion="cosine",
    length=64,
    captioning=0,
    batch_size=128,
    group=128,
    epochs=4,
    learning_rate=1e-3,
    weight_decay=0.05,
    precision="bfloat16",
)
STANDS_FOR_MINI = Recipe(epochs=5, interpolation=1)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Captions that look for their pictures.

    Attributes:
        captions: The queries.
        maps: ``(n, places, channels)`` float16, what the image tower gives of the candidates.
        found: What an encoder finds.
    """

    captions: list[str]
    maps: NDArray[np.float16]
    found: Shortlists

    @classmethod
    def of(cls, pairs: Pairs, encoder: Encoder, features: PatchFeatures, work: Path) -> Asked:
        """Ask an encoder; the maps are of `features`' tower."""
        texts = encoder.encode_texts(pairs.captions, role="query").astype(np.float64)
        images = np.array([encode(encoder, path, Console()) for path in pairs.pictures], np.float64)
        found = Shortlists.of(scores(texts, images), pairs.relevant)
        refused = np.isnan(images).any(axis=1)
        blank = Image.new("RGB", (256, 256), "white")  # never among the first

        def compute(positions: list[int]) -> NDArray[np.float16]:
            opened = (
                blank if refused[n] else features.encoder.prepare_image(pairs.pictures[n])
                for n in positions
            )
            return np.array([features.of([it])[0].flatten().numpy() for it in opened], np.float16)

        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in pairs.pictures]
        store = FeatureCache(work / f"{features.fingerprint[:32]}-maps")
        maps = store.get(digests, compute).reshape(len(digests), features.side**2, -1)
        return cls(pairs.captions, maps, found)

    def judged(self, reranker: CrossModalReranker) -> NDArray[np.float32]:
        """What a reranker says of each query's shortlist, from tokens made once."""
        network = reranker.files.network
        with torch.inference_mode():
            parts = np.array_split(self.maps, max(1, len(self.maps) // 64))
            made = [network.tokens(torch.from_numpy(part).float()).half() for part in parts]
        tokens = torch.cat(made).numpy()
        rows = zip(self.captions, self.found.first, strict=True)
        return np.stack([reranker.score_tokens(text, tokens[first]) for text, first in rows])


def main() -> None:
    """Train, choose the mixture, judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--sources", type=Path, default=REPOSITORY / "build" / "mini-sources")
    parser.add_argument("--base", type=Path, default=Path("build/mini-base"))
    parser.add_argument("--work", type=Path, default=Path("build/cross-modal"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    console = Console()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        training, held_out = load_split(library)
        known = allowed_pairs(training, library, options.work)
        parts = split_pairs(known, held_out=0.2)
        measured = [*held_out.pictures, *as_pairs(parts.held_out).pictures]
        icons = icon_pairs(
            Sources(options.sources), options.work / "drawn", Looks.of_files(measured)
        )
        mixture = chosen_mixture(parts, icons, options, console)
        learned = joined([in_other_words(known), icons])
        strict, _, _ = without_near_duplicates(held_out, training)
        mini = load_encoder("mini")
        asked = Asked.of(strict, mini, PatchFeatures(mini, side=RECIPE.side), options.work)
        runs = [
            asked.judged(trained(learned, options, f"all-{seed}", seed, console))
            for seed in range(options.seeds)
        ]
    table = Table("order", "hit@1", "hit@5", "hit@10", "MRR", "change of hit@1")
    own = add_row(table, "mini", [asked.found.own], asked, None)
    for seed, judged in enumerate(runs):
        add_row(table, f"mixed, seed {seed}", [mixed(mixture, judged, asked)], asked, own)
    add_row(table, "mixed, mean of seeds", [mixed(mixture, j, asked) for j in runs], asked, own)
    together = np.mean(runs, axis=0)
    add_row(table, "mixed, judgements averaged", [mixed(mixture, together, asked)], asked, own)
    alone = [judged.astype(np.float64) for judged in runs]
    add_row(table, "the reranker alone, mean of seeds", alone, asked, own)
    console.print(f"held out: {len(asked.captions):,} captions, {len(asked.maps):,} pictures")
    console.print(table)


def chosen_mixture(
    parts: Split, icons: PairDataset, options: argparse.Namespace, console: Console
) -> RerankCalibration:
    """The share of either score that is best on a fifth that neither model has learned from."""
    learned = joined([in_other_words(parts.train), icons])
    place = options.work / "stands-for-mini"
    if not place.exists():
        train_encoder(
            str(options.base), learned, place, recipe=STANDS_FOR_MINI, features=options.work
        )
    reranker = trained(learned, options, "four-fifths", 0, console)
    strict, _, _ = without_near_duplicates(as_pairs(parts.held_out), as_pairs(parts.train))
    asked = Asked.of(
        strict, load_encoder(str(place)), PatchFeatures(load_encoder("mini")), options.work
    )
    judged = asked.judged(reranker)
    mixture = RerankCalibration.fit(
        [*judged.astype(np.float64)], [*asked.found.own], [*asked.found.right]
    )
    table = Table("order", "hit@1", "hit@5", "hit@10", "MRR", "change of hit@1")
    own = add_row(table, "the encoder that stands for mini", [asked.found.own], asked, None)
    add_row(table, "mixed", [mixed(mixture, judged, asked)], asked, own)
    console.print(
        f"held back: {len(asked.captions):,} captions, {len(asked.maps):,} pictures; "
        f"log-odds {mixture.own:.2f} a standard deviation of a list's cosines, "
        f"{mixture.judged:.3f} a logit of the reranker"
    )
    console.print(table)
    return mixture


def mixed(mixture: RerankCalibration, judged: NDArray[np.float32], asked: Asked) -> Floats:
    """Probabilities of each shortlist."""
    rows = zip(judged.astype(np.float64), asked.found.own, strict=True)
    return np.stack([mixture.probabilities(said, own.tolist()) for said, own in rows])


def trained(
    known: PairDataset,
    options: argparse.Namespace,
    name: str,
    seed: int,
    console: Console,
) -> CrossModalReranker:
    """A reranker of these pairs; one that was trained before is read."""
    place = options.work / name
    if not place.exists():
        started = time.process_time()
        report = train_reranker(
            "mini",
            known,
            place,
            recipe=replace(RECIPE, seed=seed),
            features=options.work,
        )
        console.print(
            f"{name}: {report.trained:,} numbers, {report.steps} steps in {report.seconds:.0f} s "
            f"({time.process_time() - started:.0f} s of a processor with the towers)"
        )
    return CrossModalReranker(name, place)


def add_row(
    table: Table,
    name: str,
    runs: Sequence[Floats],
    asked: Asked,
    own: Floats | None,
) -> Floats:
    """Add means over runs, and how far hit@1 is from the encoder's own; the hits at 1."""
    rankings = [asked.found.ranking(scores) for scores in runs]
    rows = [[r.hit(1), r.hit(5), r.hit(10), r.reciprocal_rank()] for r in rankings]
    means: Floats = np.mean(rows, axis=0)
    change = ""
    if own is not None:
        low, high = bootstrap_interval(means[0] - own)
        change = f"{(means[0] - own).mean():+.3f} ({low:+.3f} to {high:+.3f})"
    table.add_row(name, *(f"{values.mean():.3f}" for values in means), change)
    return np.asarray(means[0])


if __name__ == "__main__":
    main()
