"""Damage to what a graph says: found, told where it is read, and the rest is saved."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError
from unisem.exchange import export_space, import_space, salvage_space
from unisem.graph import Entity, Mention, Relation
from unisem.images.library import ImageLibrary
from unisem.search import GraphExpansion
from unisem.stores.faiss.checking import check_store

COUNT = 80
Reading = Callable[[SemanticSpace], Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "s.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        space.add(Record(id=f"r{n}", text=f"text {n}") for n in range(COUNT))
        space.graph.add(
            [Entity(f"e{n}", f"thing {n}", (f"piece {n}",), "thing") for n in range(COUNT)],
            [
                Relation(f"e{n}", "part of", f"e{n // 7}", 2.0, f"r{n}", {"page": n})
                for n in range(COUNT)
            ],
            [Mention(f"r{n}", f"e{n}", 0.5) for n in range(COUNT)],
        )
        space.graph.embed_names()
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "s.unisem"))


def problems(path: Path) -> list[str]:
    return [
        f"{it.area}: {it.text}" for it in check_store(path, ImageLibrary(path)) if it.is_problem
    ]


def change(path: Path, statement: str) -> None:
    database = sqlite3.connect(path / "catalog.sqlite")
    database.execute(statement)
    database.commit()
    database.close()


def entity(space: SemanticSpace) -> Any:
    return space.graph.get(["e5"])


def relation(space: SemanticSpace) -> Any:
    return space.graph.relations(["e5"])


def relations(space: SemanticSpace) -> Any:
    return space.graph.relations()


def mention(space: SemanticSpace) -> Any:
    return space.graph.mentioned_by("r5")


E5 = "(SELECT number FROM entities WHERE id = 'e5')"


@pytest.mark.parametrize(
    ("statement", "read", "expected"),
    [
        ("UPDATE entities SET name = 'thong 5' WHERE id = 'e5'", entity, "1 entities .*: 'e5'"),
        ("UPDATE entities SET aliases = '[]' WHERE id = 'e5'", entity, "1 entities .*: 'e5'"),
        ("UPDATE entities SET kind = NULL WHERE id = 'e5'", entity, "1 entities .*: 'e5'"),
        ("UPDATE entities SET id = 'f5' WHERE id = 'e5'", relations, "1 entities .*: 'f5'"),
        (f"UPDATE relations SET weight = 4 WHERE subject = {E5}", relation, "1 relations .*: 'e5'"),
        (f"UPDATE relations SET object = 7 WHERE subject = {E5}", relation, "1 relations .*: 'e5'"),
        (f"UPDATE relations SET record = 'r6' WHERE subject = {E5}", relation, "1 relations"),
        (f"UPDATE relations SET properties = NULL WHERE subject = {E5}", relation, "1 relations"),
        ("UPDATE relation_types SET type = 'heart of'", relation, "80 relations .* and 75 more"),
        ("UPDATE mentions SET weight = 1 WHERE record = 'r5'", mention, "1 mentions .*: 'r5'"),
        ("UPDATE mentions SET linked = 1 WHERE record = 'r5'", mention, "1 mentions .*: 'r5'"),
        ("UPDATE mentions SET entity = 7 WHERE record = 'r5'", mention, "1 mentions .*: 'r5'"),
    ],
)
def test_a_damaged_row_is_found_and_told_where_it_is_read(
    path: Path, tmp_path: Path, encoder: ToyEncoder, statement: str, read: Reading, expected: str
) -> None:
    change(path, statement)
    (found, *_) = [it for it in problems(path) if "cannot be understood" in it]
    assert re.search(f"^graph: {expected}", found)
    with SemanticSpace.open(path, encoder=encoder) as space:
        with pytest.raises(CorruptStoreError, match=r"graph .* is damaged .*--salvage"):
            read(space)
        assert space.search("text 5", k=1)[0].record.id == "r5"  # no record is the worse for it


def test_the_rest_is_saved(path: Path, tmp_path: Path, encoder: ToyEncoder) -> None:
    change(path, "UPDATE entities SET name = 'thong 5' WHERE id = 'e5'")
    change(path, "UPDATE relations SET weight = 4 WHERE subject > 40")
    change(path, "UPDATE mentions SET entity = 7 WHERE record IN ('r5', 'r8')")
    with pytest.raises(CorruptStoreError, match="--salvage"):
        export_space(path, tmp_path / "refused")
    report = salvage_space(path, tmp_path / "out")
    assert (report.records, report.lost) == (COUNT, 0)
    assert report.lost_of_graph == {"entities": 1, "relations": COUNT - 40, "mentions": 2}
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        import_space(tmp_path / "out", new)
        assert len(new) == COUNT
        (five, six) = new.graph.get(["e5", "e6"])
        assert five == Entity("e5", "e5")  # as a relation names it
        assert six == Entity("e6", "thing 6", ("piece 6",), "thing")
        assert new.graph.counts.types == {"part of": 40}
        assert new.graph.counts.mentions == COUNT - 2


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM entity_names WHERE words = 'thing 5'", "graph: entities are found by other"),
        (
            "UPDATE entity_names SET words = 'x' WHERE words = 'thing 5'",
            "other names than .*: 'e5'",
        ),
        ("INSERT INTO entity_names VALUES ('x', 99999)", "graph: 1 names are of no entity"),
        ("DELETE FROM entities WHERE id = 'e79'", "graph: 1 relations cannot"),
        ("UPDATE entity_vectors SET vector = x'00' WHERE entity = 5", "graph: 1 vectors of names"),
    ],
)
def test_what_does_not_belong_together_is_found(path: Path, statement: str, expected: str) -> None:
    change(path, statement)
    found = problems(path)
    assert any(re.search(expected, line) for line in found), found


def test_a_damaged_vector_of_a_name_is_made_anew(path: Path, encoder: ToyEncoder) -> None:
    change(path, "UPDATE entity_vectors SET vector = zeroblob(length(vector)) WHERE entity = 5")
    with SemanticSpace.open(path, encoder=encoder) as space:
        assert 5 not in space.store.graph.name_vectors()[0]
        assert space.graph.embed_names() == 1
        assert np.linalg.norm(space.store.graph.name_vectors()[1], axis=1) == pytest.approx(1)
    assert problems(path) == []


def test_adding_again_mends(path: Path, encoder: ToyEncoder) -> None:
    change(path, "UPDATE entities SET name = 'thong 5' WHERE id = 'e5'")
    change(path, f"UPDATE relations SET weight = 4 WHERE subject = {E5}")
    change(path, "UPDATE mentions SET weight = 4 WHERE record = 'r5'")
    with SemanticSpace.open(path, encoder=encoder) as space:
        space.graph.add(
            [Entity("e5", "thing 5", ("piece 5",), "thing")],
            [Relation("e5", "part of", "e0", 2.0, "r5", {"page": 5})],
            [Mention("r5", "e5", 0.5)],
        )
    assert problems(path) == []


@pytest.mark.parametrize("needle", [b'["piece 70"]', b'{"page":70}', b"r70\x47\x3f"])
def test_a_damaged_page_takes_its_rows_and_no_record(
    path: Path, tmp_path: Path, encoder: ToyEncoder, needle: bytes
) -> None:
    catalog = path / "catalog.sqlite"
    data = bytearray(catalog.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    page = data.index(needle) // size
    data[page * size : (page + 1) * size] = b"\xa5" * size
    catalog.write_bytes(data)
    _, saved = problems(path)
    assert "of its graph" in saved
    report = salvage_space(path, tmp_path / "out")
    assert (report.records, report.lost) == (COUNT, 0)
    assert sum(report.lost_of_graph.values()) >= 10
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=encoder) as new:
        counts = import_space(tmp_path / "out", new).graph
        assert counts is not None
        for kind in ("entities", "relations", "mentions"):
            if kind not in report.lost_of_graph:
                assert getattr(counts, kind) == COUNT


@pytest.mark.parametrize("flips", [12, pytest.param(400, marks=pytest.mark.slow)])
def test_flipped_bits(path: Path, encoder: ToyEncoder, flips: int) -> None:
    """Whatever bit of a row it is: an error, or the right answer, or a check that knows."""

    def answers() -> Any:
        with SemanticSpace.open(path, encoder=encoder) as space:
            return (
                list(space.graph.entities()),
                space.graph.relations(),
                [space.graph.mentioned_by(f"r{n}") for n in range(COUNT)],
                space.search("thing 7", k=9, graph=GraphExpansion()),
            )

    expected = answers()
    catalog = path / "catalog.sqlite"
    whole = catalog.read_bytes()
    chance = random.Random(5)
    rows = [
        b'["piece 70"]',
        b'["piece 8"]',
        b'{"page":70}',
        b'{"page":9}',
        b"r70\x47\x3f",
        b"r9\x0a\x3f",
    ]
    places = [whole.index(row) for row in rows]
    refused = 0
    for _ in range(flips):
        data = bytearray(whole)
        data[chance.choice(places) + chance.randrange(-20, 20)] ^= 1 << chance.randrange(8)
        for log in path.glob("catalog.sqlite-*"):
            log.unlink()
        catalog.write_bytes(data)
        found = problems(path)
        try:
            got = answers()
        except CorruptStoreError:
            refused += 1
            continue
        assert got == expected or found
    assert refused > flips / 3
