"""A vector for every word and place as second stage, beside one vector, on scenes of shapes.

    python -m benchmarks.late_interaction [--docs docs/measured]

Two models stand on `mini`'s frozen towers, with the same heads (a linear layer, GELU and another
one for each side, 128 and 64 numbers), and are trained on the same seeded scenes
(`benchmarks.scenes_data`, each beside those that its swapped captions describe) in the same
batches, by InfoNCE in both directions. They differ in one thing: **one vector** takes the mean
over a text's tokens, or a picture's 49 places, before vectors are compared; **many vectors**
compares all by MaxSim. Measured are other scenes, again each with its swaps: every scene's
caption is asked among all of them by one vector; then the first 50 are ordered anew by many
vectors, whole, in eight bits, and pooled; or by both scores together. These are mixed in two ways:
as `RerankCalibration` fits it to scenes that were held back from both models, which is
what `unisem calibrate --reranker` does; and half and half, each score less its mean and by its
standard deviation among the 50, which is not fitted at all. Relevant is every picture that the
caption is true of. Each seed draws scenes of its own to learn from, to hold back and to ask for; a
scene is left out, with its swaps, if a caption that is true of one of them is true of a scene of
another of the three. Changes are paired with one vector of the same seed; intervals are of 95 %, by
bootstrap over the scenes of all seeds, each with its swaps.

The models of the first seed are saved, loaded again by `load_encoder` and `load_reranker`, and
asked through a space that keeps the token vectors; what that finds must be what is computed here.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router
from sentence_transformers.sentence_transformer.modules import Pooling
from torch.nn import functional

from benchmarks.late_interaction_heads import (
    SIDES,
    WIDTH,
    Features,
    Heads,
    apart,
    digest,
    features,
    fitted,
    swapped_together,
    tower,
)
from benchmarks.scenes_data import Scene, held_out_combinations, scenes, with_swaps
from unisem import Record, SemanticSpace
from unisem.evaluation.ranking import Ranking, bootstrap_interval
from unisem.rerank import load_reranker
from unisem.rerank.int8_vectors import Int8Form
from unisem.rerank.max_sim import max_sim
from unisem.rerank.token_store import TokenStore
from unisem.search import RerankCalibration

Numbers = NDArray[np.float32]
Floats = NDArray[np.float64]

DEPTH = 50
FEWEST = 40  # ten scenes with their swaps, of which some are found first and some are not
FORMS = {"whole": None, "eight bits": 1, "eight bits, pooled by 2": 2, "… by 3": 3, "… by 6": 6}
KEPT = "eight bits"
FITTED, HALF = (f"{KEPT} and one vector, {how}" for how in ("as fitted", "half and half"))


def main() -> None:
    """Train, measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5, 6, 7])
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--held-back", type=int, default=200)
    parser.add_argument("--asked", type=int, default=400)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("build/late_interaction"))
    parser.add_argument("--docs", type=Path, help="write late_interaction.md there")
    options = parser.parse_args()
    if min(options.scenes, options.held_back, options.asked) < FEWEST:
        parser.error(f"--scenes, --held-back and --asked are {FEWEST} scenes at least")
    options.work.mkdir(parents=True, exist_ok=True)
    towers = {side: tower(side) for side in SIDES}
    runs = []
    for seed in options.seeds:
        train, held_back, asked = (
            Part(made, features(towers, made, folder_of(options.work, seed, name, made)))
            for name, made in drawn(seed, options).items()
        )
        one, many = (Heads(train.features, pooled, seed) for pooled in (True, False))
        costs = [fitted(it, train.features, train.made, options, seed) for it in (one, many)]
        mixture, share = weighed(asked_of(one, many, held_back, {KEPT: FORMS[KEPT]}))
        runs.append(judged(one, many, asked, mixture))
        runs[-1].costs, runs[-1].share = costs, share
        if seed == options.seeds[0]:
            through = through_a_space(one, many, towers, asked.made, options, runs[0])
    lines = [*quality(runs, options), "", *agreement(runs), "", through, "", *compared()]
    Console(width=200).print("\n".join(lines), markup=False)
    if options.docs is not None:
        write_page(options.docs, lines)


def folder_of(work: Path, seed: int, name: str, made: Sequence[Scene]) -> Path:
    """Where a part's pictures are, and of no other scenes."""
    return work / f"{seed}-{name}-{digest(made)}"


