"""The detail view, the dialogs and the states of the page, and what hostile records do there."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Route

from tests.service.page.conftest import GALLERY, HOSTILE, HOSTILE_ID, Visit, Visitor, served
from unisem import Record, SemanticSpace
from unisem.cli.hit_table import doubt
from unisem.filters import Field
from unisem.presentation.citation import citation
from unisem.service.principals import Principal, Tokens
from unisem.service.settings import ServiceSettings
from unisem.stores.hits import Hit

pytestmark = pytest.mark.slow

FIGURE = "Figure 2: The brush seen from below."
COPY = """image => { const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL('image/png'); }"""


def figure_of(space: SemanticSpace) -> Record:
    """The manual's drawing, a region of its second page."""
    return next(r for r in space.store.select() if r.image and (r.text or "").startswith(FIGURE))


def open_record(
    visit: Visit, address: str, record: str, query: str = "the brush seen from below"
) -> None:
    visit.go(f"{address}?q={quote(query)}&record={quote(record, safe='')}")
    visit.page.wait_for_selector("#shown .told")


def pixels_of(visit: Visit, selector: str) -> Image.Image:
    """What a picture on the page shows."""
    visit.page.wait_for_selector(selector)
    url: str = visit.page.eval_on_selector(selector, COPY)
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def test_a_figure_is_shown_large_and_on_its_page_with_its_box(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    figure = figure_of(gallery)
    assert figure.image is not None
    visit = visitor(f"{address}?q=the+brush+seen+from+below")
    visit.page.locator(".card", has_text=FIGURE).locator(".open").click()
    drawn = pixels_of(visit, ".sight .mat img")
    assert drawn.tobytes() == figure.image.open().tobytes()
    visit.page.get_by_label("On page 2").check()
    page = pixels_of(visit, ".sight .mat img[alt^='Page 2']")
    expected = figure.image.open_page()
    assert expected is not None
    assert page.tobytes() == expected.tobytes()
    assert citation(figure.metadata) == visit.page.inner_text(".told > .where")


def test_what_belongs_to_a_figure_stands_beside_it(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    figure = figure_of(gallery)
    visit = visitor(address)
    open_record(visit, address, figure.id)
    visit.page.wait_for_selector(".neighbors:not([hidden])")
    shown = visit.page.eval_on_selector_all(
        ".neighbor .open", "all => all.map(a => new URL(a.href).searchParams.get('record'))"
    )
    assert sorted(shown) == sorted(figure.links.values())
    assert "What speaks of it" in visit.page.inner_text(".neighbor >> nth=0")
    visit.page.click(".neighbor >> nth=0")
    passage = gallery.get([figure.links["mentioned_by"]])[0]
    assert passage is not None
    visit.page.wait_for_function("() => document.querySelector('#shown blockquote')")
    assert "cleaned under running water" in visit.page.inner_text("#shown blockquote")
    visit.page.go_back()
    visit.page.wait_for_selector(".told .prose >> text=The brush seen from below.")


def test_closing_goes_back_to_the_results_and_back_closes(visitor: Visitor, address: str) -> None:
    visit = visitor(f"{address}?q=an+eagle")
    results = visit.page.url
    for close in ("Escape", "button", "back", "beside"):
        visit.page.locator(".card .open").nth(1).click()
        visit.page.wait_for_selector("#detail[open]")
        visit.page.wait_for_url("**&record=*")
        visit.page.click("#later")
        visit.page.wait_for_function(
            "() => document.querySelector('#place').textContent.startsWith('3 of')"
        )
        match close:
            case "Escape":
                visit.page.keyboard.press("Escape")
            case "button":
                visit.page.click("#close")
            case "back":
                visit.page.go_back()
            case "beside":
                visit.page.mouse.click(5, 5)
        visit.page.wait_for_selector("#detail:not([open])", state="attached")
        visit.page.wait_for_url(results)
    assert visit.page.evaluate("history.length") <= 4


def test_a_link_to_a_record_opens_it_and_a_wrong_one_says_so(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(f"{address}?record={quote('images/armadillo.png', safe='')}")
    visit.page.wait_for_selector(".told >> text=armadillo")
    assert "3 " not in visit.page.inner_text("#place")
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_url(address)
    visit.go(f"{address}?record=nobody")
    visit.page.wait_for_selector("#shown h2:not(.hidden)")
    visit.complaints.clear()  # the browser's own word for a 404


def test_hostile_records_are_words_and_nothing_runs(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(f"{address}?q=a+hostile+caption")
    assert HOSTILE in visit.page.inner_text(f".card:has-text('{HOSTILE[:20]}') .open")
    open_record(visit, address, HOSTILE_ID, "a hostile caption")
    visit.page.wait_for_selector(".sight .mat img")
    visit.page.wait_for_selector(".neighbors:not([hidden])")
    told = visit.page.inner_text("#shown")
    for words in (HOSTILE, HOSTILE_ID, "<b>bold</b>", "javascript:window.pwned=1", "<i>x</i>"):
        assert words in told
    open_record(visit, address, "a text", "a hostile caption")
    assert "\u202e" not in visit.page.inner_text("#shown")
    visit.go(
        f"{address}?q=a+hostile+caption&in.category={quote('<img src=x onerror=window.pwned=1>')}"
    )
    assert set(visit.ids()) == {HOSTILE_ID, "a text"}
    assert "<img src=x" in visit.page.inner_text("#filters")
    assert visit.page.evaluate("window.pwned") is None
    assert visit.page.locator("b, i:not(.bar-of i)").filter(has_text="bold").count() == 0
    assert visit.page.locator("img:not([src^='blob:']):not([src^='data:'])").count() == 0
    assert visit.page.locator("a[href^='javascript:' i]").count() == 0
    assert visit.page.locator("body script").count() == 0


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=window.pwned=1>", "“", "100 % & more", "🐅 虎"]
)
def test_what_is_typed_is_words_too(
    visitor: Visitor, gallery: SemanticSpace, address: str, text: str
) -> None:
    visit = visitor(address)
    visit.search(text)
    assert visit.ids() == [hit.record.id for hit in gallery.search(text=text, k=24)]
    assert text in visit.page.inner_text("#said")
    visit.page.reload()
    visit.settled()
    assert visit.page.input_value("#text") == text
    assert visit.page.evaluate("window.pwned") is None


def test_citations_are_those_of_the_other_fronts(visitor: Visitor, address: str) -> None:
    cases: list[Mapping[str, Any]] = [
        {"file_name": "a/manual.pdf", "kind": "figure", "page": 12, "page_label": "12",
         "label": "Figure 3", "section": "2 Care > 2.1 Cleaning"},
        {"file_name": "manual.pdf", "kind": "text", "page": 3, "page_label": "iii"},
        {"file_name": "manual.pdf", "kind": "text", "page": 3},
        {"file_name": "a.md", "kind": "text", "section": "é" * 200},
        {"file_name": "a.md", "kind": "text", "section": "🐅" * 200},
        {"file_name": "a.md"},
        {"kind": "text"},
        {"file_name": 3, "kind": "text"},
        {"file_name": "folder/", "kind": "page", "label": 7},
    ]  # fmt: skip
    visit = visitor(address)
    written = visit.page.evaluate(
        """async cases => {
          const told = await import('./page/describe.js');
          return cases.map(told.citation);
        }""",
        cases,
    )
    assert written == [citation(case) for case in cases]


def test_a_token_is_asked_for_and_kept_in_the_tab_only(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)

    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer s3cret":
            route.continue_()
        else:
            route.fulfill(
                status=401,
                content_type="application/problem+json",
                body='{"title": "A token is needed"}',
            )

    page = visit.page
    page.route("**/v1/**", guard)
    page.goto(f"{address}?q=an+eagle")
    page.wait_for_selector("#token-dialog[open]")
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#token-problem:not([hidden])")
    page.click("#token-cancel")
    page.get_by_role("button", name="Enter a token").click()
    page.fill("#token", "s3cret")
    page.keyboard.press("Enter")
    visit.wait_for([hit.record.id for hit in gallery.search(text="an eagle", k=24)])
    page.wait_for_selector(".card .mat img")
    assert page.evaluate("Object.values(sessionStorage)").count("s3cret") == 1
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert "s3cret" not in page.url + page.content()
    page.reload()
    visit.settled()
    assert len(visit.ids()) == 24
    page.click("#forget")
    page.wait_for_selector("#token-dialog[open]")
    assert "s3cret" not in page.evaluate("Object.values(sessionStorage)")
    visit.complaints.clear()  # the browser's own words for 401


def test_a_token_shows_what_its_filter_lets_it_see(
    visitor: Visitor, gallery: SemanticSpace
) -> None:
    odd, secret = Field("tags").any_of(["odd"]), "0123456789abcdef"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    tokens = Tokens({digest: Principal("read", frozenset({"gallery"}), odd)})
    with (
        SemanticSpace.open(None) as other,
        served({"other": other, "gallery": gallery}, tokens=tokens) as address,
    ):
        visit = visitor(address, settle=False)
        page = visit.page
        page.fill("#token", secret)
        page.keyboard.press("Enter")
        page.wait_for_selector(".card .mat img")
        visit.search("an eagle")
        expected = gallery.search(text="an eagle", k=24, filter=odd)
        assert visit.ids() == [hit.record.id for hit in expected]
        hidden = (page.is_visible("#add"), page.is_visible("#space"))
        assert hidden == (False, False)
        visit.complaints.clear()  # the browser's own word for the 401


PROBLEM = {
    "title": "Too many requests",
    "detail": "The queue is full.",
    "remedy": "Ask again soon.",
}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"status": 429, "headers": {"Retry-After": "7"}, "json": PROBLEM},
            ["The queue is full.", "Ask again soon.", "7 s"],
        ),
        ({"status": 502, "body": "<b>Bad gateway</b>", "content_type": "text/html"}, ["502"]),
        (None, ["does not answer", "unisem serve"]),
    ],
)
def test_what_goes_wrong_is_said_and_can_be_tried_again(
    visitor: Visitor, address: str, answer: dict[str, Any] | None, said: list[str]
) -> None:
    visit = visitor(address)
    visit.page.route(
        "**/search", lambda route: route.abort() if answer is None else route.fulfill(**answer)
    )
    visit.page.fill("#text", "an eagle")
    visit.page.press("#text", "Enter")
    visit.page.wait_for_selector(".failure")
    for words in said:
        assert words in visit.page.inner_text(".failure")
    assert visit.page.inner_text("#status").startswith(visit.page.inner_text(".failure .title"))
    visit.page.unroute("**/search")
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.wait_for_selector("#found .card .score")
    visit.complaints.clear()


