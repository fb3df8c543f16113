"""What a knowledge graph of a million relations costs: to import, to keep, to search with.

Entities have two relations on average by a power law, one is a hub of a tenth of all relations;
20,000 records of random vectors mention them. Queries name an entity, and are asked without the
graph and with it, in turn, through one space; embedding is that of `mini`.

    python -m benchmarks.graph_scale --relations 1000000
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
from unisem.graph import Mention, Relation
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


def seconds(space: SemanticSpace, texts: list[str], how: GraphExpansion | None) -> list[float]:
    """How long each search took."""
    taken = []
    for text in texts:
        start = time.perf_counter()
        space.search(text, k=10, graph=how)
        taken.append(time.perf_counter() - start)
    return taken


def main() -> None:
    """Import, then ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relations", type=int, default=1_000_000)
    count = parser.parse_args().relations
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.unisem"
        with SemanticSpace.open(path) as space:
            d = space.encoder.dimension
            vectors = random.standard_normal((RECORDS, d), np.float32)
            space.add_embedded(
                EmbeddedRecord(Record(id=f"r{n}", text=f"record {n}"), {"text": vector})
                for n, vector in enumerate(vectors)
            )
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start, cpu = time.perf_counter(), time.process_time()
            space.graph.add(
                relations=relations(count, random),
                mentions=(Mention(f"r{n % RECORDS}", f"thing {n}") for n in range(2 * RECORDS)),
            )
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(
                f"import: {count / wall:,.0f} relations/s, {count / cpu:,.0f} of a processor's "
                f"second; memory grew by {grown:.0f} MB"
            )
            size = sum(file.stat().st_size for file in path.glob("catalog.sqlite*")) / 2**20
            print(f"catalogue: {size:,.0f} MB; {space.graph!r}")
            numbers = random.integers(0, 2 * RECORDS, QUERIES)
            texts = [f"thing {number} on a table" for number in numbers]
            texts[::10] = ["a hub of things"] * len(texts[::10])
            seconds(space, texts[:5], GraphExpansion())
            for depth in (1, 2, 3):
                plain, walked = [], []
                for text in texts:
                    plain += seconds(space, [text], None)
                    walked += seconds(space, [text], GraphExpansion(depth=depth))
                low, high = np.median(plain) * 1000, np.median(walked) * 1000
                worst = np.percentile(walked, 95) * 1000
                print(
                    f"depth {depth}: plain {low:.1f} ms, with the graph {high:.1f} ms "
                    f"(95 %: {worst:.1f}), {high / low:.2f} ×"
                )


if __name__ == "__main__":
    main()