class Part(NamedTuple):
    """Scenes, and what the towers say of them."""

    made: tuple[Scene, ...]
    features: Features


def drawn(seed: int, options: argparse.Namespace) -> dict[str, tuple[Scene, ...]]:
    """A seed's scenes: to learn from, held back, and asked for; no true caption in two of them."""
    held = held_out_combinations()
    learned, asked = (with_swaps(scenes(n, held), n, held) for n in (2 * seed, 2 * seed + 1))
    seen: set[str] = set()
    return {
        "train": apart(learned, options.scenes, seen),
        "held": apart(learned, options.held_back, seen),
        "asked": apart(asked, options.asked, seen),
    }


class Judged:
    """What one seed's models say of the scenes that are asked for."""

    costs: Sequence[float]
    share: float

    def __init__(self, made: Sequence[Scene]) -> None:
        self.groups = swapped_together(made)
        self.kinds = Counter(scene.kind for scene in made)
        self.rankings: dict[str, Ranking] = {}
        self.reranked: dict[str, Numbers] = {}
        self.bytes: dict[str, float] = {}


class Asked(NamedTuple):
    """Every caption asked among all pictures: scores ``(n, n)``, and ``(n, DEPTH)`` first ones."""

    relevant: list[list[int]]
    first: Numbers
    places: NDArray[np.int64]
    many: dict[str, Numbers]
    """Of each form ``(n, DEPTH)`` scores of the first ones."""
    bytes: dict[str, float]


@torch.inference_mode()
def asked_of(one: Heads, many: Heads, part: Part, forms: Mapping[str, int | None]) -> Asked:
    """Ask for all scenes by one vector, and judge the first of them by many in each form."""
    texts, images = (one(side, *part.features[side]) for side in SIDES)
    first: Numbers = (texts @ images.T).numpy()
    places = np.argsort(-first, axis=1, kind="stable")[:, :DEPTH]
    tokens, mask = many("text", *part.features["text"]), part.features["text"][1]
    queries = [vectors[there].numpy() for vectors, there in zip(tokens, mask, strict=True)]
    pictures = list(many("image", *part.features["image"]).numpy())
    scores, sizes = {}, {}
    for name, factor in forms.items():
        form = None if factor is None else Int8Form(factor)
        kept = pictures if form is None else [form.formed(it) for it in pictures]
        sizes[name] = mean([it.nbytes if form is None else len(form.packed(it)) for it in pictures])
        scores[name] = np.stack(
            [
                max_sim(query, [[kept[place]] for place in row])
                for query, row in zip(queries, places, strict=True)
            ]
        )
    relevant = [
        [n for n, other in enumerate(part.made) if scene.true[0] in other.true]
        for scene in part.made
    ]
    return Asked(relevant, first, places, scores, sizes)


def weighed(asked: Asked) -> tuple[RerankCalibration, float]:
    """A mixture fitted to what both models did not learn from, and one vector's share in it."""
    own = np.take_along_axis(asked.first, asked.places, 1).astype(np.float64)
    judged = asked.many[KEPT].astype(np.float64)
    right = [np.isin(row, wanted) for row, wanted in zip(asked.places, asked.relevant, strict=True)]
    mixture = RerankCalibration.fit(list(judged), list(own), right)
    return mixture, mixture.own / (mixture.own + mixture.judged * float(judged.std()))


def judged(one: Heads, many: Heads, part: Part, mixture: RerankCalibration) -> Judged:
    """Rank all scenes by one vector, then the first of them by many in each form, and by both."""
    asked = asked_of(one, many, part, FORMS)
    found = Judged(part.made)
    found.rankings["one vector"] = Ranking.of(asked.first, asked.relevant)
    found.bytes = {"one vector": 4.0 * WIDTH} | asked.bytes

    def ranked(name: str, new: Numbers | Floats) -> None:
        scores = asked.first.astype(np.float64)
        np.put_along_axis(scores, asked.places, 10 + new.astype(np.float64), 1)
        found.rankings[name] = Ranking.of(scores, asked.relevant)
        found.reranked[name] = scores

    for name, scores in asked.many.items():
        ranked(name, scores)
    own = np.take_along_axis(asked.first, asked.places, 1)
    pairs = list(zip(asked.many[KEPT], own, strict=True))
    ranked(FITTED, np.stack([mixture.probabilities(a.astype(np.float64), b) for a, b in pairs]))
    ranked(HALF, np.stack([standard(a) + standard(b) for a, b in pairs]))
    found.bytes |= dict.fromkeys((FITTED, HALF), asked.bytes[KEPT] + found.bytes["one vector"])
    return found


