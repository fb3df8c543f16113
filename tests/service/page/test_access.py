"""The page for those who use a keyboard, a screen reader, a phone, or the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.service.page.conftest import Visit, Visitor

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AXE.exists(), reason="npm ci --prefix tests/service/page"),
]

PHONE = {"width": 360, "height": 740, "has_touch": True, "is_mobile": True}


def focus_is_in(visit: Visit, selector: str) -> bool:
    return bool(visit.focused(f"at.closest({selector!r}) !== null"))


def test_everything_can_be_done_by_keyboard(visitor: Visitor, address: str) -> None:
    visit = visitor(address)
    keys = visit.page.keyboard
    keys.press("Tab")
    assert visit.focused("at.className") == "skip"
    keys.press("Enter")
    assert focus_is_in(visit, "#results")
    keys.press("/")
    assert visit.focused("at.id") == "text"
    keys.type("a large cat/dog")  # a slash in it is a letter
    keys.press("Enter")
    visit.page.wait_for_selector("#found .score")
    visit.settled()
    for _ in range(60):
        keys.press("Tab")
        if focus_is_in(visit, ".card"):
            break
    first = visit.ids()[0]
    assert visit.focused("new URL(at.href).searchParams.get('record')") == first
    keys.press("Enter")
    visit.page.wait_for_selector("#detail[open] .told")
    for _ in range(15):
        keys.press("Tab")
        outside = visit.focused("at !== document.body && at.closest('#detail') === null")
        assert not outside
    keys.press("ArrowRight")
    visit.page.wait_for_function(
        "() => document.querySelector('#place').textContent.startsWith('2 of')"
    )
    keys.press("ArrowLeft")
    visit.page.wait_for_function(
        "() => document.querySelector('#place').textContent.startsWith('1 of')"
    )
    keys.press("Escape")
    visit.page.wait_for_selector("#detail:not([open])", state="attached")
    assert visit.focused("new URL(at.href).searchParams.get('record')") == first
    keys.press("Tab")
    assert visit.focused("at.textContent") == "More like this"
    keys.press("Enter")
    visit.page.wait_for_url("**like=**")
    assert focus_is_in(visit, "#results")


def test_choices_and_filters_by_keyboard_keep_the_focus(visitor: Visitor, address: str) -> None:
    visit = visitor(f"{address}?q=a+bird")
    keys = visit.page.keyboard
    visit.page.focus("#modes input:checked")
    keys.press("ArrowRight")
    visit.page.wait_for_url("**mode=hybrid**")
    visit.settled()
    assert visit.focused("at.value") == "hybrid"
    box = visit.page.locator("#filters .choice input").first
    box.focus()
    keys.press("Space")
    visit.page.wait_for_url("**in.**")
    visit.settled()
    assert visit.focused("at.checked && at.closest('#filters') !== null")
    visit.page.focus("#chips .chip")
    keys.press("Enter")
    visit.page.wait_for_url(lambda url: "in." not in url)
    visit.settled()
    assert visit.focused("at.id") == "results"


def test_what_happens_is_told(visitor: Visitor, address: str) -> None:
    visit = visitor(address)
    status = visit.page.locator("#status[role=status]")
    visit.search("a lamp")
    assert status.inner_text() == "24 results for “a lamp”"
    visit.page.click("#more")
    visit.page.wait_for_function(
        "() => document.querySelector('#status').textContent.includes('24 more')"
    )
    visit.page.wait_for_selector(".card .mat img")
    assert visit.page.locator(".card .mat img:not([alt]), .card .mat img[alt='']").count() == 0
    landmarks = [
        visit.page.get_by_role(role) for role in ("banner", "search", "main", "complementary")
    ]
    assert [landmark.count() for landmark in landmarks] == [1, 1, 1, 1]


def overflow(visit: Visit) -> int:
    """Pixels that must be scrolled sideways to see everything."""
    wide: int = visit.page.evaluate(
        """() => {
          const dialogs = document.querySelectorAll('dialog[open], #shown');
          const all = [document.documentElement, ...dialogs];
          return Math.max(...all.map(each => each.scrollWidth - each.clientWidth));
        }"""
    )
    return wide


def test_a_phone_shows_all_of_it(visitor: Visitor, address: str) -> None:
    visit = visitor(f"{address}?q=the+brush+seen+from+below", **PHONE)
    assert overflow(visit) == 0
    assert not visit.page.is_visible("#filters")
    visit.page.tap("#filtering")
    assert visit.page.is_visible("#filters")
    assert overflow(visit) == 0
    visit.page.tap("#filtering")
    visit.page.locator(".card .open", has_text="Figure 2").tap()
    visit.page.wait_for_selector("#shown .sight img")
    visit.page.get_by_label("On page 2").check()
    visit.page.wait_for_selector("#shown .sight img[alt^='Page 2']")
    assert overflow(visit) == 0
    visit.page.tap("#close")
    visit.page.wait_for_selector("#detail:not([open])", state="attached")
    visit.page.tap("#add")
    assert overflow(visit) == 0
    small = visit.page.evaluate(
        """() => [...document.querySelectorAll('header button, header input:not([hidden])')]
        .map(each => each.getBoundingClientRect()).filter(each => each.width > 0)
        .filter(each => each.width < 24 || each.height < 24).length"""
    )
    assert small == 0


def lightness(visit: Visit, selector: str, part: str) -> float:
    """Of a colour as it is computed, from 0 to 1."""
    colour = visit.page.eval_on_selector(selector, f"at => getComputedStyle(at).{part}")
    numbers = [float(n) for n in colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]]
    return sum(numbers) / 3 / 255


def test_the_dark_is_dark(visitor: Visitor, address: str) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        visit = visitor(f"{address}?q=a+lamp", color_scheme=scheme)
        ground, ink = (lightness(visit, "body", part) for part in ("backgroundColor", "color"))
        assert (ground < ink) == is_dark
        assert abs(ground - ink) > 0.6
        visit.page.click(".card .open")
        visit.page.wait_for_selector("#shown .told")
        assert (lightness(visit, "#detail", "backgroundColor") < 0.3) == is_dark


def test_who_wants_no_motion_gets_none(visitor: Visitor, address: str) -> None:
    visit = visitor(f"{address}?q=a+lamp", reduced_motion="reduce")
    visit.page.wait_for_selector(".card .mat img")
    moving = visit.page.evaluate("document.getAnimations().length")
    assert moving == 0
    visit.page.hover(".card")
    assert visit.page.evaluate("document.getAnimations().length") == 0


def findings(visit: Visit) -> list[str]:
    """What axe-core finds serious or worse, by the rules of WCAG 2.2 A and AA and its own."""
    visit.page.evaluate(AXE.read_text("utf-8"))
    visit.page.evaluate(
        "Promise.all(document.getAnimations().map(each => each.finished.catch(() => 0)))"
    )
    results: dict[str, Any] = visit.page.evaluate(
        "axe.run(document, {resultTypes: ['violations']})"
    )
    assert len(results["passes"]) > 10
    return [
        f"{found['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for found in results["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


STATES = {
    "everything": ("", None),
    "results": ("?q=the+brush+seen+from+below", None),
    "filtered": ("?q=a+bird&in.tags=odd&mode=hybrid", None),
    "detail": ("?q=the+brush+seen+from+below", ".card .open"),
    "adding": ("", "#add"),
    "nothing": ("?q=xyzzy&mode=keyword", None),
    "wrong": ("?picture=7", None),
    "alike": ("?like=images%2Farmadillo.png", None),
}
LOOKS: dict[str, dict[str, Any]] = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(visitor: Visitor, address: str, state: str, look: str) -> None:
    query, act = STATES[state]
    visit = visitor(address + query, bypass_csp=True, **LOOKS[look])
    if act is not None:
        visit.page.click(act)
        visit.page.wait_for_selector("dialog[open]")
        visit.page.wait_for_load_state("networkidle")
    assert findings(visit) == []
