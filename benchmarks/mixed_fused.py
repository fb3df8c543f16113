"""A third vector for captioned pictures where the model has none: the mean of the other two.

    python -m benchmarks.mixed_fused
    apt-get download openclipart-png openclipart-svg  # then: dpkg-deb -x each of them into DIR
    python -m benchmarks.mixed_fused --library DIR/usr/share/openclipart

Questions are the captions of `examples/gallery`, whose pictures have a title and keywords as their
text, or the titles of drawings of Open Clip Art, which have keywords; a third of the held-out
drawings are found by their keywords alone, a third by their pictures, and a third by both, in one
list. Each question has one right answer. The calibration is fitted to 150 others of the gallery, or
to drawings of the training part. Of held-out drawings that look alike one is asked for.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed_data import GALLERY, described
from benchmarks.near_duplicates import Looks
from benchmarks.open_clip_art import load_split
from unisem import load_encoder
from unisem.calibration import Calibration, Sample, fit_calibration
from unisem.calibration.kinds import DOCUMENT_KINDS, QueryKind
from unisem.calibration.reference import scaled
from unisem.errors import ImageError
from unisem.evaluation.bootstrap import bootstrap_interval
from unisem.evaluation.ranking import Ranking
from unisem.records import Vector, VectorKind

Floats = NDArray[np.float64]
SEEDS = range(5)
_FORMS = ("keywords alone", "picture alone", "both")


@dataclass(frozen=True, slots=True, eq=False)
class Drawings:
    """Each with a question, a text and a picture: ``(n, d)`` unit rows by `mini`."""

    questions: Vector
    texts: Vector
    images: Vector

    @property
    def fused(self) -> Vector:
        """The mean of a text's and a picture's vector, at length 1."""
        return scaled(self.texts + self.images)

    @property
    def vectors(self) -> dict[VectorKind, Vector]:
        """By kind."""
        return {"text": self.texts, "image": self.images, "both": self.fused}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="a folder with png and svg")
    parser.add_argument("--fitted", type=int, default=800, help="drawings of the calibration")
    parser.add_argument("--asked", type=int, default=600, help="held-out drawings at most")
    parser.add_argument("--work", type=Path, default=Path("build/mixed-fused"))
    options = parser.parse_args()
    if options.library is None:
        fitting, held_out = _gallery()
    else:
        fitting, held_out = _drawings(options.library, options.fitted, options.asked, options.work)
    numbers = np.arange(len(fitting.texts))
    sample = Sample(
        fitting.texts,
        fitting.questions,
        fitting.images,
        numbers,
        numbers,
        same_words=False,
        fused=fitting.fused,
    )
    calibration = fit_calibration(sample, fingerprint="mini")
    print(f"{len(fitting.texts):,} drawings fitted, {len(held_out.texts):,} asked for\n")
    titles = held_out.questions
    _table("titles, raw cosines", None, "text", titles, held_out)
    _table("titles, calibrated", calibration, "text", titles, held_out)
    # What is asked with is another drawing, so that no stored picture is a copy of the question's.
    wishes = scaled(titles + held_out.images[np.random.default_rng(0).permutation(len(titles))])
    _table("titles with another picture, raw cosines", None, "both", wishes, held_out)
    _table("titles with another picture, calibrated", calibration, "both", wishes, held_out)


def _table(
    name: str,
    calibration: Calibration | None,
    asked: QueryKind,
    queries: Vector,
    drawings: Drawings,
) -> None:
    scores = {
        kind: _scores(calibration, asked, queries, rows, kind)
        for kind, rows in drawings.vectors.items()
    }
    print(f"### {name}\n")
    print("| | two vectors hit@10 | three | change | two nDCG@10 | three | change | matched |")
    print("|---|---|---|---|---|---|---|---|")
    runs = [_run(scores, seed) for seed in SEEDS]
    form = np.stack([run.form for run in runs])
    for number, label in ((None, "all"), *enumerate(_FORMS)):
        cells = []
        for measure in ("hit", "ndcg"):
            two, three = (np.stack([getattr(run, measure)[k] for run in runs]) for k in (0, 1))
            kept = np.ones_like(form, bool) if number is None else form == number
            known = kept.any(axis=0)
            weight = kept.sum(axis=0)[known]
            means = [np.where(kept, it, 0).sum(axis=0)[known] / weight for it in (two, three)]
            low, high = bootstrap_interval(means[1] - means[0], rounds=2000)
            cells += [f"{means[0].mean():.3f}", f"{means[1].mean():.3f}"]
            cells.append(f"{(means[1] - means[0]).mean():+.3f} ({low:+.3f} to {high:+.3f})")
        matched = np.mean([run.fused_share for run in runs]) if number in (None, 2) else np.nan
        cells.append("" if np.isnan(matched) else f"{matched:.2f}")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)
    print()


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One draw of who has what, found with two vectors and with three."""

    form: NDArray[np.int64]
    hit: tuple[Floats, Floats]
    ndcg: tuple[Floats, Floats]
    fused_share: float


