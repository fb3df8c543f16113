"""What a knowledge graph of a million relations costs: to import, to keep, to search with.

Entities have two relations on average by a power law, one is a hub of a tenth of all relations;
20,000 records of random vectors mention them. Queries name an entity, and are asked without the
graph and with it, in turn, through one space; embedding is that of `mini`. What a search costs is
the processor's time, of each the least of three: others may be using the machine.

    OMP_NUM_THREADS=1 python -m benchmarks.graph_scale --relations 1000000
    OMP_NUM_THREADS=1 python -m benchmarks.graph_scale --relations 1000000 --through csv
    OMP_NUM_THREADS=1 python -m benchmarks.graph_scale --relations 1000000 --through nt

With ``--through`` the relations are written to a file first, which is read as ``unisem graph add``
reads it, and nothing is asked.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unisem import Record, SemanticSpace
from unisem.graph import GraphSource, GraphTable, Mention, RdfFile, Relation
from unisem.records import EmbeddedRecord
from unisem.search import GraphExpansion

RECORDS = 20_000
QUERIES = 100


def relations(count: int, random: np.random.Generator) -> Iterator[Relation]:
    """Relations of a hub, then of entities by a power law, in blocks that fit in memory."""
    entities = count // 2
    for number in range(count // 10):
        yield Relation(f"thing {number}", "broader", "hub", float(random.uniform(0.5, 1)))
    left = count - count // 10
    while left:
        block = min(left, 10_000)
        subjects = random.integers(0, entities, block)
        objects = (entities * random.random(block) ** 3).astype(np.int64)
        weights = random.uniform(0.1, 1, block)
        for one, other, weight in zip(subjects, objects, weights, strict=True):
            yield Relation(f"thing {one}", "has", f"thing {other}", float(weight))
        left -= block


def source(place: Path, count: int, random: np.random.Generator) -> GraphSource:
    """A file of relations, CSV or N-Triples by its end, and what reads it."""
    with place.open("w", encoding="utf-8") as file:
        if place.suffix == ".csv":
            file.write("subject,type,object,weight\n")
        for it in relations(count, random):
            if place.suffix == ".csv":
                file.write(f"{it.subject},{it.type},{it.object},{it.weight}\n")
            else:
                ends = (f"<urn:t:{end.replace(' ', '-')}>" for end in (it.subject, it.object))
                file.write(f" <urn:t:{it.type}> ".join(ends) + " .\n")
    return GraphTable(place) if place.suffix == ".csv" else RdfFile(place)


def imported(space: SemanticSpace, made_by: GraphSource, count: int, records: int = 0) -> None:
    """Import, and print what that took; each record mentions two things."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    report = space.graph.add(
        made_by.entities(),
        made_by.relations(),
        (Mention(f"r{n % records}", f"thing {n}") for n in range(2 * records)),
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"import of {report.relations:,} relations: {count / wall:,.0f} in a second, "
        f"{count / cpu:,.0f} in a processor's; memory grew by {grown:.0f} MB"
    )


def cost(space: SemanticSpace, text: str, how: GraphExpansion | None) -> float:
    """Milliseconds of a processor that a search takes, the least of three."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        space.search(text, k=10, graph=how)
        taken.append(time.process_time() - start)
    return min(taken) * 1000


class _Made(GraphSource):
    """The relations themselves."""

    def __init__(self, count: int, random: np.random.Generator) -> None:
        self._count, self._random = count, random

    def relations(self) -> Iterator[Relation]:
        return relations(self._count, self._random)


def main() -> None:
    """Import, then ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relations", type=int, default=1_000_000)
    parser.add_argument("--through", choices=("csv", "nt"))
    options = parser.parse_args()
    count, random = options.relations, np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.unisem"
        with SemanticSpace.open(path) as space:
            if options.through is not None:
                made_by = source(Path(folder) / f"triples.{options.through}", count, random)
                imported(space, made_by, count)
                return
            d = space.encoder.dimension
            vectors = random.standard_normal((RECORDS, d), np.float32)
            space.add_embedded(
                EmbeddedRecord(Record(id=f"r{n}", text=f"record {n}"), {"text": vector})
                for n, vector in enumerate(vectors)
            )
            imported(space, _Made(count, random), count, RECORDS)
            size = sum(file.stat().st_size for file in path.glob("catalog.sqlite*")) / 2**20
            print(f"catalogue: {size:,.0f} MB; {space.graph!r}")
            numbers = random.integers(0, 2 * RECORDS, QUERIES)
            texts = [f"thing {number} on a table" for number in numbers]
            texts[::10] = ["a hub of things"] * len(texts[::10])
            for text in texts[:5]:
                space.search(text, k=10, graph=GraphExpansion())
            for depth in (1, 2, 3):
                how = GraphExpansion(depth=depth)
                pairs = [(cost(space, text, None), cost(space, text, how)) for text in texts]
                plain, walked = np.median(pairs, axis=0)
                worst = np.percentile([high for _, high in pairs], 95)
                print(
                    f"depth {depth}: plain {plain:.1f} ms, with the graph {walked:.1f} ms "
                    f"(95 %: {worst:.1f}), {walked / plain:.2f} ×"
                )


if __name__ == "__main__":
    main()
