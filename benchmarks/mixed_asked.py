"""Whether the modality comes back that a question asks for in words.

    python -m benchmarks.mixed_asked [--library DIR] [--packages DIR] [--work DIR]

Titles of Open Clip Art (the strict set) ask with `mini` in one list, of which a third is there as
keywords, a third as a picture, a third as both, plainly and in phrases that want a picture or a
text. A calibration is fitted to half of the things, the other half asks and is asked; ten splits.
`RULE` was written in sight of the phrases in `KNOWN` alone; those in `UNSEEN` are what it is
tried on.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.relevance_evidence import Asked, embedded
from tools.open_clip_art import fetched_library
from unisem import load_encoder
from unisem.calibration import Calibration, fit_calibration
from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.records import Modality, Vector

Phrases = dict[Modality, tuple[str, ...]]
KNOWN: Phrases = {
    "image": ("a picture of {}", "show me photos of {}", "an image with {}", "drawings of {}"),
    "text": ("what has been written about {}", "a text about {}", "articles about {}"),
}
UNSEEN: Phrases = {
    "image": (
        "I need an illustration showing {}",
        "what does {} look like?",
        "do you have any pictures with {} in them",
        "find me a nice drawing of {}",
        "picture: {}",
        "{} clip art",
    ),
    "text": (
        "which article mentions {}",
        "tell me in words about {}",
        "notes on {}",
        "a description of {}",
        "is there a document on {}?",
        "where can I read about {}",
    ),
}
RULE: dict[Modality, re.Pattern[str]] = {
    "image": re.compile(
        r"^(?:.*\b)?(?:picture|photo|photograph|image|drawing)s?\s+(?:of|with|showing)\s+", re.I
    ),
    "text": re.compile(
        r"^(?:.*\b)?(?:written|texts?|articles?|documents?)\s+(?:about|on)\s+", re.I
    ),
}
"""What is cut off a question that wants a modality."""
SPLITS = range(10)


def told(question: str) -> tuple[str, Modality | None]:
    """What a question asks for but for the modality, and the modality, by rule."""
    for modality, rule in RULE.items():
        if (found := rule.match(question)) and found.end() < len(question):
            return question[found.end() :], modality
    return question, None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="unpacked library: a folder with png and svg")
    parser.add_argument("--packages", type=Path, help="a folder with the photographs' .deb files")
    parser.add_argument("--work", type=Path, default=Path("build/evidence"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    known = options.library or (options.work / "images.npz").exists()
    with nullcontext(options.library) if known else fetched_library() as library:
        sets = dict(embedded(library, options.packages, options.work))
    words = json.loads((options.work / "texts.json").read_text())
    rule_table(words)
    places_table(sets["clip art"], words["clip art"]["questions"])


def rule_table(words: dict[str, dict[str, list[str]]]) -> None:
    """How often the rule hears what is asked for, and how often it hears what is not."""
    print("| questions | modality heard | wrongly |\n|---|---|---|")
    titles = words["clip art"]["questions"]
    for name, phrases in (("known phrases", KNOWN), ("unseen phrases", UNSEEN)):
        for wanted, forms in phrases.items():
            heard = [told(form.format(title))[1] for form in forms for title in titles]
            right = np.mean([one == wanted for one in heard])
            wrong = np.mean([one not in (wanted, None) for one in heard])
            print(f"| {name} that ask for {wanted} | {right:.3f} | {wrong:.3f} |")
    for name, said in words.items():
        heard = [told(one)[1] is not None for one in said["questions"]]
        print(f"| plain, {name} | | {np.mean(heard):.3f} |", flush=True)


def places_table(asked: Asked, titles: Sequence[str]) -> None:
    """Who has the first places, and whether the thing that is asked for has one of them."""
    print("\n| asked for | list | way | places | first | nDCG@10 | change |\n" + "|---" * 7 + "|")
    encoder = load_encoder("mini")
    halves = []
    for split in SPLITS:
        order = np.random.default_rng(split).permutation(len(titles))
        one, other = (np.sort(half) for half in np.array_split(order, 2))
        fitted = fit_calibration(asked.sample(one), fingerprint="mini", seed=split)
        halves.append((fitted, other))
    for wanted, forms in UNSEEN.items():
        phrases = [
            encoder.encode_texts([form.format(title) for title in titles], "query")
            for form in forms
        ]
        for calibrated in (False, True):
            ways = {
                "the phrase": [(one, None) for one in phrases],
                "the phrase, modality given": [(one, wanted) for one in phrases],
                "the title": [(asked.questions, None)],
                "the title, modality given": [(asked.questions, wanted)],
            }
            before: Floats | None = None
            for way, several in ways.items():
                found = np.full((3, len(SPLITS), len(titles)), np.nan)
                for split in SPLITS:
                    fitted, other = halves[split]
                    parts = [
                        measured(
                            asked,
                            other,
                            queries[other],
                            fitted if calibrated else None,
                            wanted,
                            given,
                            split,
                        )
                        for queries, given in several
                    ]
                    found[:, split, other] = np.mean(parts, axis=0)
                means = np.nanmean(found, axis=1)
                known = ~np.isnan(means[2])
                before = means[2] if before is None else before
                change = (means[2] - before)[known]
                low, high = bootstrap_interval(change, rounds=2000)
                print(
                    f"| {wanted} | {'calibrated' if calibrated else 'raw'} | {way} "
                    f"| {np.nanmean(means[0]):.2f} | {np.nanmean(means[1]):.2f} "
                    f"| {means[2][known].mean():.3f} "
                    f"| {change.mean():+.3f} ({low:+.3f} to {high:+.3f}) |",
                    flush=True,
                )


def measured(
    asked: Asked,
    rows: NDArray[np.int64],
    queries: Vector,
    fitted: Calibration | None,
    wanted: Modality,
    given: Modality | None,
    seed: int,
) -> Floats:
    """``(3, q)``: share of the modality among the first ten, at the first place, and nDCG@10.

    ``nan`` where a thing is not there in that modality.
    """
    form = np.random.default_rng(seed).permutation(np.arange(len(rows)) % 3)
    scores = {}
    for kind, stored in (("text", asked.texts[rows]), ("image", asked.images[rows])):
        is_image = np.full(len(rows), kind == "image")
        scores[kind] = (
            (queries @ stored.T).astype(np.float64)
            if fitted is None
            else fitted.scores(queries, "text", stored, is_image)
        )
    best = np.maximum(scores["text"], scores["image"])
    best[:, form == 0] = scores["text"][:, form == 0]
    best[:, form == 1] = scores["image"][:, form == 1]
    suits = (form == 0) == (wanted == "text")
    if given is not None:
        best[:, ~suits] = -np.inf
    top = np.argsort(-best, axis=1, kind="stable")[:, :10]
    ndcg = Ranking.of(best, [[row] for row in range(len(rows))]).ndcg(10)
    found = np.stack([suits[top].mean(axis=1), suits[top[:, 0]].astype(float), ndcg])
    found[:, ~suits] = np.nan
    return found


if __name__ == "__main__":
    main()
