"""The page: whole, small, for everybody, and it runs nobody's code."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.evaluation.data import Blurred, shades
from tests.support.pictures import noise, solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem.evaluation import EvaluationOptions, Report, evaluate
from unisem.evaluation.page import render_report
from unisem.images import thumbnails as thumbnails_module
from unisem.images.reference import ImageRef
from unisem.images.thumbnails import Thumbnails
from unisem.pairs import Pair, PairDataset

QUICK = EvaluationOptions(rounds=50)
_VOID = {"meta", "img", "br", "circle", "line", "rect", "ellipse"}
_LOADING = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background"}


@dataclass
class Seen(HTMLParser):
    """What a browser would make of the page."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1:] != ["style"]:
            self.texts.append(" ".join(data.split()))

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(text: str) -> Seen:
    seen = Seen()
    seen.feed(text)
    seen.close()
    assert seen.open == []
    assert {name for name, _ in seen.tags}.isdisjoint({"script", "iframe", "object", "link", "a"})
    for tag, attributes in seen.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in _LOADING & attributes.keys():
            assert attributes[name].startswith("data:image/webp;base64,")
    assert "url(" not in text
    assert "@import" not in text
    policy = [meta for meta in seen.named("meta") if "http-equiv" in meta]
    assert policy[0]["content"].startswith("default-src 'none'; img-src data:")
    assert all(image["alt"] for image in seen.named("img"))
    return seen


@pytest.fixture
def compared(tmp_path: Path) -> Report:
    return evaluate(
        ToyEncoder(), shades(tmp_path / "p"), against=Blurred(3.0), options=QUICK, name="the cards"
    )


def test_figures_failures_and_plot(tmp_path: Path) -> None:
    report = evaluate(Blurred(3.0), shades(tmp_path / "p"), options=QUICK, name="the cards")
    report.write_html(tmp_path / "page.html")
    seen = read((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "How well blurred retrieves" in seen.texts
    assert any("of the cards" in text for text in seen.texts)
    for task in report.encoder.tasks:
        for name, estimate in task.measures.items():
            assert f"{estimate.value:.3f}" in seen.texts
            assert (name in seen.texts) == (not name.startswith(("recall", "map")))
            assert f"{estimate.low:.3f} to {estimate.high:.3f}" in seen.texts
    drawings = [svg for svg in seen.named("svg") if svg.get("role") == "img"]
    assert len(drawings) == 1
    assert drawings[0]["aria-label"].startswith("24 pictures and their captions of blurred")
    assert len(seen.named("title")) == 1 + 2 * 24  # the window's, and one of each point
    worst = report.failures[0]
    assert worst.query.text in seen.texts
    assert f"{worst.answer.rank}" in seen.texts
    assert worst.wanted_captions[0] in {image["alt"] for image in seen.named("img")}
    assert not {"What gained most", "What lost most", "Difference"} & set(seen.texts)


def test_a_comparison_shows_before_and_after(compared: Report) -> None:
    seen = read(render_report(compared))
    assert "toy-0 against blurred" in seen.texts
    assert seen.texts.count("Difference") == 4
    assert {"What gained most", "The worst failures"} <= set(seen.texts)
    for example in compared.gained:
        assert example.before is not None
        assert any(text.startswith("Before, blurred: found at") for text in seen.texts)
        assert f"{example.before.rank}" in seen.texts
    assert len([svg for svg in seen.named("svg") if svg.get("role") == "img"]) == 2
    better = [td for td in seen.named("td") if td.get("class") == "better"]
    expected = sum(
        change.excludes_zero and change.value > 0
        for difference in compared.differences
        for name, change in difference.measures.items()
        if not name.startswith(("recall", "map"))
    )
    assert len(better) == expected > 0


def test_several_captions_show_recall(tmp_path: Path) -> None:
    seen = read(render_report(evaluate(ToyEncoder(), shades(tmp_path, 2, 3), options=QUICK)))
    assert {"recall@1", "recall@5", "recall@10"} <= set(seen.texts)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></title><script src=http://x></script>",
    "</svg></title><script>alert(2)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31m\x00red\u202e",
    "javascript:alert(1) https://example.org",
    "x" * 5000,
]


def test_captions_and_names_are_text(tmp_path: Path) -> None:
    pairs = []
    for number, text in enumerate(HOSTILE):
        solid(list(COLOURS)[number % 6], (20 + number, 20)).save(tmp_path / f"{number}.png")
        image = ImageRef(path=tmp_path / f"{number}.png", root=tmp_path)
        pairs.append(Pair.of(image, text, f"{number} {HOSTILE[1]}"))
    gone = ImageRef(path=tmp_path / f"gone {HOSTILE[0].replace('/', '')}.png", root=tmp_path)
    pairs.append(Pair.of(gone, "gone", "gone"))

    class Hostile(Blurred):
        @property
        def name(self) -> str:
            return HOSTILE[1]

    report = evaluate(
        ToyEncoder(),
        PairDataset(tuple(pairs)),
        against=Hostile(3.0),
        options=QUICK,
        name=HOSTILE[2],
    )
    text = render_report(report)
    seen = read(text)
    assert HOSTILE[0] in {image["alt"] for image in seen.named("img")}
    assert f"toy-0 against {HOSTILE[1]}" in seen.texts
    assert any("gone <script>" in said for said in seen.texts)
    assert not set(text) & set("\x00\x1b\u202e")
    assert max(map(len, seen.texts)) < 400  # long captions are cut, but not in alt texts
    assert "x" * 5000 in {image["alt"] for image in seen.named("img")}


def test_pictures_are_small_and_few(
    tmp_path: Path, compared: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise(0, (1600, 400)).save(tmp_path / "wide.png")
    image = ImageRef(path=tmp_path / "wide.png")
    made = Thumbnails().of(image)
    assert (made.width, made.height) == (224, 56)
    limited = Thumbnails(limit=int(2.5 * len(made.url)))
    kinds = [bool(limited.of(image).url) for _ in range(3)]
    assert kinds == [True, True, False]
    monkeypatch.setattr(thumbnails_module.Thumbnails.__init__, "__defaults__", (2000,))
    few = render_report(compared)
    seen = read(few)
    assert 0 < sum(len(img["src"]) for img in seen.named("img")) <= 2000
    assert "This picture is left out: the page has enough pictures" in seen.texts


def test_a_picture_that_is_gone_costs_its_own_place_only(tmp_path: Path) -> None:
    report = evaluate(Blurred(3.0), shades(tmp_path), options=QUICK)
    for path in tmp_path.glob("red-*.png"):
        path.unlink()
    seen = read(render_report(report))
    assert "This picture does not exist" in seen.texts
    assert seen.named("img")


def test_what_was_left_out_is_listed(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    (tmp_path / "blue-2.png").write_bytes(b"")
    seen = read(render_report(evaluate(ToyEncoder(), pairs, options=QUICK)))
    assert "Left out" in seen.texts
    assert any("blue-2.png" in text for text in seen.texts)
