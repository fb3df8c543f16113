"""Markdown as people write it: its pictures with their captions, and what around them is text."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.fuzzing import for_long
from tests.support.pictures import encoded, solid
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents import markdown
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.markdown import MARKDOWN


def read(folder: Path, text: str | bytes) -> list[Element | Skipped]:
    data = text if isinstance(text, bytes) else dedent(text).encode()
    return list(MARKDOWN.elements(data, Source(folder / "page.md", folder)))


def elements(folder: Path, text: str | bytes) -> list[Element]:
    found = read(folder, text)
    assert not [item for item in found if isinstance(item, Skipped)]
    return [item for item in found if isinstance(item, Element)]


def pictures(found: list[Element | Skipped]) -> list[str]:
    images = (item.image for item in found if isinstance(item, Element))
    return [image.path.name for image in images if isinstance(image, ImageRef) and image.path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "a b.png", "a(1).png"):
        (tmp_path / name).write_bytes(encoded(solid("red")))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "caption", "alternative"),
    [
        ("![Alt](a.png)\n*Say it*", "Say it", "Alt"),
        ("![Alt](a.png)\n\n*Say it*", "Say it", "Alt"),
        ("![Alt](a.png)\n\n**Say** *it*", None, "Alt"),
        ("![Alt](a.png)\n\n**Figure 3**: it", "Figure 3: it", "Alt"),
        ("![Alt](a.png)\n\nFigure 3: it", "Figure 3: it", "Alt"),
        ("![Alt](a.png)\n\nFigure 3 shows it.", None, "Alt"),
        ('![Alt](a.png "Title")', None, "Alt; Title"),
        ('![Alt](a.png "Figure 3: it")', "Figure 3: it", "Alt"),
        ("![Figure 3: it](a.png)", "Figure 3: it", "Figure 3: it"),
        ("![Alt][one]\n\n[ONE]: a.png", None, "Alt"),
        ("![One][]\n\n[one]: <a.png>", None, "One"),
        ("![one]\n\n[one]: a.png 'Title'", None, "one; Title"),
        ("Words ![Alt](a.png) around.", None, "Alt"),
        ("- One\n\n  ![Alt](a.png)\n\n- Two", None, "Alt"),
        ("[![Alt](a.png)](a.png)", None, "Alt"),
        ('<p align="center"><img src="a.png" alt="Alt" width="300"></p>', None, "Alt"),
        (
            "<figure>\n\n![Alt](a.png)\n\n<figcaption>Say *it*</figcaption>\n</figure>",
            "Say *it*",
            "Alt",
        ),
    ],
)
def test_a_picture_has_what_is_written_about_it(
    folder: Path, text: str, caption: str | None, alternative: str
) -> None:
    for wrapped in (text, f"Before.\n\n{text}\n", f"# A\r\n\r\n{text}\n\n## B"):
        figures = [item for item in elements(folder, wrapped) if item.kind == "figure"]
        assert [(item.caption, item.text) for item in figures] == [(caption, alternative)]
        assert pictures(list(figures)) == ["a.png"]
        assert list(MARKDOWN.links(wrapped.encode())) == ["a.png"]


def test_a_document_is_read_in_order(folder: Path) -> None:
    found = elements(
        folder,
        """
        Opening
        =======
        First *this*,
        then ~~that~~ `this()`.

        1. One
        2. Two
           - Three

        ## Parts
        | Part | Days |
        |------|-----:|
        | `A`  | 7 |

        Table 1: Days

        ```python
        if x:
            y("![no](b.png)")
        ```

        > Mind it.
        """,
    )
    assert [(item.kind, item.text) for item in found] == [
        ("heading", "Opening"),
        ("text", "First this, then that this()."),
        ("list", "1. One\n2. Two\n- Three"),
        ("heading", "Parts"),
        ("table", "Part | Days\nA | 7"),
        ("code", 'if x:\n    y("![no](b.png)")'),
        ("text", "Mind it."),
    ]
    assert (found[3].level, found[4].caption) == (2, "Table 1: Days")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('---\ntitle: "The Machine"\ntags: [a]\n---\nText', ["The Machine", "Text"]),
        ("---\ntitle: The Machine\n...\n# The Machine\nText", ["The Machine", "Text"]),
        ('+++\ntitle = "The Machine"\n+++\nText', ["The Machine", "Text"]),
        ("---\ntags: [a]\n---\nText", ["Text"]),
        ("---\nNo field here\n---\nText", ["No field here", "Text"]),
        ("---\ntitle: Only\n---\n", ["Only"]),
    ],
)
def test_of_front_matter_the_title_is_read(folder: Path, text: str, words: list[str]) -> None:
    assert [item.text for item in elements(folder, text)] == words
    assert [item.text for item in elements(folder, text.replace("\n", "\r\n"))] == words


def test_what_links_to_a_place_refers_to_it(folder: Path) -> None:
    found = elements(folder, 'See [this](#menu).\n\n<a id="menu"></a>\n![Alt](a.png)')
    assert found[0].references == ("menu",)
    assert "menu" in found[1].anchors


def test_encodings_and_what_is_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        text = "Käfer charset=latin-1"
        assert [item.text for item in elements(folder, text.encode(encoding))] == [text]
    with pytest.raises(DocumentError, match=r"page\.md cannot be read as UTF-8"):
        read(folder, b"caf\xe9")
    for empty in (b"", b" \n", b"---\na: b\n---\n", b"[a]: b.png"):
        assert [item.reason for item in read(folder, empty) if isinstance(item, Skipped)] == [
            "is empty"
        ]
    monkeypatch.setattr(markdown, "MAX_MARKDOWN", 10)
    with pytest.raises(DocumentError, match="larger than the limit of 10 bytes"):
        read(folder, b"12345678901")


def test_nothing_outside_the_folder_is_shown(folder: Path) -> None:
    links = ("../x.png", "/etc/x.png", "https://a/x.png", "//a/x.png", "none.png", "a.svg")
    found = read(folder, "\n\n".join(f"![]({link})" for link in links))
    assert len(found) == len(links)
    assert all(isinstance(item, Skipped) for item in found)


_PIECES = (
    "![", "[", "]", "(", ")", "(a.png)", "(<a b.png>)", "(a(1).png)", "(b.png 'T')", "*", "`",
    "```", "\n", "\n\n", " ", "    ", "> ", "- ", "1. ", "# ", "|", "|-|", "<", "<img src=a.png>",
    "-->", "<!--", "<figure>", "</figure>", "[a]: a.png", "[a]", "---", "title: x", "words", "\\",
    "&amp;", "<pre>", "~~~", "\t", "\r", "\0", "é", "![](a.png)", "*Figure 1: x*", "Figure 1",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join) | st.text(max_size=200))
@settings(max_examples=examples(40), deadline=None)
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    check(tmp_path_factory, text.encode("utf-8", "surrogatepass"))


@pytest.mark.slow
@for_long
@given(
    st.lists(st.sampled_from(_PIECES), max_size=400).map("".join).map(str.encode)
    | st.binary(max_size=2000)
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    check(tmp_path_factory, data)


def check(folders: pytest.TempPathFactory, data: bytes) -> None:
    """No other error than the one; no words of code are a picture; nothing outside is shown."""
    folder = folders.getbasetemp()
    for name in ("a.png", "b.png"):
        if not (folder / name).exists():
            (folder / name).write_bytes(encoded(solid("red")))
    list(MARKDOWN.links(data))
    try:
        found = read(folder, data)
    except DocumentError:
        return
    assert set(pictures(found)) <= {"a.png", "b.png"}


@pytest.mark.parametrize(
    "piece", ["[", "![", "> ", "- ", "`", "<", "*a **b ", "|a|\n|-|\n", "[a]("]
)
def test_nesting_costs_neither_the_stack_nor_time_by_the_square(folder: Path, piece: str) -> None:
    for item in read(folder, f"First.\n\n{piece * 10_000}\n\nLast."):
        assert isinstance(item, Element)
    list(MARKDOWN.links(piece.encode() * 100_000))


def test_more_lines_than_a_book_has_are_refused(folder: Path) -> None:
    with pytest.raises(DocumentError, match=r"page\.md has more than 200,000 lines; split it"):
        read(folder, b"- a\n" * 200_001)
