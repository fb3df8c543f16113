"""Pages as real tools write them: which pictures are found, and with which captions."""

from __future__ import annotations

import base64
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from tests.support.pictures import encoded, solid
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents.assembly import assemble
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.html import HTML
from unisem.records import Record


def read(folder: Path, page: str | bytes) -> list[Element | Skipped]:
    data = dedent(page).encode() if isinstance(page, str) else page
    return list(HTML.elements(data, Source(folder / "page.html", folder)))


def elements(folder: Path, page: str | bytes) -> list[Element]:
    found = read(folder, page)
    assert not [item for item in found if isinstance(item, Skipped)]
    return [item for item in found if isinstance(item, Element)]


def figures(folder: Path, page: str) -> list[tuple[str, str | None, str]]:
    """File name, caption, alternative text."""
    return [
        (item.image.path.name, item.caption, item.text)
        for item in elements(folder, page)
        if item.kind == "figure" and isinstance(item.image, ImageRef) and item.image.path
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "note.png"):
        (tmp_path / name).write_bytes(encoded(solid("red")))
    return tmp_path


STYLES = {
    "plain HTML": '<figure><img src="a.png" alt="Alt"><figcaption>Say it</figcaption></figure>',
    "AsciiDoc": """<div class="imageblock"><div class="content"><img src="a.png" alt="Alt"></div>
        <div class="title">Say it</div></div>""",
    "DocBook": """<div class="figure"><a id="f"></a><p class="title"><strong>Say it</strong></p>
        <div class="figure-contents"><div class="mediaobject"><img src="a.png" alt="Alt" /></div>
        </div></div><br class="figure-break" />""",
    "Docutils": """<div class="figure align-center"><img alt="Alt" src="a.png" />
        <p class="caption"><span class="caption-text">Say it</span><a class="headerlink" href="#f">
        ¶</a></p></div>""",
    "Sphinx": """<figure class="align-default"><a class="image-reference" href="a.png"><img
        src="a.png" alt="Alt"></a><figcaption><p><span class="caption-text">Say it</span><a
        class="headerlink" href="#f">#</a></p></figcaption></figure>""",
    "Texinfo 6": """<div class="float"><span id="f"></span><div align="center"><img src="a.png"
        alt="Alt"></div><div class="float-caption"><p><strong>Say </strong>it</p></div></div>""",
    "Texinfo 5": """<div class="float"><a name="f"></a><img src="a.png" alt="Alt">
        <p><strong>Say it</strong></p></div>""",
    "WordPress": """<div class="wp-caption aligncenter"><img src="a.png" alt="Alt"/>
        <p class="wp-caption-text">Say it</p></div>""",
    "MediaWiki": """<div class="thumb tright"><div class="thumbinner"><a href="a.png"><img
        src="a.png" alt="Alt" width="220"></a><div class="thumbcaption">Say it</div></div></div>""",
    "emphasis": '<p><img src="a.png" alt="Alt"><br><em>Say it</em></p>',
    "a class": '<p><img src="a.png" alt="Alt"></p><p class="caption">Say it</p>',
}


@pytest.mark.parametrize("style", STYLES)
def test_a_figure_has_the_caption_that_its_tool_wrote(folder: Path, style: str) -> None:
    page = f"<body><p>Some words before it.</p>{STYLES[style]}<p>And words behind it.</p>"
    assert figures(folder, page) == [("a.png", "Say it", "Alt")]
    texts = [item.text for item in elements(folder, page) if item.kind == "text"]
    assert texts == ["Some words before it.", "And words behind it."]


@pytest.mark.parametrize(
    ("page", "caption"),
    [
        ("<p><img src=a.png></p><p>Figure 3: The menu.</p><p>More.</p>", "Figure 3: The menu."),
        ("<p>Abb. 2.1 Das Menü</p><img src=a.png><p>Mehr.</p>", "Abb. 2.1 Das Menü"),
        ("<p><img src=a.png></p><p>Figure 3 shows the menu.</p>", None),
        ("<p>Table 3: Days</p><img src=a.png>", None),
        ("<img src=a.png><p>Some other words.</p>", None),
    ],
)
def test_a_paragraph_is_a_caption_by_its_label_only(
    folder: Path, page: str, caption: str | None
) -> None:
    assert [found[1] for found in figures(folder, page)] == [caption]


