"""Two-hop questions over a manual, asked with the graph of its links and without.

    apt-get download gimp-help-en
    dpkg-deb -x gimp-help-en_*.deb packages
    OMP_NUM_THREADS=1 python -m benchmarks.graph_two_hops packages --work build/graph

See `benchmarks.graph_manual` for the questions. Each way to ask is tried on some of the half for
choosing; the best of those with a graph is asked the other half, beside those without one and the
default. Indexing takes five minutes of one processor, once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.graph_asking import Way, asked, table
from benchmarks.graph_manual import MANUAL, Question, questions
from unisem import SemanticSpace
from unisem.evaluation.ranking import Floats
from unisem.graph.sources.record_links import RecordLinks
from unisem.search.fusion import RankFusion, WeightedFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.stores.selection import Selection

_WALK = GraphExpansion()
_LINKS = GraphExpansion(types={"links_to": 1.0, "part_of": 0.3})
PLAIN: Mapping[str, Way] = {"vector": ("vector", None), "hybrid": ("hybrid", None)}
WALKED: Mapping[str, Way] = {
    "vector, PageRank": ("vector", _WALK),
    "hybrid, PageRank": ("hybrid", _WALK),
    "… one step": ("hybrid", replace(_WALK, depth=1)),
    "… half and half": ("hybrid", replace(_WALK, fusion=WeightedFusion(0.5))),
    "… by ranks": ("hybrid", replace(_WALK, fusion=RankFusion())),
    "… damping 0.85": ("hybrid", replace(_WALK, damping=0.85)),
    "… by ranks, one step": ("hybrid", replace(_WALK, depth=1, fusion=RankFusion())),
    "… by ranks, from the first hit": ("hybrid", replace(_WALK, seed_hits=1, fusion=RankFusion())),
    "… by ranks, one step, from the first hit": (
        "hybrid",
        replace(_WALK, depth=1, seed_hits=1, fusion=RankFusion()),
    ),
    "… by ranks, along links": ("hybrid", replace(_LINKS, fusion=RankFusion())),
    "… by ranks, along links, one step": (
        "hybrid",
        replace(_LINKS, depth=1, fusion=RankFusion()),
    ),
}
"""Ways with a graph, of which the best is chosen."""
WAYS = {**PLAIN, **WALKED}


def main() -> None:
    """Index the manuals, choose, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", type=Path, help="where the packages are unpacked")
    parser.add_argument("--work", type=Path, default=Path("build/graph"))
    parser.add_argument("--most", type=int, default=400, help="questions of a manual")
    parser.add_argument("--choose", type=int, default=100, help="questions to choose by")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    console = Console(width=110)
    folder = (options.packages / MANUAL).resolve()
    with SemanticSpace.open(options.work / "gimp.unisem") as space:
        space.add_folder(folder)
        links = RecordLinks(space.store, space.image_library)
        report = space.graph.add(links.entities(), links.relations(), links.mentions())
        every = questions(folder, list(space.store.select()), options.most)
        console.print(f"{len(space):,} records, {report}")
        choosing = [one for one in every if one.is_for_choosing][: options.choose]
        tried = {way: by_figure(space, how, choosing) for way, how in WAYS.items()}
        console.print(table(f"{len(choosing)} questions to choose by", tried))
        best = max(WALKED, key=lambda way: tried[way].mean())
        others = [one for one in every if not one.is_for_choosing]
        ways = dict.fromkeys([*PLAIN, "hybrid, PageRank", best])
        for told, title in ((True, "others"), (False, "others, by the sentence alone")):
            found = {way: by_figure(space, WAYS[way], others, told=told) for way in ways}
            console.print(table(f"{len(others)} {title}", found))
            for way in PLAIN:
                console.print(ratio(f"{best} / {way}", found[best], found[way]))


def by_figure(
    space: SemanticSpace, way: Way, every: Sequence[Question], *, told: bool = True
) -> Floats:
    """Whether one of the first five pictures among a hundred hits is right.

    There is no filter for pictures: passages are where a walk begins.

    Args:
        space: Of the manual.
        way: How to ask.
        every: The questions.
        told: Whether the section's heading comes before the sentence.
    """
    pictured = {one.id for one in space.store.select(Selection(modality="image"))}
    hits: list[float] = []
    for one in every:
        found = asked(space, way, one.told if told else one.text, k=100)
        figures = [name for name in found if name in pictured][:5]
        hits.append(float(bool(one.right.intersection(figures))))
    return np.array(hits)


def ratio(title: str, values: Floats, others: Floats) -> str:
    """How many times as much the first are as the others, with its interval over questions."""
    random = np.random.default_rng(0)
    picked = random.integers(0, len(values), (2000, len(values)))
    times = values[picked].mean(axis=1) / np.maximum(others[picked].mean(axis=1), 1e-9)
    low, high = np.quantile(times, [0.025, 0.975])
    return f"{title}: {values.mean() / others.mean():.2f} times ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
