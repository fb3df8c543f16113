"""What each training method gains, on the held-out part of the Open Clip Art Library.

    python -m benchmarks.methods [--start NAME] [--library DIR] [--seeds 3]

Every method starts from the same encoder (or, for the two towers, from that encoder's networks with
new projections), trains its heads on the same pairs for 20 passes, else with the recipe's defaults,
and ranks the held-out captions against their pictures; see `benchmarks.open_clip_art`. Each run is
a process of its own, so that its memory can be told. Networks are frozen; what they give is
computed once, before, and not counted in the time. Pictures that are refused (too many pixels) are
left out on both sides, and captions that differ in case only are one, so that figures are a little
higher than `benchmarks.retrieval`'s. Near duplicates stay in (352 of the 1,821 held-out pictures
have one in the training part), so that figures hold some recognition, alike for every method:
compare them with each other, not with those of `mini`. The table has means over seeds; intervals
are a paired bootstrap over captions of the change from the start model, seeds averaged per caption.
Memory is the peak of the whole process, the check of the pictures included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.clip_art_pairs import as_dataset
from benchmarks.open_clip_art import load_split
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.encoders.loading import locate_model
from unisem.evaluation.ranking import bootstrap_interval
from unisem.pairs.pair import CAPTIONED
from unisem.training import Recipe, train_encoder, two_towers
from unisem.training.model.saving import save_model

METHODS: dict[str, Recipe] = {
    "InfoNCE": Recipe(epochs=20, interpolation=1),
    "InfoNCE, cached, batches of 512": Recipe(
        epochs=20, interpolation=1, batch_size=512, mini_batch_size=64
    ),
    "sigmoid": Recipe(epochs=20, interpolation=1, loss="sigmoid"),
    "triplet, semi-hard": Recipe(epochs=20, interpolation=1, loss="triplet"),
    "InfoNCE, + 3 hard negatives": Recipe(epochs=20, interpolation=1, hard_negatives=3),
    "InfoNCE, + adversarial (reversal)": Recipe(epochs=20, interpolation=1, adversary="reversal"),
    "InfoNCE, + adversarial (translation)": Recipe(
        epochs=20, interpolation=1, adversary="translation"
    ),
    "InfoNCE, half way back (WiSE-FT)": Recipe(epochs=20, interpolation=0.5),
    "InfoNCE, back as far as held-back pairs say": Recipe(epochs=20),
    "two towers from parts, InfoNCE": Recipe(epochs=20, interpolation=1),
}
FROM_PARTS = "two towers from parts, InfoNCE"
MEASURES = ("hit@1", "hit@10", "MRR")
RERANKED = "## Looking at both"  # this part of the page is of `benchmarks.methods_reranked`


@dataclass(frozen=True, slots=True)
class Run:
    """One method with one seed.

    Attributes:
        method: Its name.
        seed: Its seed.
        seconds: Spent training.
        megabytes: The process's peak resident memory.
        trained: Numbers that were trained.
        before: Per measure the values of all captions, by the start model.
        after: The same by the trained one.
    """

    method: str
    seed: int
    seconds: float
    megabytes: float
    trained: int
    before: dict[str, list[float]]
    after: dict[str, list[float]]


def main() -> None:
    """Run every method with every seed and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--start", default="mini", help="a two-tower encoder; mini, a directory")
    parser.add_argument("--features", type=Path, default=Path("build/methods"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--docs", type=Path, default=Path("docs/measured"))
    parser.add_argument("--run", metavar="METHOD", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run is not None:
        print(json.dumps(asdict(run(options.run, options.seed, options))))
        return
    console = Console()
    with nullcontext(options.library) if options.library else fetched_library() as library:
        runs = []
        for seed in range(options.seeds):
            for method in METHODS:
                console.print(f"seed {seed}: {method}")
                runs.append(run_apart(method, seed, library, options))
    write(runs, options.start, options.docs)
    console.print((options.docs / "methods.md").read_text(encoding="utf-8"))


def run_apart(method: str, seed: int, library: Path, options: argparse.Namespace) -> Run:
    """Run one method in a process of its own; a run that was done before is read."""
    features = options.features
    name = f"{re.sub('[^a-z0-9]+', '-', method.lower()).strip('-')}-{seed}.json"
    kept = features / f"runs-{load_encoder(options.start).fingerprint[:12]}" / name
    if not kept.exists():
        command = [sys.executable, "-m", "benchmarks.methods", "--run", method, "--seed", str(seed)]
        command += ["--library", str(library), "--features", str(features)]
        command += ["--start", options.start]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(result.stdout.splitlines()[-1], encoding="utf-8")
    return Run(**json.loads(kept.read_text(encoding="utf-8")))


def run(method: str, seed: int, options: argparse.Namespace) -> Run:
    """Run one method here."""
    library = options.library
    train, held_out = (as_dataset(part, library, options.features) for part in load_split(library))
    recipe = replace(METHODS[method], seed=seed)
    with tempfile.TemporaryDirectory() as name:
        start = options.start
        if method == FROM_PARTS:
            start = f"{name}/start"
            parts = locate_model(options.start)
            text, image = (parts / f"{side}_0_Transformer" for side in ("text", "image"))
            save_model(two_towers(text, image, dimension=384), Path(start))
        report = train_encoder(
            start,
            train,
            f"{name}/out",
            held_out=held_out,
            recipe=recipe,
            features=options.features,
        )
    assert report.before is not None
    assert report.after is not None
    return Run(
        method,
        seed,
        report.seconds,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        report.trained,
        *(
            {
                "hit@1": ranked.query_to_document.hit(1).tolist(),
                "hit@10": ranked.query_to_document.hit(10).tolist(),
                "MRR": ranked.query_to_document.reciprocal_rank().tolist(),
            }
            for ranked in (report.before[CAPTIONED], report.after[CAPTIONED])
        ),
    )


def write(runs: list[Run], name: str, docs: Path) -> None:
    """Write the table and the plot."""
    start = load_encoder(name)
    started = next(run for run in runs if run.method != FROM_PARTS)
    before = {name: np.array(started.before[name]) for name in MEASURES}
    lines = [
        "# Training methods, measured",
        "",
        __doc__.split("\n\n", 2)[2].strip(),
        "",
        f"Start model {start.fingerprint[:12]}, {len(before['hit@1']):,} captions, "
        f"seeds {', '.join(map(str, sorted({run.seed for run in runs})))}. "
        f"`python -m benchmarks.methods --start {name}` makes this page.",
        "",
        "| method | hit@1 | hit@10 | MRR | change of hit@10 (95 % interval) | training | memory |",
        "|---|---|---|---|---|---|---|",
        "| start model | "
        + " | ".join(f"{before[name].mean():.3f}" for name in MEASURES)
        + " | | | |",
    ]
    bars: list[tuple[str, float, float, float]] = [("start model", before["hit@10"].mean(), 0, 0)]
    for method in METHODS:
        found = [run for run in runs if run.method == method]
        if not found:
            continue
        means = {name: np.mean([run.after[name] for run in found], axis=0) for name in MEASURES}
        change = means["hit@10"] - before["hit@10"]
        low, high = bootstrap_interval(change, rounds=2000)
        seconds = float(np.median([run.seconds for run in found]))
        memory = max(run.megabytes for run in found)
        lines.append(
            f"| {method} | "
            + " | ".join(f"{means[name].mean():.3f}" for name in MEASURES)
            + f" | {change.mean():+.3f} ({low:+.3f} to {high:+.3f}) | {seconds:.0f} s "
            f"| {memory:,.0f} MB |"
        )
        bars.append((method, means["hit@10"].mean(), change.mean() - low, high - change.mean()))
    lines += ["", "![hit@10 by method](methods.png)", ""]
    page = docs / "methods.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    _, heading, rest = old.partition(RERANKED)
    page.write_text("\n".join([*lines, heading + rest]), encoding="utf-8")
    plot(bars, docs / "methods.png")


def plot(bars: list[tuple[str, float, float, float]], path: Path) -> None:
    """Draw hit@10 with the intervals of the change."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(bars) + 1), layout="constrained")
    names = [bar[0] for bar in bars][::-1]
    values = [bar[1] for bar in bars][::-1]
    errors = np.array([[bar[2], bar[3]] for bar in bars][::-1]).T
    axes.barh(names, values, xerr=errors, color="#4477aa", ecolor="#222222", capsize=3)
    axes.set_xlabel("hit@10, caption to picture, held-out part of Open Clip Art")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
