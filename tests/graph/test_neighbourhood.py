"""The drawing of what is known of a record: complete, bounded, and nobody's code."""

from __future__ import annotations

from xml.etree import ElementTree

from unisem import SemanticSpace
from unisem.cli.page import Page, Section
from unisem.graph.neighbourhood import Neighbourhood, Tie
from unisem.records import Record
from unisem.stores.graph import Entity, Mention, Relation

EVIL = '"><script>alert(1)</script>'


def known(space: SemanticSpace) -> None:
    space.add([Record(id="a", text="a red card"), Record(id="b", text="nothing")])
    space.graph.add(
        [Entity("banjo", "banjo"), Entity("evil", EVIL)],
        [
            Relation("banjo", "broader", "string instrument", 2.0),
            Relation("evil", EVIL, "banjo"),
            *(Relation("banjo", "near", f"thing {n}", 0.1) for n in range(99)),
        ],
        [Mention("a", "banjo", 0.9), Mention("a", "evil", 0.5)],
    )


def test_it_has_the_heaviest_relations_of_the_surest_entities(space: SemanticSpace) -> None:
    known(space)
    found = Neighbourhood.of(space.graph, "a", relations=2)
    assert found.entities == (
        ("banjo", (Tie("broader", "string instrument", True), Tie(EVIL, EVIL, False))),
        (EVIL, (Tie(EVIL, "banjo", True),)),
    )
    assert Neighbourhood.of(space.graph, "b").svg() == ""
    assert [name for name, _ in Neighbourhood.of(space.graph, "a", entities=1).entities] == [
        "banjo"
    ]


def test_the_drawing_is_the_same_every_time_and_holds_no_markup_of_names(
    space: SemanticSpace,
) -> None:
    known(space)
    drawn = Neighbourhood.of(space.graph, "a").svg()
    assert drawn == Neighbourhood.of(space.graph, "a").svg()
    tags = [node.tag.rpartition("}")[2] for node in ElementTree.fromstring(drawn).iter()]
    assert set(tags) == {"svg", "title", "path", "text", "circle"}
    said = "".join(ElementTree.fromstring(drawn).itertext())
    for words in ("banjo", "string instrument", "broader →", "← ", EVIL):
        assert words in said


def test_the_page_shows_it_where_there_is_something(space: SemanticSpace) -> None:
    known(space)
    hits = tuple(space.search("red", k=2))
    section = Section(text="red", image=None, hits=hits)
    page = Page("red", (section,), graph=space.graph).render(space.path.parent)  # type: ignore[union-attr]
    assert page.count("Show what is known of it") == 1
    assert "<script>alert" not in page
    assert "known of it" not in Page("red", (section,)).render(space.path.parent)  # type: ignore[union-attr]