def test_where_nothing_is_found_it_says_what_to_try(visitor: Visitor, address: str) -> None:
    visit = visitor(f"{address}?q=xyzzy&mode=keyword&modality=text&in.tags=odd")
    assert "xyzzy" in visit.page.inner_text(".notice .title")
    for way, gone in (
        ("Clear the filters", "in.tags"),
        ("Show everything", "modality"),
        ("Search by meaning", "mode"),
    ):
        visit.page.get_by_role("button", name=way).click()
        visit.page.wait_for_function("gone => !location.search.includes(gone)", arg=gone)
        visit.settled()
    assert len(visit.ids()) == 24


def test_pictures_and_texts_are_added_where_that_is_allowed(visitor: Visitor) -> None:
    with SemanticSpace.open(None) as space:
        with served({"mine": space}) as address:
            visit = visitor(address)
            page = visit.page
            assert "nothing in this space yet" in page.inner_text("#found")
            page.get_by_role("button", name="Add pictures").click()
            assert page.is_disabled("#adding-send")
            picture = GALLERY / "images" / "armadillo.png"
            page.set_input_files(
                "#adding-files", [picture, GALLERY / "images" / "bald-eagle-head.png"]
            )
            page.get_by_label("Caption of armadillo.png").fill("an <b>armadillo</b>")
            page.get_by_role("button", name="Leave out bald-eagle-head.png").click()
            page.fill("#adding-text", "A note.")
            page.click("#adding-send")
            page.wait_for_selector("#detail[open] >> text=an <b>armadillo</b>")
            page.keyboard.press("Escape")
            page.wait_for_function("() => document.querySelectorAll('#found .card').length === 2")
        records = list(space.store.select())
        assert {record.text for record in records} == {"an <b>armadillo</b>", "A note."}
        image = next(record.image for record in records if record.image)
        assert image.sha256 == hashlib.sha256(picture.read_bytes()).hexdigest()


