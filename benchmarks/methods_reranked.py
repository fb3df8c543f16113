"""What looking at both adds to a trained encoder, at the data of `benchmarks.methods`.

    python -m benchmarks.methods_reranked [--start NAME] [--library DIR] [--seeds 1]

The encoder is `benchmarks.methods`' InfoNCE, trained on the same pairs in the same way. Each
cross-modal network learns from the same pairs what that encoder's frozen towers give, its hard
negatives looked up by the start model (the trained encoder knows these pairs), and reorders the
encoder's first fifty. Its score replaces the encoder's. Training is the time of that stage alone;
the encoder's comes on top. A query is a caption, embedded and compared with all held-out pictures,
and then, from tokens made before, judged with fifty: seconds of one processor's thread, median of a
hundred. Memory is the peak of the whole process. Intervals are a paired bootstrap over captions,
of the change from the encoder, seeds averaged per caption.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.clip_art_pairs import as_dataset
from benchmarks.methods import METHODS as ENCODERS
from benchmarks.open_clip_art import load_split
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.evaluation.ranking import Ranking, bootstrap_interval
from unisem.pairs import PairDataset
from unisem.records import Vector
from unisem.rerank.cross_modal import CrossModalReranker
from unisem.training import train_encoder
from unisem.training.cross_modal import CrossModalRecipe, train_reranker

ENCODER = "InfoNCE"
DEPTH, ASKED = 50, 100
_COMMON = CrossModalRecipe(words="tower", length=32, precision="bfloat16", depth=DEPTH)
METHODS: dict[str, CrossModalRecipe] = {
    "the article's form: one attention": replace(
        _COMMON, fusion="attention", captioning=0, group=64, hard_negatives=0, epochs=20
    ),
    "cross-modal Transformer": replace(_COMMON, captioning=0, epochs=4),
}
MEASURES = ("hit@1", "hit@10", "MRR")

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One network with one seed.

    Attributes:
        method: Its name.
        seed: Its seed.
        seconds: Spent training.
        processor: Seconds of a processor for the same.
        megabytes: The process's peak resident memory.
        trained: Numbers that were trained.
        milliseconds: A query by the encoder, and by both.
        before: Per measure the values of all captions, by the encoder.
        after: The same, reordered.
    """

    method: str
    seed: int
    seconds: float
    processor: float
    megabytes: float
    trained: int
    milliseconds: tuple[float, float]
    before: dict[str, list[float]]
    after: dict[str, list[float]]


def main() -> None:
    """Run every network with every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--start", default="build/mini-base", help="a two-tower encoder")
    parser.add_argument("--work", type=Path, default=Path("build/methods"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--run", metavar="METHOD", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        print(json.dumps(asdict(run(options.run, options.seed, options))))
        return
    runs = []
    with nullcontext(options.library) if options.library else fetched_library() as library:
        for seed in range(options.seeds):
            for method in METHODS:
                runs.append(run_apart(method, seed, library, options))
    Console(width=200).print("\n".join(table(runs)), markup=False)


def run_apart(method: str, seed: int, library: Path, options: argparse.Namespace) -> Run:
    """Run one network in a process of its own; a run that was done before is read."""
    name = f"{re.sub('[^a-z0-9]+', '-', method.lower()).strip('-')}-{seed}.json"
    kept = options.work / "reranked" / name
    if not kept.exists():
        command = [sys.executable, "-m", "benchmarks.methods_reranked", "--run", method]
        command += ["--seed", str(seed), "--library", str(library), "--work", str(options.work)]
        command += ["--start", options.start]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(result.stdout.splitlines()[-1], encoding="utf-8")
    return Run(**json.loads(kept.read_text(encoding="utf-8")))


def run(method: str, seed: int, options: argparse.Namespace) -> Run:
    """Run one network here, on the encoder of that seed."""
    library, work = options.library, options.work
    train, held_out = (as_dataset(part, library, work) for part in load_split(library))
    encoder = work / f"encoder-{seed}"
    if not encoder.is_dir():
        recipe = replace(ENCODERS[ENCODER], seed=seed)
        train_encoder(options.start, train, encoder, recipe=recipe, features=work)
    steps: list[float] = []

    def noted(what: str, done: int, total: int) -> None:
        if what == "training":
            steps.append(time.process_time())

    with tempfile.TemporaryDirectory() as name:
        report = train_reranker(
            str(encoder),
            train,
            f"{name}/out",
            held_out=held_out,
            miner=options.start,
            recipe=replace(METHODS[method], seed=seed),
            features=work,
            progress=noted,
        )
        model = CrossModalReranker(method, report.output, encoder=load_encoder(str(encoder)))
        cost = milliseconds(model, held_out)
    assert report.reranked is not None
    return Run(
        method,
        seed,
        report.seconds,
        (steps[-1] - steps[0]) * len(steps) / (len(steps) - 1),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        report.trained,
        cost,
        *(values(ranked) for ranked in (report.reranked.before, report.reranked.after)),
    )


def values(ranked: Ranking) -> dict[str, list[float]]:
    """Each caption's, by measure."""
    found = ranked.hit(1), ranked.hit(10), ranked.reciprocal_rank()
    return {name: each.tolist() for name, each in zip(MEASURES, found, strict=True)}


