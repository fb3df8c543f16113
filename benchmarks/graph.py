"""Does a knowledge graph find more? Queries for kinds of things over drawings and photographs.

    apt-get download wordnet-base gcompris-qt-data openclipart-png openclipart-svg
    for package in *.deb; do dpkg-deb -x "$package" packages; done
    OMP_NUM_THREADS=1 python -m benchmarks.graph kinds packages --work build/graph
    OMP_NUM_THREADS=1 python -m benchmarks.graph terms packages --work build/graph

``kinds`` asks for pictures by the name of something more general (`benchmarks.graph_kinds`), once
with captions hidden, where all that is known of a picture is its pixels, and once with captions;
and for pictures by their own titles and by their whole captions, which must not get worse.
``terms`` says what narrower terms are worth where nothing has to be linked: the query's synset is
known, and a picture counts by its cosine to the query and its best cosine to a narrower name, at
most so many steps down. Two hops over manuals are `benchmarks.graph_two_hops`.
Intervals are of the differences, paired by query. Vectors are kept in ``--work``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.graph_asking import Way, asked, table
from benchmarks.graph_data import Remembering, pictures_of, space_of
from benchmarks.graph_kinds import KindQuery, Taxonomy, kind_queries
from unisem import SemanticSpace
from unisem.evaluation.ranking import Floats
from unisem.records import Vector
from unisem.search.fusion import WeightedFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.stores.selection import Selection

WORDNET = "usr/share/wordnet"
K = 10
_TAXONOMY = GraphExpansion(method="taxonomy")
KINDS: Mapping[str, Way] = {
    "vector": ("vector", None),
    "hybrid": ("hybrid", None),
    "vector + taxonomy": ("vector", _TAXONOMY),
    "… three steps, 64 neighbours": ("vector", replace(_TAXONOMY, depth=3, limit=64)),
    "… 16 terms": ("vector", replace(_TAXONOMY, terms=16)),
    "… counting 0.3": ("vector", replace(_TAXONOMY, fusion=WeightedFusion(0.7))),
    "vector + PageRank": ("vector", GraphExpansion()),
    "… along broader, three steps": ("vector", GraphExpansion(depth=3, types=["broader"])),
    "hybrid + taxonomy": ("hybrid", _TAXONOMY),
    "hybrid + PageRank": ("hybrid", GraphExpansion()),
}
"""How kind-of queries are asked; the first is what the others are compared with."""
HIDDEN = tuple(name for name in KINDS if "hybrid" not in name)  # there are no words then


def main() -> None:
    """Run one measurement and print its tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, run, words in (
        ("kinds", _kinds, "kind-of queries over drawings and photographs"),
        ("terms", _terms, "what narrower terms are worth, without a space"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("packages", type=Path, help="where the packages are unpacked")
        command.add_argument("--work", type=Path, default=Path("build/graph"))
        command.add_argument("--most", type=int, default=200, help="questions, or captions")
        command.set_defaults(run=run)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    run: Callable[[argparse.Namespace, Console], None] = options.run
    run(options, Console(width=110))


def _kinds(options: argparse.Namespace, console: Console) -> None:
    shown = pictures_of(options.packages, options.work)
    taxonomy = Taxonomy(options.packages / WORDNET)
    queries = kind_queries(taxonomy, shown.captions)
    encoder = Remembering(options.work / "texts.npz")
    console.print(f"{len(queries)} kinds, {len(shown.captions):,} pictures")
    for captioned in (False, True):
        with space_of(shown, encoder, captioned=captioned) as space:
            taxonomy.fill(space)
            space.graph.embed_names()
            space.graph.link_records(texts=captioned, images=not captioned)
            console.print(repr(space.graph))
            ways = KINDS if captioned else HIDDEN
            state = "captions shown" if captioned else "captions hidden"
            found = {name: _by_kind(space, KINDS[name], queries) for name in ways}
            console.print(table(f"{state}: kinds", found))
            titles = [caption.partition(". ")[0] for caption in shown.captions]
            picked = np.random.default_rng(0).permutation(len(titles))[: options.most]
            sought = {"titles": titles} | ({} if captioned else {"whole captions": shown.captions})
            for what, texts in sought.items():
                own = {name: _by_own(space, KINDS[name], texts, picked) for name in ways}
                console.print(table(f"{state}: pictures by their own {what}", own))
        encoder.keep()


def _terms(options: argparse.Namespace, console: Console) -> None:
    shown = pictures_of(options.packages, options.work)
    taxonomy = Taxonomy(options.packages / WORDNET)
    queries = kind_queries(taxonomy, shown.captions)
    encoder = Remembering(options.work / "texts.npz")
    alone = shown.vectors @ encoder.encode_texts([one.text for one in queries]).T
    found = {"query alone": _ranked(alone, queries)}
    for steps in (1, 2, 3):
        best = alone.copy()
        for place, query in enumerate(queries):
            names = [taxonomy.names[one][0] for one in taxonomy.narrower(query.synset, steps)]
            best[:, place] = (shown.vectors @ encoder.encode_texts(names).T).max(axis=1)
        found[f"best narrower term or query, {steps} down"] = _ranked(
            np.maximum(alone, best), queries
        )
        found[f"query + half of best, {steps} down"] = _ranked(alone + best / 2, queries)
        found[f"query + best narrower term, {steps} down"] = _ranked(alone + best, queries)
    encoder.keep()
    console.print(table(f"{len(queries)} kinds, captions hidden", found))


def _ranked(scores: Vector, queries: Sequence[KindQuery]) -> Floats:
    """nDCG@10 of each query by ``(pictures, queries)`` scores."""
    values: list[float] = []
    for place, query in enumerate(queries):
        order = [one for one in np.argsort(-scores[:, place]) if one not in query.literal]
        right = {_name(one) for one in query.relevant}
        values.append(_ndcg([_name(one) for one in order[:K]], right))
    return np.array(values)


def _by_kind(space: SemanticSpace, way: Way, queries: Sequence[KindQuery]) -> Floats:
    """nDCG@10 of each query, over the pictures that count for it."""
    values: list[float] = []
    total = len(space)
    for query in queries:
        counted = tuple(_name(place) for place in range(total) if place not in query.literal)
        right = {_name(place) for place in query.relevant}
        values.append(_ndcg(asked(space, way, query.text, Selection(ids=counted)), right))
    return np.array(values)


def _by_own(space: SemanticSpace, way: Way, texts: Sequence[str], picked: Sequence[int]) -> Floats:
    """nDCG@10 of titles or captions; right are the pictures that have the same."""
    values: list[float] = []
    for place in picked:
        right = {_name(other) for other, said in enumerate(texts) if said == texts[place]}
        values.append(_ndcg(asked(space, way, texts[place]), right))
    return np.array(values)


def _ndcg(found: Sequence[str], right: set[str]) -> float:
    gained = sum(1 / np.log2(rank + 2) for rank, name in enumerate(found[:K]) if name in right)
    best = sum(1 / np.log2(rank + 2) for rank in range(min(K, len(right))))
    return float(gained / best)


def _name(place: int) -> str:
    return f"{place:04d}"


if __name__ == "__main__":
    main()
