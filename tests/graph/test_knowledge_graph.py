"""A graph beside the records: what is kept, what is refused, and what goes with a record."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.list_store import ListKind
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import GraphError, StoreError
from unisem.graph import Entity, GraphCounts, KnowledgeGraph, Mention, Relation

TREE = (
    Relation("banjo", "broader", "string instrument"),
    Relation("violin", "broader", "string instrument", 2.0),
    Relation("string instrument", "broader", "musical instrument"),
)


@pytest.fixture
def known(space: SemanticSpace) -> SemanticSpace:
    """Two records, three relations of a taxonomy, one that a record says, and a mention."""
    space.add([Record(id="a", text="a man plays"), Record(id="b", text="a red car")])
    space.graph.add(
        [Entity("banjo", "Banjo", aliases=("five-string banjo",), kind="thing")],
        [*TREE, Relation("man", "plays", "banjo", record_id="a")],
        [Mention("a", "banjo", 0.5)],
    )
    return space


def counts(space: SemanticSpace) -> tuple[int, int, int]:
    found = space.graph.counts
    return found.entities, found.relations, found.mentions


def test_what_is_added_is_there_after_the_space_was_closed(
    tmp_path: Path, encoder: ToyEncoder, known: SemanticSpace
) -> None:
    known.close()
    with SemanticSpace.open(tmp_path / "toy.unisem", encoder=encoder) as space:
        graph = space.graph
        assert graph.get(["banjo", "nothing", "man"]) == [
            Entity("banjo", "Banjo", ("five-string banjo",), "thing"),
            None,
            Entity("man", "man"),
        ]
        assert [(it.entity.id, it.type, it.outward) for it in graph.neighbours("banjo")] == [
            ("string instrument", "broader", True),
            ("man", "plays", False),
        ]
        assert graph.counts == GraphCounts(5, 4, 1, {"broader": 3, "plays": 1})
        assert [(it.entity.id, it.weight) for it in graph.mentioned_by("a")] == [("banjo", 0.5)]
        assert len(graph) == 5


def test_a_deleted_record_takes_what_it_says_along_and_a_replaced_one_keeps_it(
    known: SemanticSpace,
) -> None:
    known.add([Record(id="a", text="other words")])
    known.update({"a": {"year": 2026}})
    assert counts(known) == (5, 4, 1)
    known.delete(["b"])
    assert counts(known) == (5, 4, 1)
    known.delete(["a"])
    assert counts(known) == (5, 3, 0)


def test_an_entity_goes_with_all_that_is_about_it(known: SemanticSpace) -> None:
    assert known.graph.remove(entities=["banjo", "nothing"]) == 4  # two relations and a mention
    assert counts(known) == (4, 2, 0)
    assert list(known.graph.entities("five string banjo")) == []
    assert known.graph.remove(relations=[TREE[1]], records=["a"]) == 1
    known.graph.clear()
    assert counts(known) == (0, 0, 0)


def test_replacing_an_entity_keeps_its_relations_and_forgets_its_names(
    known: SemanticSpace,
) -> None:
    known.graph.add([Entity("banjo", "Bluegrass banjo")])
    assert [it.id for it in known.graph.entities("bluegrass BANJO")] == ["banjo"]
    assert list(known.graph.entities("five-string banjo")) == []
    assert counts(known) == (5, 4, 1)


def test_an_id_that_comes_twice_is_the_last_of_both(known: SemanticSpace) -> None:
    known.graph.add([Entity("x", "old lute", ("lyre",)), Entity("x", "harp")])
    assert list(known.graph.entities("old lute")) == list(known.graph.entities("lyre")) == []
    assert [it.entity.id for it in known.graph.link("an old lute, a lyre, a harp")] == ["x"]
    assert known.graph.link("an old lute") == []


def test_what_is_of_another_type_is_named(known: SemanticSpace) -> None:
    graph: Any = known.graph
    for call, message in (
        (lambda: graph.remove(relations=["x"]), "relations: 'x' is no Relation"),
        (lambda: graph.remove(relations=TREE[0]), "list of them"),
        (lambda: graph.remove(entities=[""]), ""),
        (lambda: graph.remove(records=[3]), "records must be .* 3 is none"),
        (lambda: graph.get("banjo"), "ids must be a list"),
    ):
        if message:
            with pytest.raises(TypeError, match=message):
                call()
        else:
            assert call() == 0
    assert counts(known) == (5, 4, 1)


def test_all_of_it_or_nothing(known: SemanticSpace) -> None:
    def failing() -> Iterator[Relation]:
        yield from (Relation(f"s{i}", "is", "o") for i in range(5000))
        raise OSError("the file ends here")

    with pytest.raises(OSError, match="ends here"):
        known.graph.add([Entity("new", "new")], failing())
    assert counts(known) == (5, 4, 1)
    with pytest.raises(TypeError, match="is no Relation"):
        known.graph.add(relations=[TREE[0], "banjo broader thing"])  # type: ignore[list-item]
    assert [hit.record.id for hit in known.search("a red car", k=1)] == ["b"]


def test_what_belongs_to_no_record_is_left_out_and_told(known: SemanticSpace) -> None:
    report = known.graph.add(
        relations=[Relation("x", "is", "y", record_id="gone"), Relation("x", "is", "z")],
        mentions=[Mention("gone", "x"), Mention("b", "x")],
    )
    assert (report.relations, report.mentions, report.homeless) == (1, 1, 2)
    assert report.missing == ("gone",)
    assert counts(known) == (7, 5, 2)


def test_circles_self_links_hubs_and_names_like_commands(known: SemanticSpace) -> None:
    strange = "'; DROP TABLE entities; --"
    hub = [Relation("hub", "has", f"leaf {i}", 1 + i / 100_000) for i in range(3000)]
    known.graph.add(
        [Entity(strange, "$(rm -rf /)")],
        [Relation("x", "is", "y"), Relation("y", "is", "x"), Relation("x", "is", "x"), *hub],
    )
    assert sorted(it.entity.id for it in known.graph.neighbours("x")) == ["x", "y", "y"]
    found = known.graph.neighbours("hub", limit=3)
    assert [it.entity.id for it in found] == ["leaf 2999", "leaf 2998", "leaf 2997"]
    assert known.graph.neighbours("leaf 7", types=["other"]) == []
    assert [it.id for it in known.graph.entities("rm rf")] == [strange]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Entity("", "a"), "must not be empty"),
        (lambda: Entity("a", " "), "name must not be empty"),
        (lambda: Entity("a", "b\0c"), "NUL"),
        (lambda: Entity("a" * 1001, "b"), "longer than 1000"),
        (lambda: Entity("a", "\ud800"), "Unicode"),
        (lambda: Entity("a", "b", "cd"), "one string"),  # type: ignore[arg-type]
        (lambda: Entity("a", "b", properties={"x": {1}}), "not JSON"),
        (lambda: Relation("a", "", "b"), "type must not be empty"),
        (lambda: Relation("a", "is", "b", 0), "weight must be from 1e-06 to 1e"),
        (lambda: Relation("a", "is", "b", 1e-320), "weight must be from 1e-06 to 1e"),
        (lambda: Relation("a", "is", "b", float("nan")), "weight must be from 1e-06 to 1e"),
        (lambda: Relation("a", "is", "b", record_id=""), "record_id"),
        (lambda: Mention("a", "b", True), "weight must be from 1e-06 to 1e"),
    ],
)
def test_what_cannot_be_kept_is_refused(make: object, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()  # type: ignore[operator]


def test_a_text_is_linked_by_its_longest_names_and_ambiguity_is_shared(
    known: SemanticSpace,
) -> None:
    known.graph.add([Entity("b1", "bank"), Entity("b2", "Bank"), Entity("a", "a")])
    links = known.graph.link("A man with a Five-String Banjo and string instruments at a bank")
    assert {link.entity.id: link.weight for link in links} == {
        "man": 1.0,
        "banjo": 1.0,
        "string instrument": 1.0,
        "b1": 0.5,
        "b2": 0.5,
    }
    assert [link.entity.id for link in known.graph.link("A")] == ["a"]  # alone it is meant
    assert known.graph.link("") == []


def test_a_text_is_linked_by_meaning_once_names_are_embedded(
    known: SemanticSpace, encoder: ToyEncoder
) -> None:
    assert known.graph.link("instrument of a string") == []  # no name stands in it
    assert known.graph.embed_names() == 5
    assert known.graph.embed_names() == 0
    best = known.graph.link("instrument of a string", limit=2)
    assert best[0].entity.id == "string instrument"
    known.graph.add([Entity("banjo", "lute")])  # another name has another vector
    assert known.graph.counts.embedded == 4


def test_records_are_linked_by_words_and_by_pictures(card_space: SemanticSpace) -> None:
    graph = card_space.graph
    graph.add([Entity(name, name) for name in ("red", "green", "blue", "note")])
    with pytest.raises(GraphError, match="embed_names"):
        graph.link_records(images=True)
    graph.embed_names()
    report = graph.link_records(images=True, limit=1)
    assert report.mentions == card_space.graph.counts.mentions > 0
    pictures = [it for it in card_space.store.select() if it.image is not None]
    for record in pictures:
        assert record.image is not None
        named = {link.entity.id for link in graph.mentioned_by(record.id)}
        shown = {colour for colour in ("red", "green", "blue") if colour in record.id}
        assert shown <= named


def test_linking_again_replaces_what_linking_found_and_nothing_else(
    card_space: SemanticSpace,
) -> None:
    graph = card_space.graph
    graph.add([Entity(name, name) for name in ("red", "green", "blue", "card")])
    (named, *_) = [it for it in card_space.store.select() if "red" in (it.text or "")]
    graph.add(mentions=[Mention(named.id, "red", 0.5), Mention(named.id, "blue", 0.25)])
    graph.embed_names()
    several = graph.link_records(images=True).mentions
    assert graph.counts.mentions == several + 2
    fewer = graph.link_records(limit=1).mentions
    assert 0 < fewer < several
    assert graph.counts.mentions == fewer + 2
    weights = {it.entity.id: it.weight for it in graph.mentioned_by(named.id)}
    assert (weights["red"], weights["blue"]) == (0.5, 0.25)  # as they were written
    graph.add(mentions=[Mention(named.id, "card", 0.75)])  # found before, written now
    graph.link_records(texts=False, images=True)
    weights = {it.entity.id: it.weight for it in graph.mentioned_by(named.id)}
    assert weights["card"] == 0.75


def test_a_record_that_becomes_another_lets_go_of_what_linking_found(
    known: SemanticSpace, tmp_path: Path
) -> None:
    def mentioned() -> set[str]:
        return {link.entity.id for link in known.graph.mentioned_by("a")}

    known.graph.link_records()
    assert mentioned() == {"banjo", "man"}
    known.update({"a": {"year": 2026}})
    known.add([Record(id="a", text="a man plays", metadata={"year": 2027})])
    assert mentioned() == {"banjo", "man"}
    known.add([Record(id="a", text="a red car")])
    assert mentioned() == {"banjo"}
    for colour in ("red", "blue"):
        solid(colour).save(tmp_path / "a.png")
        known.add([Record(id="a", text="a man plays", image=tmp_path / "a.png")])
        assert mentioned() == {"banjo"}
        known.graph.link_records()
        known.add([Record(id="a", text="a man plays", image=tmp_path / "a.png")])
        assert mentioned() == {"banjo", "man"}


def test_pictures_mention_only_what_stands_out(card_space: SemanticSpace) -> None:
    graph = card_space.graph
    graph.add([Entity(name, name) for name in ("banjo", "musical instrument", "red")])
    graph.embed_names()
    graph.link_records(texts=False, images=True)
    with card_space.store.graph.reading() as reader:
        found = {it.entity_id for it in reader.every_mention()}
    assert found == {"red"}


def test_another_process_sees_it_and_a_copy_has_it(
    tmp_path: Path, encoder: ToyEncoder, known: SemanticSpace
) -> None:
    with SemanticSpace.open(tmp_path / "toy.unisem", encoder=encoder) as other:
        assert counts(other) == (5, 4, 1)
        known.graph.add([Entity("new", "new")])
        assert counts(other) == (6, 4, 1)
        assert [hit.record.id for hit in other.search("a red car", k=1)] == ["b"]
    known.backup(tmp_path / "copy.unisem")
    with SemanticSpace.open(tmp_path / "copy.unisem", encoder=encoder) as copy:
        assert counts(copy) == (6, 4, 1)
    assert list(known.store.maintenance().check()) == []


def test_a_writer_that_is_killed_leaves_the_graph_before(
    tmp_path: Path, encoder: ToyEncoder, known: SemanticSpace
) -> None:
    known.close()

    def dying() -> Iterator[Relation]:
        yield from (Relation(f"s{i}", "is", "o") for i in range(9000))
        os._exit(9)

    child = os.fork()
    if child == 0:
        with SemanticSpace.open(tmp_path / "toy.unisem", encoder=encoder) as space:
            space.graph.add(relations=dying())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with SemanticSpace.open(tmp_path / "toy.unisem", encoder=encoder) as space:
        assert counts(space) == (5, 4, 1)


def test_a_damaged_graph_is_one_clear_error(
    tmp_path: Path, encoder: ToyEncoder, known: SemanticSpace
) -> None:
    known.close()
    database = sqlite3.connect(tmp_path / "toy.unisem" / "catalog.sqlite")
    database.execute("UPDATE entities SET aliases = '{not json'")
    database.commit()
    database.close()
    with SemanticSpace.open(tmp_path / "toy.unisem", encoder=encoder) as space:
        with pytest.raises(StoreError, match=r"graph .* is damaged"):
            space.graph.get(["banjo"])
        assert [hit.record.id for hit in space.search("a red car", k=1)] == ["b"]


def test_a_store_without_a_graph_says_so(encoder: ToyEncoder) -> None:
    with (
        SemanticSpace.open(None, encoder=encoder, store=ListKind()) as space,
        pytest.raises(StoreError, match="keeps no knowledge graph"),
    ):
        _ = space.graph


def test_a_space_in_memory_has_one(encoder: ToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder) as space:
        graph: KnowledgeGraph = space.graph
        graph.add(relations=TREE)
        assert len(space.graph) == 4


def test_what_is_about_a_lost_entity_goes_along_with_a_renamed_record(
    tmp_path: Path, known: SemanticSpace
) -> None:
    with closing(sqlite3.connect(tmp_path / "toy.unisem" / "catalog.sqlite")) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DELETE FROM entities WHERE id = 'banjo'")
        database.commit()
        said = [
            "SELECT entity, weight, linked, checksum FROM mentions WHERE record = ?",
            "SELECT subject, type, object, weight, properties, checksum FROM relations"
            " WHERE record = ?",
        ]
        before = [database.execute(each, ("a",)).fetchall() for each in said]
        assert [len(rows) for rows in before] == [1, 1]
        known.store.graph.rename({"a": "b", "b": "a"})
        assert [database.execute(each, ("b",)).fetchall() for each in said] == before
        assert [database.execute(each, ("a",)).fetchall() for each in said] == [[], []]