def milliseconds(model: CrossModalReranker, held_out: PairDataset) -> tuple[float, float]:
    """A query by the encoder alone, and with fifty pictures judged: medians of a processor."""
    captions = held_out.captions[:ASKED]
    rng = np.random.default_rng(0)
    images: Vector = rng.normal(size=(len(held_out), model.encoder.dimension)).astype(np.float32)
    tokens = model.tokens_of([pair.image for pair in held_out.pairs[:DEPTH]])

    def embedded(text: str) -> None:
        found = model.encoder.encode_texts([text], "query") @ images.T
        np.argpartition(-found[0], DEPTH)

    def judged(text: str) -> None:
        embedded(text)
        model.score_tokens(text, tokens)

    return median(embedded, captions), median(judged, captions)


def median(action: Callable[[str], None], captions: list[str]) -> float:
    """Milliseconds of a processor a caption."""
    spent = []
    for text in captions:
        began = time.process_time()
        action(text)
        spent.append(time.process_time() - began)
    return 1000 * float(np.median(spent))


def table(runs: list[Run]) -> list[str]:
    """The encoder, and each network on top."""
    first = runs[0]
    rows = [
        "| method | hit@1 | hit@10 | MRR | change of hit@10 (95 % interval) | training, clock "
        "| training, processor | numbers | memory | a query |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    at_first = [run.before for run in runs if run.method == first.method]
    own = {name: mean(at_first, name) for name in MEASURES}
    shares = " | ".join(f"{own[name].mean():.3f}" for name in MEASURES)
    rows.append(f"| {ENCODER} | {shares} | | | | | | {first.milliseconds[0]:.1f} ms |")
    for method in METHODS:
        found = [run for run in runs if run.method == method]
        if not found:
            continue
        after = {name: mean([run.after for run in found], name) for name in MEASURES}
        change = after["hit@10"] - own["hit@10"]
        low, high = bootstrap_interval(change, rounds=2000)
        cells = [f"{after[name].mean():.3f}" for name in MEASURES]
        cells.append(f"{change.mean():+.3f} ({low:+.3f} to {high:+.3f})")
        cells.append(f"{np.median([run.seconds for run in found]):.0f} s")
        cells.append(f"{np.median([run.processor for run in found]):.0f} s")
        cells.append(f"{found[0].trained:,}")
        cells.append(f"{max(run.megabytes for run in found):,.0f} MB")
        cells.append(f"{np.median([run.milliseconds[1] for run in found]):.1f} ms")
        rows.append(f"| … {method} | {' | '.join(cells)} |")
    return rows


def mean(found: list[dict[str, list[float]]], name: str) -> Shares:
    """Means over seeds, per caption."""
    means: Shares = np.mean([each[name] for each in found], axis=0)
    return means


if __name__ == "__main__":
    main()
