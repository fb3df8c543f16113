"""Passages of documents: no longer than an encoder reads, lists, tables and headings respected."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_unisem import DocumentLoader
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace, load_encoder
from unisem.common.skipped import Skipped
from unisem.images.reference import ImageRef
from unisem.ingest.document_counts import DocumentCounts
from unisem.readers.documents.assembly import assemble
from unisem.readers.documents.elements import Element
from unisem.records import Record


def ten_words(text: str) -> bool:
    return len(text.split()) <= 10


def records(*elements: Element, size: int = 1000) -> list[Record]:
    found = assemble(
        elements,
        name="d",
        source_id="d",
        file_name="d",
        mark={},
        chunk_size=size,
        reads_whole=ten_words,
    )
    return [item for item in found if not isinstance(item, Skipped)]


def texts(*elements: Element, size: int = 1000) -> list[str | None]:
    return [record.text for record in records(*elements, size=size)]


def test_a_passage_is_cut_where_the_encoder_ends() -> None:
    words = "One two three four. Five six seven eight. Nine ten eleven."
    assert texts(Element(kind="text", text=words)) == [
        "One two three four. Five six seven eight.",
        "Nine ten eleven.",
    ]


def test_a_heading_counts_with_the_passage_that_it_opens() -> None:
    heading = Element(kind="heading", text="A heading of five words")
    body = Element(kind="text", text="One two three four five. Six seven eight nine.")
    assert texts(heading, body) == [
        "A heading of five words\n\nOne two three four five.",
        "Six seven eight nine.",
    ]


def test_a_heading_that_leaves_no_room_is_a_passage_of_its_own() -> None:
    heading = Element(kind="heading", text="A heading that has all of eight words")
    body = Element(kind="text", text="One two three.")
    assert texts(heading, body) == [heading.text, "One two three."]
    longer = Element(kind="heading", text="One two three. " * 4)
    assert texts(longer, body)[0] == "One two three. One two three. One two three."


def test_the_items_of_a_list_stay_whole() -> None:
    items = Element(kind="list", text="- one two three four\n- five six seven\n- eight")
    assert texts(items) == ["- one two three four\n- five six seven", "- eight"]


def test_a_long_table_is_several_each_with_its_caption_and_first_row() -> None:
    table = Element(
        kind="table",
        text="Part | Days\nBrush | 7\nFilter | 30\nLamp | 90",
        caption="Table 1:",
        image=ImageRef.of(solid("red")),
        anchors=("t",),
    )
    passage = Element(kind="text", text="See Table 1.")
    first, second, third, fourth = records(table, passage)
    assert [one.text for one in (first, second, third)] == [
        "Table 1:\nPart | Days\nBrush | 7",
        "Table 1:\nPart | Days\nFilter | 30",
        "Table 1:\nPart | Days\nLamp | 90",
    ]
    assert [one.metadata.get("part") for one in (first, second, third)] == [None, 2, 3]
    assert [one.image is None for one in (first, second, third)] == [False, True, True]
    assert fourth.links["figure"] == first.id
    assert first.links["next"] == second.id
    assert DocumentCounts.of_one(one.metadata for one in records(table)).tables == 1


_WORDS = st.lists(st.sampled_from(["one", "two.", "three\n", "four\n\n"]), max_size=40).map(
    " ".join
)
_ELEMENTS = st.builds(
    lambda kind, text, level: Element(kind=kind, text=text, level=level),
    st.sampled_from(["heading", "text", "list", "code"]),
    _WORDS,
    st.integers(1, 4),
)


@given(st.lists(_ELEMENTS, max_size=12), st.integers(30, 80))
@settings(deadline=None)
def test_nothing_is_lost_and_nothing_too_long(elements: list[Element], size: int) -> None:
    found = [text or "" for text in texts(*elements, size=size)]
    assert all(ten_words(text) and len(text) <= size for text in found)
    said = " ".join(element.text for element in elements)
    assert "".join(" ".join(found).split()) == "".join(said.split())


def test_the_encoder_that_ships_reads_all_of_every_passage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "manuals").mkdir()
    chinese = "把盖子拆下来之前请先关闭机器并等待指示灯熄灭。" * 60
    code = "x[i] += {'a': (1, 2), 'b': [3, 4]}  # {i}\n" * 60
    rows = "\n".join(f"| {n} | {n * n} | 把盖子 |" for n in range(150))
    page = f"# 说明书\n\n{chinese}\n\n```\n{code}```\n\n| a | b | c |\n|---|---|---|\n{rows}\n"
    (tmp_path / "manuals" / "a.md").write_text(page, encoding="utf-8")
    (tmp_path / "manuals" / "b.txt").write_text(chinese, encoding="utf-8")
    encoder = load_encoder("mini")
    assert not encoder.reads_whole(chinese[:400])
    with (
        caplog.at_level(logging.WARNING),
        SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space,
    ):
        space.add_folder(tmp_path / "manuals")
        stored = {record.id: record.text for record in space.store.select()}
    assert len(stored) > 20
    assert all(encoder.reads_whole(text or "") for text in stored.values())
    assert "its end is not embedded" not in caplog.text
    documents = DocumentLoader(tmp_path / "manuals", encoder=encoder).load()
    assert {document.id: document.page_content for document in documents} == stored


def test_an_encoder_that_cannot_tell_changes_nothing() -> None:
    assert ToyEncoder().reads_whole("word " * 10_000)


def test_captions_and_alternative_texts_are_bounded() -> None:
    long = "Figure 1: " + "word " * 100_000
    image = ImageRef(path=Path("a.png"))
    figure, silent, table = records(
        Element(kind="figure", caption=long, image=image),
        Element(kind="figure", text=long, image=image),
        Element(kind="table", text="a | b", caption=long),
    )
    assert figure.metadata["caption"] == table.metadata["caption"] == f"{long[:2000]}…"
    assert figure.metadata["label"] == "Figure 1"
    assert len(figure.text or "") == len(silent.text or "") == 2001
