"""``unisem graph add`` killed while it reads a file: the graph is as before, or whole."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from unisem import SemanticSpace
from unisem.graph import Relation

_COUNT = 30_000  # triples of a file


def _nt(number: int) -> str:
    return f"<urn:t:s{number}> <urn:t:has> <urn:t:o{number % 97}> .\n"


def _csv(number: int) -> str:
    return f"s{number},has,o{number % 97}\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nt", "csv"])
def test_an_import_that_is_killed_leaves_the_graph_before_or_whole(
    tmp_path: Path, kind: str
) -> None:
    if kind == "nt":
        pytest.importorskip("rdflib")
    triples, space = tmp_path / f"triples.{kind}", tmp_path / "things.unisem"
    line = _nt if kind == "nt" else _csv
    head = "subject,type,object\n" if kind == "csv" else ""
    triples.write_text(head + "".join(map(line, range(_COUNT))))
    with SemanticSpace.open(space) as opened:
        opened.graph.add(relations=[Relation("a", "before", "b")])
    command = [sys.executable, "-m", "unisem", "graph", "add", str(space), str(triples)]
    draw = random.Random(0)
    copy = _copy(space)
    whole = psutil.Popen(
        [*command[:-2], str(copy), str(triples)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seconds = _worked(whole)
    assert whole.wait() == 0
    with SemanticSpace.open(copy) as opened:
        assert opened.graph.counts.relations == _COUNT + 1
    seen: set[int] = set()
    for _ in range(6):
        child = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _worked(child, draw.uniform(0.2, 1.0) * seconds)
        child.kill()
        child.wait()
        with SemanticSpace.open(space) as opened:
            counts = opened.graph.counts
            assert counts.relations in (1, _COUNT + 1)
            assert counts.entities in (2, _COUNT + 97 + 2)
            assert list(opened.store.maintenance().check()) == []
            seen.add(counts.relations)
            opened.graph.clear()
            opened.graph.add(relations=[Relation("a", "before", "b")])
    assert 1 in seen


def _worked(process: psutil.Popen, most: float = math.inf) -> float:
    """The seconds of processor that a process has had, when it ends or has had ``most`` of them.

    A busy machine makes them last longer, but not more.
    """
    seconds = 0.0
    while seconds < most and process.status() != psutil.STATUS_ZOMBIE:
        times = process.cpu_times()
        seconds = times.user + times.system
        time.sleep(0.005)
    return seconds


def _copy(space: Path) -> Path:
    """A copy to import into undisturbed."""
    place = space.with_name("copy.unisem")
    with SemanticSpace.open(space) as opened:
        opened.backup(place)
    return place
