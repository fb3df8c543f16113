"""The page finds what the space finds: by words, pictures, both, filtered; as its address says."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.service.page.conftest import GALLERY, Visitor, served
from unisem import Record, SemanticSpace
from unisem.filters import Field, Filter
from unisem.service.settings import ServiceSettings

pytestmark = pytest.mark.slow

K = 24  # results at first
PICTURE = GALLERY / "images" / "bald-eagle-head.png"


def ids_of(space: SemanticSpace, **query: object) -> list[str]:
    return [hit.record.id for hit in space.search(**{"k": K, **query})]  # type: ignore[arg-type]


def transfer_with(page: Page, path: Path, kind: str) -> object:
    """What the browser hands over when a file is dropped or pasted."""
    return page.evaluate_handle(
        """([data, name, type]) => {
          const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, {type}));
          return transfer;
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name, kind],
    )


def drop(page: Page) -> None:
    transfer = transfer_with(page, PICTURE, "image/png")
    page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    assert page.is_visible("#drop")
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def paste(page: Page) -> None:
    transfer = transfer_with(page, PICTURE, "image/png")
    page.evaluate(
        "data => document.body.dispatchEvent(new ClipboardEvent('paste', "
        "{clipboardData: data, bubbles: true, cancelable: true}))",
        transfer,
    )


def choose(page: Page) -> None:
    with page.expect_file_chooser() as chosen:
        page.click("#choose")
    chosen.value.set_files(PICTURE)


def test_words_find_what_the_space_finds_in_its_order(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)
    visit.search("a big striped cat")
    hits = gallery.search(text="a big striped cat", k=K)
    assert visit.ids() == [hit.record.id for hit in hits]
    assert "q=a+big+striped+cat" in visit.page.url
    scores = visit.page.eval_on_selector_all(
        "#found .score", "all => all.map(each => each.textContent)"
    )
    assert [float(score) for score in scores] == pytest.approx([h.score for h in hits], abs=6e-4)
    whys = visit.page.eval_on_selector_all(
        "#found .badge", "all => all.map(each => each.textContent)"
    )
    named = {"image": "by its picture", "text": "by its caption"}
    expected = [named[h.matched] if h.record.image else "by its words" for h in hits]
    assert whys == expected


def test_the_address_says_it_all_and_the_way_back_works(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)
    everything = visit.ids()
    visit.search("an eagle")
    visit.search("a lamp")
    visit.page.get_by_label("Words", exact=True).check()
    lamps = ids_of(gallery, text="a lamp", mode="keyword")
    visit.wait_for(lamps)
    visit.page.reload()
    visit.wait_for(lamps)
    visit.page.go_back()
    visit.wait_for(ids_of(gallery, text="a lamp"))
    visit.page.go_back()
    visit.wait_for(ids_of(gallery, text="an eagle"))
    assert visit.page.input_value("#text") == "an eagle"
    visit.page.go_back()
    visit.wait_for(everything)
    visit.page.go_forward()
    visit.wait_for(ids_of(gallery, text="an eagle"))


@pytest.mark.parametrize("give", [drop, paste, choose])
def test_a_picture_finds_what_looks_like_it(
    visitor: Visitor, gallery: SemanticSpace, address: str, give: Callable[[Page], None]
) -> None:
    visit = visitor(address)
    give(visit.page)
    visit.wait_for(ids_of(gallery, image=PICTURE))
    assert not visit.page.is_visible("#drop")
    visit.page.get_by_role("button", name="Remove the picture").click()
    visit.page.wait_for_function("() => !document.querySelector('#found .score')")


def test_a_picture_and_words_are_one_question(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)
    visit.page.fill("#text", "swimming in water")
    drop(visit.page)
    both = {"text": "swimming in water", "image": PICTURE}
    visit.wait_for(ids_of(gallery, **both))
    visit.page.fill("#weight", "0.9")
    visit.wait_for(ids_of(gallery, text_weight=0.9, **both))
    visit.page.get_by_label("Both", exact=True).check()
    visit.wait_for(ids_of(gallery, text_weight=0.9, mode="hybrid", **both))


def test_a_picture_that_is_gone_is_said_to_be(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)
    drop(visit.page)
    visit.wait_for(ids_of(gallery, image=PICTURE))
    visit.page.reload()
    visit.settled()
    assert "once more" in visit.page.inner_text("#found")


def test_what_is_no_picture_is_refused(visitor: Visitor, address: str) -> None:
    visit = visitor(address)
    transfer = transfer_with(visit.page, GALLERY / "metadata.jsonl", "application/json")
    visit.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    visit.page.wait_for_function(
        "() => document.querySelector('#status').textContent.includes('not a picture')"
    )


@pytest.mark.parametrize(
    ("label", "query"),
    [
        ("Pictures", {"modality": "image"}),
        ("Texts", {"modality": "text"}),
        ("Words", {"mode": "keyword"}),
        ("Both", {"mode": "hybrid"}),
    ],
)
def test_choices_are_the_spaces(
    visitor: Visitor, gallery: SemanticSpace, address: str, label: str, query: dict[str, object]
) -> None:
    visit = visitor(f"{address}?q=the+brush+seen+from+below")
    visit.page.get_by_label(label, exact=True).check()
    visit.wait_for(ids_of(gallery, text="the brush seen from below", **query))


