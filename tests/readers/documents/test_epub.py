"""Books: chapters in the order of the spine, pictures inside, and books that are traps."""

from __future__ import annotations

import random
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.fuzzing import for_long
from tests.support.pictures import encoded, solid
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers.documents import archive as bounds
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.epub import EPUB

RED = encoded(solid("red"))
CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<manifest><item id="b" href="text/b%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="p" href="red.png" media-type="image/png"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="a"/><itemref idref="n"/>
<itemref idref="none"/></spine></package>"""
NAV = """<html xmlns="http://www.w3.org/1999/xhtml"><body><nav><ol><li>
<a href="text/a.xhtml">No</a></li><li><a href="text/b%20b.xhtml#x">The <b>brush</b></a></li></ol>
</nav></body></html>"""
FIRST = """<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Opening</h1><p>See <a
href="#f">it</a>.</p><figure id="f"><img src="../red.png"/><figcaption>Figure 1: It</figcaption>
</figure></body></html>"""
SECOND = '<html><body><p>Wash it.</p><figure id="f"><img src="../red.png"/></figure></body></html>'
MEMBERS = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OPS/book.opf": PACKAGE,
    "OPS/nav.xhtml": NAV,
    "OPS/text/a.xhtml": FIRST,
    "OPS/text/b b.xhtml": SECOND,
    "OPS/red.png": RED,
}


def book(**changes: str | bytes | None) -> bytes:
    """The book, members changed or (``None``) left out."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in {**MEMBERS, **changes}.items():
            if data is not None:
                file.writestr(name, data)
    return buffer.getvalue()


def read(data: bytes) -> list[Element | Skipped]:
    folder = Path("/books")
    return list(EPUB.elements(data, Source(folder / "b.epub", folder)))


def test_chapters_come_in_the_order_of_the_spine() -> None:
    found = [item for item in read(book()) if isinstance(item, Element)]
    assert [(item.kind, item.text, item.caption) for item in found] == [
        ("heading", "Opening", None),
        ("text", "See it.", None),
        ("figure", "", "Figure 1: It"),
        ("heading", "The brush", None),
        ("text", "Wash it.", None),
        ("figure", "", None),
    ]
    images = [item.image for item in found if isinstance(item.image, ImageRef)]
    assert [image.data for image in images] == [RED, RED]
    assert images[0] is images[1], "a picture is unpacked once"
    assert set(found[1].references) <= set(found[2].anchors)
    assert not set(found[2].anchors) & set(found[5].anchors)


def test_titles_of_the_older_kind_are_read() -> None:
    ncx = """<!DOCTYPE ncx PUBLIC "x" "http://x/ncx.dtd"><ncx><navMap><navPoint><navLabel>
    <text>Old</text></navLabel><content src="text/b%20b.xhtml"/></navPoint></navMap></ncx>"""
    package = PACKAGE.replace("nav.xhtml", "toc.ncx").replace(
        'application/xhtml+xml" properties="nav"', 'application/x-dtbncx+xml"'
    )
    found = read(book(**{"OPS/book.opf": package, "OPS/toc.ncx": ncx}))
    assert "Old" in [item.text for item in found if isinstance(item, Element)]


def test_what_is_missing_inside_costs_itself_only() -> None:
    found = read(book(**{"OPS/text/a.xhtml": None, "OPS/red.png": None}))
    assert [item.text for item in found if isinstance(item, Element)] == ["The brush", "Wash it."]
    reasons = [item.reason for item in found if isinstance(item, Skipped)]
    assert all("is not there" in reason for reason in reasons)
    assert len(reasons) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "damaged"),
        (b"PK", "damaged"),
        (book()[:900], "damaged"),
        (book(**{"META-INF/container.xml": None}), "container.xml is not there"),
        (book(**{"META-INF/container.xml": "<container/>"}), "is not there"),
        (book(**{"OPS/book.opf": "<package>"}), "is damaged"),
        (book(**{"OPS/book.opf": "<package/>"}), "has no chapters"),
        (book(**{"OPS/text/a.xhtml": "", "OPS/text/b b.xhtml": ""}), "is empty"),
        (
            book(**{"META-INF/encryption.xml": '<e><EncryptionMethod Algorithm="aes"/></e>'}),
            "is protected",
        ),
    ],
)
def test_what_is_no_book_is_one_error(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason) as error:
        read(data)
    assert "b.epub" in str(error.value)


def test_fonts_that_are_hidden_do_not_protect_a_book() -> None:
    fonts = '<e><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></e>'
    assert read(book(**{"META-INF/encryption.xml": fonts})) == read(book())


def test_nothing_outside_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(RED)
    links = ("../../../x.png", f"{tmp_path}/x.png", "http://a/x.png", "//a/x.png", "file:///x.png")
    page = "<p>Words</p>" + "".join(f"<p><img src='{link}'></p>" for link in links)
    found = read(book(**{"OPS/text/a.xhtml": page}))
    assert sum(isinstance(item, Skipped) for item in found) == len(links)
    entity = '<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    spied = CONTAINER.replace("<container>", entity + "<container>&e;")
    assert "root:" not in str(read(book(**{"META-INF/container.xml": spied})))


def test_a_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_UNPACKED", 100_000)
    found = read(book(**{"OPS/red.png": bytes(1_000_000)}))
    reasons = [item.reason for item in found if isinstance(item, Skipped)]
    assert "larger than the limit" in reasons[0]
    assert "Opening" in [item.text for item in found if isinstance(item, Element)]


def check(seed: int, changes: int) -> None:
    dice, data = random.Random(seed), bytearray(book())
    for _ in range(changes):
        data[dice.randrange(len(data))] = dice.randrange(256)
    with suppress(DocumentError):
        read(bytes(data))


@given(st.integers(0, 1 << 32), st.integers(1, 20))
@settings(max_examples=examples(25), deadline=None)
def test_a_damaged_book_is_read_or_refused(seed: int, changes: int) -> None:
    check(seed, changes)


@pytest.mark.slow
@for_long
@given(st.integers(0, 1 << 32), st.integers(1, 200))
def test_a_damaged_book_is_read_or_refused_for_long(seed: int, changes: int) -> None:
    check(seed, changes)


@given(st.binary(max_size=300), st.sampled_from([name for name in MEMBERS if "." in name]))
@settings(max_examples=examples(25), deadline=None)
def test_any_member_is_read_or_refused(data: bytes, name: str) -> None:
    with suppress(DocumentError):
        read(book(**{name: data}))