def test_a_frame_of_several_figures_keeps_each_with_its_own(folder: Path) -> None:
    page = """<figure><figure><img src=a.png><figcaption>One</figcaption></figure>
        <figure><img src=b.png><figcaption>Two</figcaption></figure></figure>
        <div class=figure><img src=a.png><img src=b.png><p class=caption>Both</p></div>"""
    assert [found[:2] for found in figures(folder, page)] == [
        ("a.png", "One"),
        ("b.png", "Two"),
        ("a.png", "Both"),
        ("b.png", "Both"),
    ]


def test_icons_spacers_and_buttons_are_no_figures(folder: Path) -> None:
    page = """
        <p>Click <span class="guiicon"><img src="a.png"></span> or <img src="a.png" width="16">.</p>
        <table><tr><td rowspan=2><img src="note.png" alt="[Note]"></td><th>Note</th></tr>
        <tr><td>Mind it.</td></tr></table>
        <a href="next.html"><img src="b.png" alt="Next"></a>
        <p>Euler: <img class="math" src="b.png" alt="e^x"> grows.</p>"""
    assert figures(folder, page) == []
    assert "Euler: e^x grows." in [item.text for item in elements(folder, page)]


def test_a_page_is_read_in_order_without_what_is_around_it(folder: Path) -> None:
    found = elements(
        folder,
        """
        <html><head><title>No</title><style>no {}</style></head><body>
        <header><h1>Site</h1></header><nav>no</nav><div class="navheader">no</div>
        <div class="section"><h2>Clean<a class="headerlink" href="#c">¶</a></h2>
        <p>First <b>this</b>,<br>see <a href="#t">the table</a>.<script>no()</script></p>
        <ol><li>Open</li><li><p>Close</p></li></ol>
        <pre>if x:
            <b>y</b>()</pre>
        <table id="t"><caption>Table 1: Days</caption><tr><th>Part<th>Days<tr><td>A &amp; B<td>7
        </table></div><aside>no</aside><footer>no</footer></body></html>""",
    )
    assert [(item.kind, item.text) for item in found] == [
        ("heading", "Clean"),
        ("text", "First this, see the table."),
        ("list", "1. Open\n2. Close"),
        ("code", "if x:\n    y()"),
        ("table", "Part | Days\nA & B | 7"),
    ]
    assert found[0].level == 2
    assert found[1].references == found[4].anchors == ("t",)
    assert found[4].caption == "Table 1: Days"


def test_only_the_main_part_of_a_page_that_marks_one_is_read(folder: Path) -> None:
    page = "<body><p>No.</p><main><header><h1>Yes</h1></header><p>Yes.</p></main><p>No.</p>"
    assert [item.text for item in elements(folder, page)] == ["Yes", "Yes."]


def test_a_picture_is_found_where_late_loaders_and_other_sizes_say_it_is(folder: Path) -> None:
    page = """
        <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" data-src="a.png" alt="late">
        <img src="gone.png" srcset="gone.png 1x, b.png 2x" alt="sizes">
        <picture><source srcset="gone.webp"><source srcset="a.png"><img alt="source"></picture>
        <object data="b.png" type="image/png"></object>"""
    assert [found[0] for found in figures(folder, page)] == ["a.png", "b.png", "a.png", "b.png"]