def _choose(page: Page, name: str) -> None:
    page.locator("#filters .choice", has_text=name).first.locator("input").check()


def _fill(page: Page, name: str, value: str) -> None:
    page.get_by_label(name, exact=True).fill(value)
    page.get_by_label(name, exact=True).blur()


FILTERS: list[tuple[str, Callable[[Page], None], Filter]] = [
    ("value", lambda page: _choose(page, "animals & more"), Field("category") == "animals & more"),
    ("of a list", lambda page: _choose(page, "odd"), Field("tags").any_of(["odd"])),
    ("truth", lambda page: _choose(page, "true"), Field("shown") == True),  # noqa: E712
    ("from", lambda page: _fill(page, "year from", "2020"), Field("year") >= 2020),
    ("to", lambda page: _fill(page, "year to", "1999"), Field("year") <= 1999),
    ("day", lambda page: _fill(page, "taken from", "2024-06-01"), Field("taken") >= "2024-06-01"),
    ("to a day", lambda page: _fill(page, "taken to", "2024-02-05"), Field("taken") < "2024-02-06"),
]


@pytest.mark.parametrize(
    ("what", "act", "condition"), FILTERS, ids=[what for what, _, _ in FILTERS]
)
def test_filters_are_the_spaces(
    visitor: Visitor,
    gallery: SemanticSpace,
    address: str,
    what: str,
    act: Callable[[Page], None],
    condition: Filter,
) -> None:
    visit = visitor(f"{address}?q=a+bird")
    act(visit.page)
    expected = ids_of(gallery, text="a bird", filter=condition)
    assert expected
    visit.wait_for(expected)
    visit.page.reload()
    visit.wait_for(expected)
    visit.page.get_by_role("button", name="Clear all filters").click()
    visit.wait_for(ids_of(gallery, text="a bird"))


def test_several_filters_hold_together_and_also_where_nothing_is_asked(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(f"{address}?q=a+bird")
    _choose(visit.page, "even")
    visit.page.wait_for_url("**in.tags=even**")
    _fill(visit.page, "year to", "2010")
    condition = Field("tags").any_of(["even"]) & (Field("year") <= 2010)
    visit.wait_for(ids_of(gallery, text="a bird", filter=condition))
    visit.page.get_by_role("button", name="Drop the filter tags: even").click()
    visit.wait_for(ids_of(gallery, text="a bird", filter=Field("year") <= 2010))
    assert visit.page.locator("#chips .chip").all_inner_texts() == ["year to 2010"]
    visit.page.go_back()
    visit.wait_for(ids_of(gallery, text="a bird", filter=condition))
    visit.page.fill("#text", "")
    visit.page.press("#text", "Enter")
    listed = {
        record.id for record in gallery.store.select() if record.metadata.get("year", 3000) <= 2010
    }
    visit.page.wait_for_function("() => !document.querySelector('#found .score')")
    visit.settled()
    assert set(visit.ids()) <= listed
    assert visit.ids()


def test_more_results_go_on_where_the_first_ended(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(f"{address}?q=a+bird")
    visit.page.click("#more")
    visit.wait_for(ids_of(gallery, text="a bird", k=2 * K))
    assert visit.focused("new URL(at.href).searchParams.get('record')") == visit.ids()[K]


def test_a_service_that_gives_less_at_once_is_asked_for_less(
    visitor: Visitor, gallery: SemanticSpace
) -> None:
    settings = ServiceSettings(k=10, records=7)
    with served({"gallery": gallery}, settings) as address:
        visit = visitor(address)
        assert len(visit.ids()) == 7
        visit.page.click("#more")
        visit.page.wait_for_function("() => document.querySelectorAll('#found .card').length > 7")
        visit.search("a bird")
        assert visit.ids() == ids_of(gallery, text="a bird", k=10)
        assert not visit.page.is_visible("#more")


def test_everything_can_be_looked_through(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)
    while visit.page.is_visible("#more"):
        before = len(visit.ids())
        visit.page.click("#more")
        visit.page.wait_for_function(
            "count => document.querySelectorAll('#found .card').length > count", arg=before
        )
        visit.page.wait_for_function("() => !document.querySelector('#more').disabled")
    assert sorted(visit.ids()) == sorted(record.id for record in gallery.store.select())


def test_more_like_this_is_what_its_picture_finds(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(f"{address}?q=an+eagle")
    first = visit.ids()[0]
    visit.page.locator("#found .card").first.get_by_role("button", name="More like this").click()
    (record,) = gallery.get([first])
    assert record is not None
    alike = ids_of(gallery, image=record.image, k=K + 1)
    visit.wait_for([each for each in alike if each != first][:K])
    assert "like=" in visit.page.url


def test_one_of_several_spaces_is_picked(visitor: Visitor, gallery: SemanticSpace) -> None:
    with SemanticSpace.open(None) as notes:
        notes.add([Record(id="a", text="a note about tigers"), Record(id="b", text="soup")])
        with served({"gallery": gallery, "notes": notes}) as address:
            visit = visitor(address)
            visit.page.select_option("#space", "notes")
            visit.wait_for(["a", "b"])
            visit.search("a tiger")
            assert visit.ids()[0] == "a"
            assert "space=notes" in visit.page.url
