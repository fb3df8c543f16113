"""Walks and PageRank against NetworkX, and how bounds hold."""

from __future__ import annotations

from itertools import pairwise

import networkx
import numpy as np
import pytest

from unisem import SemanticSpace
from unisem.graph import Relation
from unisem.graph.pagerank import pagerank
from unisem.graph.walking import MOST_WALKED, narrower, spread


@pytest.mark.parametrize("damping", [0.0, 0.5, 0.85])
@pytest.mark.parametrize("seed", range(4))
def test_pagerank_is_that_of_networkx(seed: int, damping: float) -> None:
    random = np.random.default_rng(seed)
    count = 40
    graph = networkx.Graph()
    graph.add_nodes_from(range(count))  # some of them alone, one with itself
    for one, other in random.integers(0, count - 5, (60, 2)).tolist():
        graph.add_edge(one, other, weight=float(random.uniform(0.1, 3)))
    graph.add_edge(3, 3, weight=2.0)
    seeds = np.where(random.random(count) < 0.2, random.random(count), 0.0)
    seeds[count - 1] = 0.5
    edges = np.array(graph.edges(), np.int64)
    weights = np.array([graph.edges[edge]["weight"] for edge in graph.edges()])
    found = pagerank(edges, weights, seeds, damping=damping)
    wanted = networkx.pagerank(
        graph, alpha=damping, personalization=dict(enumerate(seeds)), tol=1e-13, max_iter=500
    )
    assert np.abs(found - [wanted[node] for node in range(count)]).max() < 1e-8


def test_weights_that_vanish_leave_numbers() -> None:
    edges = np.array([[0, 1], [1, 2], [2, 3]], np.int64)
    found = pagerank(edges, np.array([5e-324, 0.0, 1.0]), np.array([1.0, 0, 0, 0]))
    assert np.abs(found - [2 / 3, 1 / 3, 0, 0]).max() < 1e-8


def test_a_walk_over_a_stored_graph_is_pagerank_of_its_neighbourhood(space: SemanticSpace) -> None:
    random = np.random.default_rng(1)
    relations = [
        Relation(f"e{one}", kind, f"e{other}", float(random.uniform(0.1, 3)))
        for one, other in random.integers(0, 30, (50, 2)).tolist()
        for kind in ("is", "has")[: 1 + one % 2]
    ]
    space.graph.add(relations=relations)
    graph = networkx.Graph()
    for it in {(it.subject, it.type, it.object): it for it in relations}.values():
        known = graph.get_edge_data(it.subject, it.object, {"weight": 0.0})["weight"]
        factor = {"is": 1.0, "has": 2.0}[it.type]
        graph.add_edge(it.subject, it.object, weight=known + factor * it.weight)
    with space.store.graph.reading() as reader:
        numbers = reader.numbers([f"e{n}" for n in range(30)])
        seeds = {numbers["e1"]: 1.0, numbers["e2"]: 0.5}
        reached = spread(
            reader, seeds, depth=30, limit=99, types={"is": 1.0, "has": 2.0}, damping=0.5
        )
    wanted = networkx.pagerank(
        graph, alpha=0.5, personalization={"e1": 1.0, "e2": 0.5}, tol=1e-13, max_iter=500
    )
    for name, number in numbers.items():
        assert reached.weights.get(number, 0.0) == pytest.approx(wanted[name], abs=1e-8)
        if number in reached.before:
            path = reached.path(number)
            assert path[0] in seeds
            ends = [numbers_to_names(numbers)[step] for step in path]
            assert all(graph.has_edge(a, b) for a, b in pairwise(ends))


def numbers_to_names(numbers: dict[str, int]) -> dict[int, str]:
    return {number: name for name, number in numbers.items()}


def test_hubs_and_depths_are_bounded(space: SemanticSpace) -> None:
    hub = [Relation("hub", "has", f"leaf {i}", 1 + i / 1000) for i in range(500)]
    chain = [Relation(f"leaf {i}", "has", f"fruit {i}") for i in range(500)]
    space.graph.add(relations=[*hub, *chain])
    with space.store.graph.reading() as reader:
        hub_number = reader.numbers(["hub"])["hub"]
        near = spread(reader, {hub_number: 1.0}, depth=1, limit=7, types=None, damping=0.5)
        assert len(near.weights) == 8
        far = spread(reader, {hub_number: 1.0}, depth=2, limit=400, types=None, damping=0.5)
        assert len(far.weights) == 401 + MOST_WALKED - 1
        none = spread(reader, {hub_number: 1.0}, depth=2, limit=7, types={"is": 1.0}, damping=0.5)
        assert none.weights == {hub_number: 1.0}


def test_narrower_terms_are_found_whichever_way_they_are_said(space: SemanticSpace) -> None:
    space.graph.add(
        relations=[
            Relation("banjo", "broader", "string instrument"),
            Relation("instrument", "narrower", "string instrument"),
            Relation("string instrument", "broader", "instrument"),
            Relation("instrument", "broader", "banjo"),  # a circle
            Relation("player", "plays", "instrument"),
        ]
    )
    with space.store.graph.reading() as reader:
        numbers = reader.numbers(["instrument", "string instrument", "banjo"])
        found = narrower(reader, {numbers["instrument"]: 1.0}, depth=4, limit=9, most=9)
        assert found.weights == {
            numbers["instrument"]: 1.0,
            numbers["string instrument"]: 0.5,
            numbers["banjo"]: 0.25,
        }
        path = [numbers[name] for name in ("instrument", "string instrument", "banjo")]
        assert found.path(numbers["banjo"]) == tuple(path)
        few = narrower(reader, {numbers["instrument"]: 1.0}, depth=4, limit=9, most=2)
        assert len(few.weights) == 2