def test_a_picture_inside_the_page_comes_as_bytes(folder: Path) -> None:
    data = encoded(solid("red"))
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    (figure,) = elements(folder, f'<img src="{uri}" alt="inside">')
    assert figure.image == ImageRef(data=data)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://example.org/a.png", "is a URL"),
        ("//example.org/a.png", "is a URL"),
        ("file:///etc/passwd", "is a URL"),
        ("../outside.png", "leads outside"),
        ("/etc/passwd", "leads outside"),
        ("gone.png", "does not exist"),
        ("a%00.png", "leads outside"),
        ("a.svgz", "is a packed SVG drawing"),
        ("data:image/png;base64,A", "is damaged"),
        ("data:text/html,x", "is no picture"),
    ],
)
def test_what_cannot_be_shown_is_skipped_and_its_caption_kept(
    folder: Path, link: str, reason: str
) -> None:
    page = f'<figure><img src="{link}"><figcaption>Figure 1: It.</figcaption></figure>'
    skipped, figure = read(folder, page)
    assert isinstance(skipped, Skipped)
    assert reason in skipped.reason
    assert isinstance(figure, Element)
    assert (figure.kind, figure.image, figure.caption) == ("figure", None, "Figure 1: It.")


def test_drawings_in_the_page_are_counted(folder: Path) -> None:
    page = "<figure><svg><text>no</text></svg><figcaption>A graph</figcaption></figure>"
    figure, skipped = read(folder, page)
    assert isinstance(figure, Element)
    assert figure.caption == "A graph"
    assert isinstance(skipped, Skipped)
    assert "1 drawings" in skipped.reason


@pytest.mark.parametrize(
    "data",
    [
        "<p>Grüße".encode(),
        b"\xef\xbb\xbf" + "<p>Grüße".encode(),
        b"\xff\xfe" + "<p>Grüße".encode("utf-16-le"),
        '<meta charset="iso-8859-1"><p>Grüße'.encode("latin-1"),
        '<?xml version="1.0" encoding="cp1252"?><p>Grüße</p>'.encode("cp1252"),
        '<meta charset="no-such"><p>Grüße'.encode("cp1252"),
    ],
)
def test_the_encoding_is_the_one_that_the_page_says(folder: Path, data: bytes) -> None:
    assert elements(folder, data)[0].text == "Grüße"


def test_links_are_found_without_reading_the_page() -> None:
    page = b"""<IMG alt=x SRC='a%20b.png'><img srcset="c.png 1x, d.png 2x" src=e.png>
        <source srcset="f.webp"><object data="g.png"><img src="data:image/png;base64,AA">
        <img src="h&amp;i.png"> src="none.png" <a href="j.png">"""
    assert sorted(HTML.links(page)) == sorted(
        ["a%20b.png", "c.png", "d.png", "e.png", "f.webp", "g.png", "h&i.png"]
    )


@pytest.mark.parametrize("data", [b"", b" \n", b"\x00"])
def test_nothing_is_one_error(folder: Path, data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"page\.html"):
        read(folder, data)


@pytest.mark.parametrize("name", ["punycode", "idna", "unicode_escape", "undefined"])
def test_what_is_no_charset_of_pages_is_passed_over(folder: Path, name: str) -> None:
    page = f"<meta charset={name}><p>Caf\u00e9 \\u0041</p>".encode()
    assert [item.text for item in elements(folder, page)] == ["Caf\u00e9 \\u0041"]


def test_binary_data_is_no_page(folder: Path) -> None:
    noise = np.random.default_rng(0).bytes(20_000)
    for data in (b"%PDF-1.7\n" + noise, "<p>Words</p>".encode("utf-16-le") * 9):
        with pytest.raises(DocumentError, match=r"page\.html is no HTML, but binary data"):
            read(folder, data)
    assert [item.text for item in elements(folder, "<p>A stray\0 sign.</p>" + " " * 100)] == [
        "A stray sign."
    ]


def test_entities_of_a_page_are_not_expanded(folder: Path) -> None:
    page = """<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">
        <!ENTITY c SYSTEM "file:///etc/passwd">]><html><body><p>x &b; &c; y</p></body></html>"""
    text = " ".join(item.text for item in elements(folder, page))
    assert "aaaa" not in text.replace('"aaaaaaaaaa"', "")
    assert "root" not in text


