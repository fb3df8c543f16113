"""PDFs and pages that are damaged at random: elements or one error, and never a crash or a hang."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.fuzzing import for_long
from tests.support.hostile_pdfs import (
    chapters_within_themselves,
    count_lies,
    form_within_itself,
    pages_within_themselves,
    words,
)
from tests.support.hostile_pdfs import page as pdf_page
from tests.support.manuals import manual
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.readers.documents.elements import Element, Format, Source
from unisem.readers.documents.html import HTML
from unisem.readers.documents.pdf import PDF

SOURCE = Source(Path("/there/document"), Path("/there"))
PAGE = b"""<!doctype html><html><head><meta charset=utf-8><title>T</title></head><body><main>
<h1 id=a>Install</h1><p>See <a href="#f">Figure 1</a> &amp; <b>mind</b> the <code>gap</code>.</p>
<figure id=f><img src="a.png" srcset="b.png 2x" alt="A"><figcaption>Figure 1: It.</figcaption>
</figure><ul><li>one<li>two<ol><li>three</ol></ul><pre>x = 1</pre><table><caption>Table 1</caption>
<tr><th>a<th>b<tr><td rowspan=2>1<td>2</table><img src="data:image/png;base64,iVBORw0KGgo=">
<svg><text>s</text></svg><math alttext="x">y</math></main></body></html>"""
PDFS = [
    manual(pages=3),
    pdf_page(words(b"Plain and not packed")),
    chapters_within_themselves(),
    form_within_itself(),
    count_lies(3),
]
TOKENS = {
    "PDF": b"<< >> [ ] /Kids /Count 3 0 endobj -1 1e38 stream endstream BT Tj Do ( )".split(),
    "HTML": b"< > </ <table> <figure> <pre> &#x110000; <li> </p> <![CDATA[ <!-- <b>".split(),
}
CHANGE = st.tuples(
    st.floats(0, 1), st.integers(0, 60), st.integers(0, 12) | st.binary(min_size=1, max_size=6)
)


def damaged(form: Format, data: bytes, changes: list[tuple[float, int, int | bytes]]) -> bytes:
    """At some places some bytes go, and others or a token come."""
    tokens = TOKENS[form.name]
    for where, gone, new in changes:
        at = int(where * len(data))
        said = tokens[new % len(tokens)] if isinstance(new, int) else new
        data = data[:at] + said + data[at + gone :]
    return data


def is_read_or_refused(form: Format, data: bytes) -> None:
    with suppress(DocumentError):
        found = list(form.elements(data, SOURCE))
        assert all(isinstance(item, Element | Skipped) for item in found)
        reasons = [item.reason for item in found if isinstance(item, Skipped)]
        assert not [reason for reason in reasons if "crashes" in reason or "longer than" in reason]


CHANGES = st.lists(CHANGE, min_size=1, max_size=6)
USUAL = settings(max_examples=examples(20))


@USUAL
@given(st.sampled_from(PDFS), CHANGES)
def test_a_damaged_pdf(data: bytes, changes: list[tuple[float, int, int | bytes]]) -> None:
    is_read_or_refused(PDF, damaged(PDF, data, changes))


@USUAL
@given(CHANGES)
def test_a_damaged_page(changes: list[tuple[float, int, int | bytes]]) -> None:
    is_read_or_refused(HTML, damaged(HTML, PAGE, changes))


@USUAL
@given(st.sampled_from([PDF, HTML]), st.binary(max_size=400))
def test_any_bytes(form: Format, data: bytes) -> None:
    is_read_or_refused(form, (b"%PDF-1.7\n" if form is PDF else b"") + data)


@pytest.mark.slow
@for_long
@given(st.sampled_from(PDFS), CHANGES)
def test_many_damaged_pdfs(data: bytes, changes: list[tuple[float, int, int | bytes]]) -> None:
    is_read_or_refused(PDF, damaged(PDF, data, changes))


@pytest.mark.slow
@for_long
@given(CHANGES)
def test_many_damaged_pages(changes: list[tuple[float, int, int | bytes]]) -> None:
    is_read_or_refused(HTML, damaged(HTML, PAGE, changes))


@pytest.mark.parametrize("count", [0, 2, 100_000, 2_000_000_000, -1])
def test_a_page_tree_that_lies_is_told_in_a_few_words(count: int) -> None:
    with suppress(DocumentError):
        found = list(PDF.elements(count_lies(count), SOURCE))
        assert len([item for item in found if isinstance(item, Skipped)]) <= 2


def test_a_page_tree_within_itself_is_refused() -> None:
    with pytest.raises(DocumentError, match="page 1 is not read, as it is damaged"):
        list(PDF.elements(pages_within_themselves(), SOURCE))


def test_what_draws_or_lists_itself_gives_its_words() -> None:
    for data, said in (
        (form_within_itself(), "Beside a form"),
        (chapters_within_themselves(), "Under a chapter"),
        (count_lies(100_000), "The only page"),
    ):
        found = list(PDF.elements(data, SOURCE))
        assert [item.text for item in found if isinstance(item, Element)] == [said]
