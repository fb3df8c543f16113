"""What is known of a hit that the knowledge graph has led to: the way, and a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.page.conftest import GALLERY, Visitor, served
from unisem import Record, SemanticSpace
from unisem.graph import Entity, Mention, Relation
from unisem.search import GraphExpansion

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=window.pwned=1> \u202eand more than there is room for"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with SemanticSpace.open(tmp_path / "zoo.unisem", image_roots=[GALLERY]) as space:
        names = ("armadillo", "bald-eagle-head")
        space.add(Record(id=name, image=GALLERY / "images" / f"{name}.png") for name in names)
        space.add([Record(id="text", text="a lamp")])
        space.graph.add(
            [Entity("evil", EVIL)],
            [
                Relation("armadillo", "broader", "animal", 3.0),
                Relation("eagle", "broader", "bird", 3.0),
                Relation("bird", "broader", "animal", 3.0),
                Relation("armadillo", EVIL, "evil"),
            ],
            [Mention("armadillo", "armadillo"), Mention("bald-eagle-head", "eagle")],
        )
        with served({"zoo": space, "bare": SemanticSpace.open(None)}) as url:
            yield url
        (first, *_) = space.search("animal", k=24, graph=GraphExpansion(), duplicates="near")
        assert first.path == ("animal", "armadillo")


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_hit_says_the_way_and_shows_what_is_known(
    visitor: Visitor, address: str, tmp_path: Path, look: str
) -> None:
    visit = visitor(address, color_scheme=look)
    page = visit.page
    assert not page.is_visible("#relating")  # nothing is asked yet
    visit.search("animal")
    assert page.locator("#found .way").count() == 0
    page.locator("#related").focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#found .way")
    assert "related=1" in page.url
    assert page.inner_text("#found .card:first-child .way") == "animal → armadillo"

    page.locator("#found .card:first-child .open").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail .drawing svg text")
    for _ in range(20):
        page.keyboard.press("Tab")
        if visit.focused("at.className") == "drawing":
            break
    label = visit.focused("at.getAttribute('aria-label')")
    assert label.startswith("What is known of it: armadillo.")
    assert "broader →" in label
    assert "animal" in label
    texts = page.eval_on_selector_all(
        "#detail .drawing text", "all => all.map(each => each.lastChild.textContent)"
    )
    assert "armadillo" in texts
    assert any(text.startswith("<img src=x onerror=wind") for text in texts)
    assert page.evaluate("window.pwned") is None
    assert page.locator("#detail .drawing img").count() == 0
    page.screenshot(path=tmp_path / f"{look}.png")
    page.reload()  # the address says it all
    page.wait_for_selector("#detail .drawing svg text")


def test_a_space_without_a_graph_offers_none(visitor: Visitor, address: str) -> None:
    visit = visitor(f"{address}?space=bare&q=animal&related=1")
    assert not visit.page.is_visible("#relating")
    assert visit.page.locator("#found .way").count() == 0
