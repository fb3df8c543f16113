"""How honest probabilities of relevance are, by what tells them, for every pair of kinds.

    python -m benchmarks.relevance_evidence [--library DIR] [--packages DIR] [--work DIR]

Half of each set is a space, to which a calibration is fitted as `space.calibrate` does, its
texts as captions of its pictures or as strangers to them; the other half is asked about, each
question twice: with its answer there, and without. Titles ask for keywords (Open Clip Art, the
strict set), title and keywords for captions (the gallery), captions for photographs, pictures
for captions and for pictures that share a keyword. In *one list* a third of the things is there
as a text, a third as a picture, a third as both; of photographs all are pictures, among as many
captions of others, which are never right. Ten splits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed_data import GALLERY, described
from benchmarks.mixed_relevance import reliability
from benchmarks.natural_pictures import sets, unpacked
from benchmarks.near_duplicates import without_near_duplicates
from benchmarks.open_clip_art import load_split
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.calibration import Calibration, DocumentKind, FewWords, Sample, fit_calibration
from unisem.calibration.few_words import few_words_of
from unisem.calibration.kinds import DOCUMENT_KINDS
from unisem.errors import ImageError
from unisem.evaluation.ranking import Floats
from unisem.records import Vector

SPLITS = range(10)
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Things with a question, a text and a picture each, and what a space of them is fitted to."""

    questions: Vector
    texts: Vector
    images: Vector
    few: FewWords
    alike: Bools
    has_own_texts: bool

    def sample(self, rows: NDArray[np.int64], *, captioned: bool = True) -> Sample:
        """A space of some of the things; without captions texts and pictures are strangers."""
        kept = np.zeros(len(self.texts), bool)
        kept[rows] = True
        texts, images, groups = self.texts[rows], self.images[rows], np.arange(len(rows))
        others = groups if captioned else groups + len(rows)
        return Sample(texts, texts, images, groups, others, few_words=self.few.of(kept))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--packages", type=Path, help="a folder with the photographs' .deb files")
    parser.add_argument("--work", type=Path, default=Path("build/evidence"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print("| set | asked | among | told by | first hit is right | said | so | ECE |")
    print("|---|---|---|---|---|---|---|---|")
    known = options.library or (options.work / "images.npz").exists()
    with nullcontext(options.library) if known else fetched_library() as library:
        for name, asked in embedded(library, options.packages, options.work):
            table(name, asked)


def embedded(library: Path, packages: Path | None, work: Path) -> Iterator[tuple[str, Asked]]:
    """The sets, their pictures embedded or taken from ``work``."""
    texts, images = work / "texts.json", work / "images.npz"
    if not images.exists():
        said, shown = {}, {}
        for name, questions, captions, pictures in _sources(library, packages):
            rows, kept = _pictures(pictures)
            shown[f"{name}:images"] = rows
            said[name] = {
                "questions": [questions[row] for row in kept],
                "texts": [captions[row] for row in kept],
            }
        texts.write_text(json.dumps(said))
        np.savez(images, **shown)  # type: ignore[arg-type]
    encoder = load_encoder("mini")
    rows = [json.loads(line) for line in (GALLERY / "metadata.jsonl").open(encoding="utf-8")]
    named = [{word.lower() for word in (row["title"], *row["keywords"])} for row in rows]
    with np.load(images) as held:
        for name, words in json.loads(texts.read_text()).items():
            own = few_words_of(words["texts"], np.random.default_rng(0))
            owners = [place for place, few in enumerate(own) if few is not None]
            few = encoder.encode_texts([few for few in own if few is not None], "query")
            alike = np.eye(len(words["texts"]), dtype=bool)
            if name == "gallery":
                alike = np.array([[bool(one & other) for other in named] for one in named])
            yield (
                name,
                Asked(
                    encoder.encode_texts(words["questions"], "query"),
                    encoder.encode_texts(words["texts"]),
                    held[f"{name}:images"],
                    FewWords(few, np.array(owners)),
                    alike,
                    words["questions"] != words["texts"],
                ),
            )


def _sources(
    library: Path, packages: Path | None
) -> Iterator[tuple[str, list[str], list[str], Sequence[Any]]]:
    rows = [json.loads(line) for line in (GALLERY / "metadata.jsonl").open(encoding="utf-8")]
    titles = [" ".join([row["title"], *row["keywords"]]) for row in rows]
    files = [GALLERY / row["file_name"] for row in rows]
    yield "gallery", titles, [row["text"] for row in rows], files
    with unpacked(packages) as folder:
        for name, shown in sets(folder):
            if name != "drawings":
                first = [shown.pictures[owned[0]] for owned in shown.relevant]
                yield name, shown.captions, shown.captions, first
    training, held_out = load_split(library)
    yield "clip art", *described(without_near_duplicates(held_out, training)[0])


def _pictures(pictures: Sequence[Any]) -> tuple[Vector, list[int]]:
    encoder, rows, kept = load_encoder("mini"), [], []
    for place, picture in enumerate(pictures):
        try:
            rows.append(encoder.encode_images([picture])[0])
        except ImageError:
            continue
        kept.append(place)
    return np.stack(rows), kept


def table(name: str, asked: Asked) -> None:
    """One line for each pair of kinds, and for one list."""
    found: dict[tuple[str, str, str], list[tuple[Floats, Bools, Bools]]] = {}
    for split in SPLITS:
        halves = np.array_split(np.random.default_rng(split).permutation(len(asked.texts)), 2)
        one, other = (np.sort(half) for half in halves)
        for captioned in (True, False):
            fitted = fit_calibration(
                asked.sample(one, captioned=captioned), fingerprint=name, seed=split
            )
            for key, tried in _tries(asked, fitted, other, captioned, split):
                found.setdefault(key, []).append(tried)
    for (asks, among, evidence), tries in found.items():
        said, so, first = (np.concatenate(part) for part in zip(*tries, strict=True))
        error, _ = reliability(said, so)
        print(
            f"| {name} | {asks} | {among} | {evidence} | {first.mean():.3f} "
            f"| {said.mean():.3f} | {so.mean():.3f} | {error:.3f} |",
            flush=True,
        )


def _tries(
    asked: Asked, fitted: Calibration, rows: NDArray[np.int64], captioned: bool, seed: int
) -> Iterator[tuple[tuple[str, str, str], tuple[Floats, Bools, Bools]]]:
    own = np.eye(len(rows), dtype=bool)
    alike = asked.alike[np.ix_(rows, rows)] & ~own
    stored = {"text": asked.texts[rows], "image": asked.images[rows]}
    queries = {"text": asked.questions[rows], "image": asked.images[rows]}
    label = "captioned" if captioned else "no captions"
    for asks in DOCUMENT_KINDS:
        for kind in DOCUMENT_KINDS:
            pair = fitted.pairs[asks, kind]
            right = alike if (asks, kind) == ("image", "image") else own
            if pair.slope is None or not right.any() or (not captioned and kind == "text"):
                continue
            if (asks, kind) == ("text", "text") and not asked.has_own_texts:
                continue
            scores, chances = _compared(fitted, asks, queries[asks], kind, stored[kind])
            if asks == kind == "image":
                np.fill_diagonal(scores, -np.inf)
            yield (asks, kind, f"{pair.evidence}, {label}"), _first(scores, chances, right)
    if fitted.pairs["text", "image"].slope is None or fitted.pairs["text", "text"].slope is None:
        return
    parts = {
        kind: _compared(fitted, "text", queries["text"], kind, stored[kind])
        for kind in DOCUMENT_KINDS
    }
    form = np.random.default_rng(seed).permutation(np.arange(len(rows)) % 3)
    who = np.arange(len(rows))
    if not asked.has_own_texts:
        form = np.where(np.random.default_rng(seed).permutation(len(rows)) % 2, 0, 1)
        who = np.flatnonzero(form == 1)
    by_text = parts["text"][0] >= parts["image"][0]
    by_text = np.where(form == 0, True, np.where(form == 1, False, by_text))
    scores, chances = (
        np.where(by_text, text, image)[who]
        for text, image in zip(parts["text"], parts["image"], strict=True)
    )
    yield ("text", "one list", label), _first(scores, chances, own[who])


def _compared(
    fitted: Calibration, asks: DocumentKind, queries: Vector, kind: DocumentKind, rows: Vector
) -> tuple[Floats, Floats]:
    """``(q, n)`` comparable scores and probabilities."""
    searched = fitted.documents(rows, np.full(len(rows), kind == "image"))
    scores, chances = np.empty((2, len(queries), len(rows)))
    for place, query in enumerate(fitted.queries(queries, asks)):
        scale, products = query.scale(kind, candidates=len(rows)), searched @ query.vector
        scores[place] = scale.comparable(products)
        found = scale.relevance(products)
        assert found is not None
        chances[place] = found
    return scores, chances


def _first(scores: Floats, chances: Floats, right: Bools) -> tuple[Floats, Bools, Bools]:
    """What is said of first hits, the answers there and gone; whether it is so; and if there."""
    able = right.any(axis=1)
    scores, chances, right = scores[able], chances[able], right[able]
    rows = np.arange(len(scores))
    first, wrong = scores.argmax(axis=1), np.where(right, -np.inf, scores).argmax(axis=1)
    there = right[rows, first]
    said = np.concatenate([chances[rows, first], chances[rows, wrong]])
    return said, np.concatenate([there, np.zeros(len(rows), bool)]), there


if __name__ == "__main__":
    main()
