"""The page: it needs nothing else, shows every kind of hit, and runs nobody's code."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.support.manuals import manual
from tests.support.pictures import noise, solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.page import script, script_digest

_LOADING = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "ping"}
_VOID = {"meta", "img", "br", "link", "circle"}


@dataclass
class Seen(HTMLParser):
    """What a browser would make of the page."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif data.strip() and self.open[-1:] != ["style"]:
            self.texts.append(data.strip())

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Seen:
    text = path.read_text(encoding="utf-8")
    seen = Seen()
    seen.feed(text)
    seen.close()
    assert seen.open == []
    assert {name for name, _ in seen.tags}.isdisjoint({"iframe", "object", "link"})
    assert seen.named("script") == [{}]  # ours, which the policy knows by its digest
    assert seen.scripts == [script()]
    for tag, attributes in seen.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "a":  # leads to a file, by a way that starts from the page
            assert urlsplit(attributes.pop("href"))[:2] == ("", "")
        for name in _LOADING & attributes.keys():
            assert attributes[name].startswith("data:image/webp;base64,")
    assert "url(" not in text
    assert "@import" not in text
    policy = [meta for meta in seen.named("meta") if "http-equiv" in meta]
    assert policy[0]["content"].startswith("default-src 'none'; img-src data:")
    assert f"script-src '{script_digest()}';" in policy[0]["content"]
    return seen


def decoded(url: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(url.split(",")[1], validate=True)))


def test_a_page_holds_hits_query_and_pictures(run: Run, built: Path, tmp_path: Path) -> None:
    solid("red").save(tmp_path / "query.png")
    page = tmp_path / "page.html"
    result = run("search", built, "red", "--image", tmp_path / "query.png", "-k", 7, "--html", page)
    assert result.exit_code == 0
    assert "cards/red.png" in result.stdout
    assert f"wrote {page}" in result.stderr
    seen = read(page)
    assert "This picture + “red”" in seen.texts
    assert seen.texts.count("picture") == 6
    assert seen.texts.count("text") == 1
    assert "Cards are made of paper." in seen.texts
    alts = [image["alt"] for image in seen.named("img")]
    assert alts[0] == "The picture that was looked for"
    assert "a red card" in alts
    mean = np.asarray(decoded(seen.named("img")[1]["src"]).convert("RGB")).mean(axis=(0, 1))
    assert np.abs(mean - COLOURS["red"]).max() < 12


def test_pictures_are_small_copies(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    noise(0, (1600, 400)).save(folder / "wide.png")
    solid("blue", (3, 2)).save(folder / "tiny.png")
    run("index", folder, "--into", "s.unisem")
    run("search", "s.unisem", "x", "--html", "page.html")
    sizes = {
        image["alt"]: decoded(image["src"]).size for image in read(Path("page.html")).named("img")
    }
    assert sizes == {
        "Picture without a caption: large/wide.png": (480, 120),
        "Picture without a caption: large/tiny.png": (3, 2),
    }
    assert (folder / "wide.png").stat().st_size > 10 * Path("page.html").stat().st_size


def test_a_picture_that_is_gone_costs_its_own_place_only(
    run: Run, built: Path, cards: Path
) -> None:
    (cards / "red.png").unlink()
    assert run("search", built, "red", "-k", 3, "--html", "page.html").exit_code == 0
    seen = read(Path("page.html"))
    assert "This picture does not exist" in seen.texts
    assert "a red card" in seen.texts
    assert len(seen.named("img")) == 2


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></title><script src=http://x></script>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31m\x00red\u202e",
    "javascript:alert(1) https://example.org",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(run: Run, tmp_path: Path, toy: ToyEncoder, text: str) -> None:
    path, asked = tmp_path / "evil.unisem", text.replace("\x00", "")  # which ids may not hold
    with SemanticSpace.open(path, encoder=toy) as space:
        space.add(
            [
                Record(id=f"p{asked}", text=text, image=solid("red")),
                Record(id=f"t{asked}", text=text, metadata={"x": asked}),
            ]
        )
    run("search", path, asked, "--html", "page.html", "--filter", f"x != {asked}y")
    seen = read(Path("page.html"))
    shown = text.replace("\x1b", "").replace("\x00", "").replace("\u202e", "")
    assert seen.texts.count(shown) == 2
    assert f"“{shown}”" in seen.texts
    assert seen.named("img")[0]["alt"] == shown
    assert not set(Path("page.html").read_text(encoding="utf-8")) & set("\x00\x1b\u202e")


def test_nothing_found_is_said(run: Run, built: Path) -> None:
    run("search", built, "red", "--filter", "width = 1", "--html", "page.html")
    assert "Nothing found. Try fewer filters." in read(Path("page.html")).texts


def test_a_page_that_cannot_be_written_is_one_line(run: Run, built: Path) -> None:
    result = run("search", built, "red", "--html", "none/page.html")
    assert result.exit_code == 1
    assert result.stderr == "error: none/page.html: No such file or directory\n"


def test_hits_link_to_their_pictures(run: Run, tmp_path: Path, toy: ToyEncoder) -> None:
    name = "a #1% ?\u00e9 picture.png"
    (tmp_path / "photos").mkdir()
    solid("red").save(tmp_path / "photos" / name)
    run("index", tmp_path / "photos", "--into", "s.unisem")
    page = tmp_path / "found" / "page.html"
    page.parent.mkdir()
    run("search", "s.unisem", "red", "--html", page)
    seen = Seen()
    seen.feed(page.read_text(encoding="utf-8"))
    links = {attributes["href"] for attributes in seen.named("a")}
    assert [unquote(link) for link in links] == [f"../photos/{name}"]
    (url,) = (urlsplit(urljoin(page.as_uri(), link)) for link in links)
    assert Path(unquote(url.path)) == tmp_path / "photos" / name


def test_the_page_of_a_figure_is_shown_framed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "machine.pdf").write_bytes(manual())
    run("index", folder, "--into", "m.unisem")
    run("search", "m.unisem", "the cover", "-k", "9", "--html", "found.html")
    page = Path("found.html").read_text("utf-8")
    assert page.count("Show the page") == 3  # of two figures and a table
    assert page.count("<script") == 1


def test_a_passage_of_a_pdf_links_to_its_page(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "machine.pdf").write_bytes(manual(pages=4))
    (folder / "page.html").write_text("<h1>Other</h1><p>No page of a PDF.</p>")
    run("index", folder, "--into", "m.unisem")
    search = ("search", "m.unisem", "what a page says", "--modality", "text", "--html")
    run(*search, "found.html", "-k", 9)
    read(Path("found.html"))
    links = re.findall('<a href="([^"]*)"', Path("found.html").read_text("utf-8"))
    pages = [f"../manuals/machine.pdf#page={page}" for page in (1, 2, 3, 4)]
    assert sorted(links) == [*pages, "../manuals/page.html"]
    (folder / "machine.pdf").unlink()
    run(*search, "found.html")
    seen = read(Path("found.html"))
    assert len(seen.named("a")) == 1  # of the other
    assert seen.texts.count("its file is gone") == 4
