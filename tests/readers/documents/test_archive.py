"""Zip files of strangers: what is good is read, and what is not is one error."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisem.errors import DocumentError
from unisem.readers.documents import archive as bounds
from unisem.readers.documents.archive import Archive


def packed(**members: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_members_come_back() -> None:
    archive = Archive(packed(a=b"one", b=b"two"), "x.docx")
    assert archive.names == ["a", "b"]
    assert archive.read("b") == b"two"
    assert "a" in archive
    assert "c" not in archive
    with pytest.raises(DocumentError, match=r"x\.docx: c is not there"):
        archive.read("c")


def test_a_bomb_is_stopped_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_UNPACKED", 3000)
    archive = Archive(packed(bomb=bytes(1_000_000), small=bytes(900)), "x.docx")
    with pytest.raises(DocumentError, match="larger than the limit of 2,000"):
        archive.read("bomb", 2000)
    assert archive.read("small") == bytes(900)  # what was unpacked of the bomb counts
    with pytest.raises(DocumentError, match="larger than the limit of 100"):
        archive.read("small")


def test_a_directory_of_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_MEMBERS", 2)
    with pytest.raises(DocumentError, match="more than 2 members"):
        Archive(packed(a=b"", b=b"", c=b""), "x.docx")


def test_what_needs_a_password_says_so() -> None:
    with pytest.raises(DocumentError, match="needs a password"):
        Archive(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "x.docx")
    data = bytearray(packed(a=b"one"))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DocumentError, match="needs a password"):
        Archive(bytes(data), "x.docx").read("a")


def test_other_ways_of_packing_are_refused() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a", b"one")
    with pytest.raises(DocumentError, match="packed in a way"):
        Archive(buffer.getvalue(), "x.docx").read("a")


def test_entities_are_neither_expanded_nor_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden")
    page = (
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{tmp_path}/secret"><!ENTITY y "yes">'
        '<!ENTITY z "&y;&y;">]><r>a&x;b&z;c</r>'
    )
    root = Archive(packed(a=page.encode()), "x.docx").xml("a")
    words = "".join(node.text or "" for node in root.iter() if isinstance(node.tag, str))
    assert "hidden" not in words
    assert "yes" not in words


def test_a_tree_that_is_too_deep_is_damaged() -> None:
    deep = b"<a>" * 100_000 + b"</a>" * 100_000
    with pytest.raises(DocumentError, match="a is damaged"):
        Archive(packed(a=deep), "x.docx").xml("a")


@given(st.data())
def test_damage_is_one_kind_of_error(data: st.DataObject) -> None:
    good = bytearray(packed(a=b"<r>one</r>", b=b"two" * 50))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        archive = Archive(bytes(good[: data.draw(st.integers(0, len(good)))]), "x.docx")
        for name in archive.names:
            archive.read(name)
            archive.xml(name)
    except DocumentError:
        pass