def _run(scores: dict[VectorKind, Floats], seed: int) -> _Run:
    count = len(scores["text"])
    form = np.random.default_rng(seed).permutation(np.arange(count) % 3)
    two = np.maximum(scores["text"], scores["image"])
    two[:, form == 0] = scores["text"][:, form == 0]
    two[:, form == 1] = scores["image"][:, form == 1]
    three = two.copy()
    both = form == 2
    three[:, both] = np.maximum(two[:, both], scores["both"][:, both])
    own = [[thing] for thing in range(count)]
    found = [Ranking.of(one, own) for one in (two, three)]
    right = np.flatnonzero(both)
    won = scores["both"][right, right] > two[right, right]
    return _Run(
        form,
        (found[0].hit(10), found[1].hit(10)),
        (found[0].ndcg(10), found[1].ndcg(10)),
        float(won.mean()),
    )


def _scores(
    calibration: Calibration | None,
    asked: QueryKind,
    queries: Vector,
    rows: Vector,
    kind: VectorKind,
) -> Floats:
    if calibration is None:
        return queries.astype(np.float64) @ rows.T.astype(np.float64)
    return calibration.scores(queries, asked, rows, np.full(len(rows), DOCUMENT_KINDS.index(kind)))


def _gallery() -> tuple[Drawings, Drawings]:
    """150 of the gallery that a calibration is fitted to, and the others, which are asked for."""
    rows = [json.loads(line) for line in (GALLERY / "metadata.jsonl").open(encoding="utf-8")]
    said = [", ".join([row["title"], *row["keywords"]]) for row in rows]
    parts = _embedded(
        [row["text"] for row in rows], said, [GALLERY / it["file_name"] for it in rows]
    )
    order = np.random.default_rng(0).permutation(len(rows))
    one, other = (Drawings(*(it[some] for it in parts)) for some in (order[:150], order[150:]))
    return one, other


def _drawings(library: Path, fitted: int, asked: int, work: Path) -> tuple[Drawings, Drawings]:
    """Those that a calibration is fitted to, and those that are asked for."""
    file = work / f"fused-{fitted}-{asked}.npz"
    if not file.exists():
        training, held_out = load_split(library)
        work.mkdir(parents=True, exist_ok=True)
        chosen = [it[:fitted] for it in described(training)]
        titles, keywords, paths = (it[:asked] for it in described(held_out))
        kept = np.flatnonzero(Looks.of_files(paths).distinct())
        alone = [[it[row] for row in kept.tolist()] for it in (titles, keywords, paths)]
        parts = (*_embedded(*chosen), *_embedded(*alone))
        np.savez(file, *parts)
    with np.load(file) as held:
        rows = [held[f"arr_{number}"] for number in range(6)]
    return Drawings(*rows[:3]), Drawings(*rows[3:])


def _embedded(
    titles: Sequence[str], keywords: Sequence[str], paths: Sequence[Path]
) -> tuple[Vector, Vector, Vector]:
    encoder = load_encoder("mini", runtime="onnx")
    images: list[Vector] = []
    kept: list[int] = []
    for row, path in enumerate(paths):
        try:
            images.append(encoder.encode_images([path])[0])
        except ImageError:
            continue
        kept.append(row)
    said: list[Sequence[str]] = [[words[row] for row in kept] for words in (titles, keywords)]
    return (
        encoder.encode_texts(said[0], role="query"),
        encoder.encode_texts(said[1]),
        np.stack(images),
    )


if __name__ == "__main__":
    main()