@pytest.mark.parametrize(
    "piece",
    ["<div class=figure>", "<div class=toc><h1>", "<table><tr><td>", "<ul><li>", "<b>", "<object>"],
)
def test_depth_costs_neither_the_stack_nor_time_by_the_square(folder: Path, piece: str) -> None:
    found = elements(folder, f"<p>First.</p>{piece * 500}<p>Last.")
    assert (found[0].text, found[-1].text.removeprefix("- ")) == ("First.", "Last.")


@pytest.mark.parametrize("tag", ["div", "b"])
@pytest.mark.parametrize("depth", [1_000, 2_040, 2_046, 2_047, 2_048, 5_000, 300_000])
def test_deep_nesting_is_read_to_its_end_or_refused(folder: Path, tag: str, depth: int) -> None:
    page = f"<p>before</p>{f'<{tag}>' * depth}deep{f'</{tag}>' * depth}<p>after</p>"
    refused = None
    try:
        found = [item.text for item in elements(folder, page)]
    except DocumentError as error:
        found, refused = [], str(error)
    if refused is None:
        assert " ".join(found).split() == ["before", "deep", "after"]
    else:
        assert depth > 2_040
        assert refused.startswith("page.html is nested more than 2,000 levels deep")


def test_what_is_too_large_is_refused_before_it_is_parsed(folder: Path) -> None:
    paragraph = b"<p>Words of a paragraph.</p>\n"
    with pytest.raises(DocumentError, match=r"page\.html is larger than the limit of 67,108,864"):
        read(folder, paragraph * (200_000_000 // len(paragraph)))
    with pytest.raises(DocumentError, match=r"page\.html has more than 1,000,000 tags; split it"):
        read(folder, paragraph * 500_001)
    assert list(HTML.links(b"<img src=a.png>" + b" " * (1 << 26))) == []


def test_each_picture_of_a_frame_has_the_words_under_itself_and_those_of_all(folder: Path) -> None:
    page = """<div class="figure"><p class="title">Figure 7. Sizes</p>
        <div class="figure-contents">
        <div class="mediaobject"><img src="a.png"><div class="caption">Small</div></div>
        <div class="mediaobject"><img src="b.png"><div class="caption">Large</div></div>
        </div></div>"""
    assert figures(folder, page) == [
        ("a.png", "Figure 7. Sizes Small", ""),
        ("b.png", "Figure 7. Sizes Large", ""),
    ]


def test_a_figure_of_which_nothing_is_said_is_found_by_what_stands_around_it() -> None:
    def text(number: int) -> str:
        return " ".join(f"word{number}x{n}" for n in range(60))

    found = [
        item
        for item in assemble(
            [
                Element(kind="heading", text="The brush"),
                Element(kind="text", text=text(1)),
                Element(kind="figure", image=encoded(solid("red"))),
                Element(kind="figure", image=encoded(solid("red")), text="A brush"),
                Element(kind="figure", image=encoded(solid("red")), caption="Figure 2."),
                Element(kind="text", text=text(2)),
            ],
            name="d",
            source_id="d",
            file_name="d",
            mark={},
        )
        if isinstance(item, Record) and item.metadata["kind"] == "figure"
    ]
    heading, before, after = (found[0].text or "").split("\n\n")
    assert heading == "The brush"
    assert text(1).endswith(before)
    assert 200 < len(before) <= 300
    assert text(2).startswith(after)
    assert 200 < len(after) <= 300
    assert found[1].text == "A brush"
    assert found[2].text == "\n\n".join(["Figure 2.", heading, before, after])


def test_a_place_without_its_suffix_is_no_alternative_text(folder: Path) -> None:
    (folder / "figures").mkdir()
    (folder / "figures" / "scene1.png").write_bytes(encoded(solid("red")))
    page = '<p>Words.</p><p><img src="./figures/scene1.png" alt="./figures/scene1"></p>'
    assert figures(folder, page) == [("scene1.png", None, "")]
    page = '<p>Words.</p><p><img src="figures/scene1.png" alt="A scene and/or a sphere"></p>'
    assert figures(folder, page) == [("scene1.png", None, "A scene and/or a sphere")]