def standard(scores: Numbers) -> Numbers:
    """Scores of a list, less their mean, by their standard deviation."""
    centred: Numbers = scores - scores.mean()
    return centred / max(float(scores.std()), 1e-6)


def through_a_space(
    one: Heads,
    many: Heads,
    towers: dict[str, Any],
    made: Sequence[Scene],
    options: argparse.Namespace,
    expected: Judged,
) -> str:
    """Save both, ask a space, and say what a query costs and whether it is as computed."""
    work, folder = options.work, folder_of(options.work, options.seeds[0], "asked", made)
    for heads in (one, many):
        sides = {}
        for side in SIDES:
            whole = [towers[side], *heads.sides[side]]
            sides[side] = [*whole, Pooling(WIDTH, "mean")] if heads.pooled else whole
        router = Router(sides, route_mappings={(None, side): side for side in SIDES})
        model: Any
        if heads.pooled:
            model = SentenceTransformer(modules=[router, Normalize()])
        else:
            normalize = Normalize(module_input_name="token_embeddings")
            model = MultiVectorEncoder(modules=[router, normalize])
        model.save_pretrained(str(work / ("one" if heads.pooled else "many")))
    place = work / "scenes.unisem"
    shutil.rmtree(place, ignore_errors=True)  # it may be of an earlier run's encoder
    reranker = load_reranker(work / "many")
    told: list[str] = []
    with SemanticSpace.open(place, encoder=str(work / "one"), image_roots=[folder]) as kept:
        kept.add([Record(id=f"{n:05}", image=folder / f"{n:05}.png") for n in range(len(made))])
        report = kept.make_tokens(reranker)  # type: ignore[arg-type]
        some = range(0, len(made), max(len(made) // 50, 1))
        costs = {"one vector": 0.0, "and many": 0.0}
        agreeing = 0
        for n in some:
            text = made[n].true[0]
            for name, judge in (("one vector", None), ("and many", reranker)):
                begun = time.process_time()
                hits = kept.search(text, k=10, reranker=judge, fetch_k=DEPTH, duplicates="keep")
                costs[name] += (time.process_time() - begun) / len(some)
            best = int(np.argmax(expected.reranked[KEPT][n]))
            agreeing += int(hits[0].record.id) == best
        told.append(f"{report.made + report.present} pictures' vectors are kept")
    milliseconds = [f"{1000 * cost:.1f} ms" for cost in costs.values()]
    return (
        f"Through a space of {len(made)} pictures ({told[0]}): the first hit is the one computed "
        f"above for {agreeing} of {len(some)} captions; a query costs {milliseconds[0]} of a "
        f"processor by one vector and {milliseconds[1]} with {DEPTH} hits ordered anew."
    )


def quality(runs: Sequence[Judged], options: argparse.Namespace) -> list[str]:
    """hit@1, hit@10 and the reciprocal rank, and what they gain over one vector."""
    kinds = sum((run.kinds for run in runs), Counter[str]())
    asked = ", ".join(f"{count:,} of {kind}" for kind, count in sorted(kinds.items()))
    lines = [
        f"At most {options.scenes} scenes to learn from, {options.held_back} held back and "
        f"{options.asked} asked for ({asked}, in all), {options.steps} steps; "
        f"seeds {', '.join(map(str, options.seeds))}. Training took "
        f"{mean([it.costs[0] for it in runs]):.0f} s of a processor for one vector and "
        f"{mean([it.costs[1] for it in runs]):.0f} s for many.",
        "",
        "| by | bytes a picture | hit@1 | gained | hit@10 | gained | MRR | gained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    measures: list[Callable[[Ranking], NDArray[np.float64]]] = [
        lambda ranking: ranking.hit(1),
        lambda ranking: ranking.hit(10),
        lambda ranking: ranking.reciprocal_rank(),
    ]
    groups = np.concatenate([1_000_000 * n + np.array(run.groups) for n, run in enumerate(runs)])
    for name in ("one vector", *FORMS, FITTED, HALF):
        cells = [f"{runs[0].bytes[name]:,.0f}"]
        for measure in measures:
            found = np.concatenate([measure(run.rankings[name]) for run in runs])
            base = np.concatenate([measure(run.rankings["one vector"]) for run in runs])
            cells.append(f"{found.mean():.3f}")
            low, high = bootstrap_interval(found - base, groups=groups, rounds=2000)
            gained = f"{(found - base).mean():+.3f} ({low:+.3f} to {high:+.3f})"
            cells.append("" if name == "one vector" else gained)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    names = ("one vector", "whole", KEPT, FITTED, HALF)
    lines += [
        "",
        "| seed | one vector, hit@1 | many, whole | many, eight bits | both, as fitted | both, "
        "half and half | one vector's share, as fitted |",
        "|---|---|---|---|---|---|---|",
    ]
    for seed, run in zip(options.seeds, runs, strict=True):
        shares = [f"{run.rankings[name].hit(1).mean():.3f}" for name in names]
        lines.append(f"| {seed} | {' | '.join(shares)} | {run.share:.2f} |")
    return lines


def agreement(runs: Sequence[Judged]) -> list[str]:
    """How far eight bits and pooling change the order of the first 50."""
    lines = [
        "| beside whole vectors | same first | of the first ten | pairs in the same order | "
        "largest change of a score |",
        "|---|---|---|---|---|",
    ]
    for name in list(FORMS)[1:]:
        same, ten, pairs, change = [], [], [], 0.0
        for run in runs:
            for whole, kept in zip(run.reranked["whole"], run.reranked[name], strict=True):
                places = np.argsort(-whole, kind="stable")[:DEPTH]
                a, b = whole[places], kept[places]
                order = places[np.argsort(-b, kind="stable")]
                same.append(order[0] == places[0])
                ten.append(len(set(order[:10]) & set(places[:10])) / 10)
                upper = np.triu_indices(len(places), 1)
                pairs.append(float(np.mean((b[:, None] - b)[upper] > 0)))
                change = max(change, float(np.abs(a - b).max()))
        lines.append(
            f"| {name} | {mean(same):.3f} | {mean(ten):.3f} | {mean(pairs):.3f} | {change:.3f} |"
        )
    return lines


def compared() -> list[str]:
    """What reading and comparing kept vectors costs, without encoding the query."""
    lines = [
        "| kept vectors of a picture | candidates | read | compared |",
        "|---|---|---|---|",
    ]
    rng = np.random.default_rng(0)
    place = Path("build/late_interaction/cost")
    place.mkdir(parents=True, exist_ok=True)
    for count, width, factor in ((49, WIDTH, 1), (1030, 128, 1), (1030, 128, 3)):
        whole = functional.normalize(torch.from_numpy(rng.normal(size=(count, width))), dim=-1)
        form = Int8Form(1)
        fewer = whole.numpy()[: count // factor].astype(np.float32)
        store = TokenStore(place, f"{count}-{factor}".rjust(16, "x"), form)
        keys = [f"{n:064x}" for n in range(1000)]
        content = form.packed(fewer)
        store.write(dict.fromkeys(keys, content))
        query = whole.numpy()[:20].astype(np.float32)
        for candidates in (50, 200, 1000):
            begun = time.process_time()
            kept = store.read(keys[:candidates])
            middle = time.process_time()
            max_sim(query, [[kept[key]] for key in keys[:candidates]])
            ended = time.process_time()
            lines.append(
                f"| {len(fewer)} of {width} ({len(content):,} bytes) | {candidates:,} | "
                f"{1000 * (middle - begun):.1f} ms | {1000 * (ended - middle):.1f} ms |"
            )
        store.path.unlink()
    return lines


def mean(values: Sequence[Any]) -> float:
    """A mean."""
    return float(np.mean(values))


def write_page(docs: Path, lines: Sequence[str]) -> None:
    """The tables, above what is written by hand."""
    page = docs / "late_interaction.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    _, heading, remarks = old.partition("## What to make of it")
    told = "`python -m benchmarks.late_interaction --docs docs/measured` writes these tables."
    head = __doc__.split("\n\n", 2)[2].strip()
    text = ["# Late interaction, measured", head, told, "\n".join(lines)]
    page.write_text("\n\n".join(text) + f"\n\n{heading}{remarks}", encoding="utf-8")


if __name__ == "__main__":
    main()