def test_what_cannot_be_added_stays_in_the_list_with_the_reason(visitor: Visitor) -> None:
    with SemanticSpace.open(None) as space, served({"mine": space}) as address:
        visit = visitor(address)
        page = visit.page
        page.click("#add")
        broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
        picture = GALLERY / "images" / "armadillo.png"
        whole = {"name": "a.png", "mimeType": "image/png", "buffer": picture.read_bytes()}
        page.set_input_files("#adding-files", [broken, whole])
        page.get_by_label("Caption of broken.png").fill("kept")
        page.click("#adding-send")
        page.wait_for_selector("#adding-problem:not([hidden])")
        page.wait_for_selector("#adding-send:not([disabled])")
        assert "broken.png" in page.inner_text("#adding-problem")
        assert page.locator("#adding-list li").count() == 1
        assert page.get_by_label("Caption of broken.png").input_value() == "kept"
        assert len(space) == 1
        page.click("#adding-cancel")  # what has been added is shown
        page.wait_for_selector("#detail[open] .sight img")
        visit.complaints.clear()  # the browser's own word for a 422


def test_closing_ends_what_is_being_added(visitor: Visitor) -> None:
    """Nothing goes into a space that was chosen meanwhile, and nothing is added twice."""
    with (
        SemanticSpace.open(None) as first,
        SemanticSpace.open(None) as second,
        served({"first": first, "second": second}) as address,
    ):
        visit = visitor(address)
        page = visit.page
        held: list[Route] = []
        page.route("**/v1/spaces/*/records", lambda route: held.append(route))
        page.click("#add")
        names = ("armadillo.png", "bald-eagle-head.png")
        page.set_input_files("#adding-files", [GALLERY / "images" / name for name in names])
        with page.expect_request("**/v1/spaces/first/records"):
            page.click("#adding-send")
        page.fill("#adding-text", "A note.")
        assert page.is_disabled("#adding-send")
        page.keyboard.press("Escape")
        page.wait_for_selector("#adding:not([open])", state="attached")
        with page.expect_response("**/v1/spaces/first/records"):
            held[0].continue_()
        page.unroute("**/v1/spaces/*/records")
        page.select_option("#space", "second")
        page.click("#add")
        page.wait_for_function("() => document.querySelector('#adding-send').textContent === 'Add'")
        page.fill("#adding-text", "Another note.")
        page.click("#adding-send")
        page.wait_for_selector("#detail[open] >> text=Another note.")
        assert len(held) == len(first) == len(second) == 1


def test_a_picture_that_cannot_be_shown_says_why(visitor: Visitor, tmp_path: Path) -> None:
    for name, colour in (("kept.png", "teal"), ("gone.png", "navy")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / name)
    with SemanticSpace.open(None, image_roots=[tmp_path]) as space:
        space.add([Record(id=n, text=n, image=tmp_path / n) for n in ("kept.png", "gone.png")])
        (tmp_path / "gone.png").unlink()
        with served({"mine": space}) as address:
            visit = visitor(address)
            visit.page.wait_for_selector(".card .mat img")
            assert "does not exist" in visit.page.inner_text(".card:has-text('gone.png') .missing")
            visit.complaints.clear()  # the browser's own word for a 410


@pytest.mark.parametrize(
    ("relevance", "said", "doubtful"),
    [(0.874, "87 %", False), (0.1, "10 %", False), (0.04, "4 %", True), (0.001, "< 1 %", True)],
)
def test_how_probable_it_is_that_a_result_is_relevant(
    visitor: Visitor, address: str, relevance: float, said: str, doubtful: bool
) -> None:
    visit = visitor(address)

    def judged(route: Route) -> None:
        answer = route.fetch()
        hits = answer.json()["hits"]
        for index, hit in enumerate(hits):
            hit["relevance"] = relevance if index == 0 else relevance / 2
        route.fulfill(response=answer, json={"hits": hits})

    visit.page.route("**/search", judged)
    visit.search("an eagle")
    assert visit.page.inner_text(".card >> nth=0 >> .relevance b") == said
    remark = visit.page.locator("#remark")
    assert remark.is_visible() == doubtful
    hit = Hit(record=Record(text="x"), score=0.5, matched="text", relevance=relevance)
    assert remark.inner_text().replace(" %", "%") == doubt([hit])


def test_results_do_not_wait_for_the_filters_of_a_large_space(
    visitor: Visitor, gallery: SemanticSpace, address: str
) -> None:
    visit = visitor(address)
    held: list[Route] = []
    visit.page.route("**/fields", lambda route: held.append(route))
    visit.go(f"{address}?q=a+bird")
    assert len(visit.ids()) == 24
    assert not visit.page.is_visible("#filters")
    (route,) = held
    route.continue_()
    visit.page.wait_for_selector("#filters .choice")
    visit.page.locator("#filters .choice", has_text="odd").locator("input").check()
    condition = Field("tags").any_of(["odd"])
    visit.wait_for([h.record.id for h in gallery.search(text="a bird", k=24, filter=condition)])


def test_nothing_is_added_where_only_reading_is_allowed(
    visitor: Visitor, gallery: SemanticSpace
) -> None:
    with served({"gallery": gallery}, ServiceSettings(read_only=True)) as address:
        visit = visitor(address)
        assert len(visit.ids()) == 24
        assert not visit.page.is_visible("#add")


def test_a_large_photograph_is_made_smaller_before_it_is_sent(
    visitor: Visitor, address: str
) -> None:
    noise = Image.effect_noise((4000, 3000), 90).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=95)
    assert len(buffer.getvalue()) > 2_000_000
    visit = visitor(address)
    with visit.page.expect_request("**/search") as sent:
        visit.page.set_input_files(
            "#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
        )
    visit.settled()
    data = json.loads(sent.value.post_data or "")["image"]
    picture = Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2])))
    assert picture.size == (1600, 1200)
