"""Docling's JSON: what its own classes wrote is read in order; what is hostile is bounded."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.fuzzing import for_long
from tests.support.pictures import encoded, solid
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError
from unisem.images.reference import ImageRef
from unisem.readers import FolderReader
from unisem.readers.documents import docling
from unisem.readers.documents.docling import DOCLING
from unisem.readers.documents.document import Document
from unisem.readers.documents.elements import Element, Source

WRITTEN = (Path(__file__).parents[2] / "support" / "docling.json").read_bytes()
"""By docling-core 2.104.0, schema 1.10.0: ``json.dump(document.export_to_dict(), file)``."""
RED = encoded(solid("red"))
PNG = "data:image/png;base64," + base64.b64encode(RED).decode()


def read(folder: Path, parts: bytes | dict[str, Any]) -> list[Element | Skipped]:
    data = parts if isinstance(parts, bytes) else json.dumps(named(**parts)).encode()
    return list(DOCLING.elements(data, Source(folder / "d.json", folder)))


def named(**parts: Any) -> dict[str, Any]:
    return {"schema_name": "DoclingDocument", **parts}


def refer(*names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/{name}"} for name in names]


def body(*names: str) -> dict[str, Any]:
    return {"children": refer(*names)}


def test_what_docling_writes_is_read_in_its_order(tmp_path: Path) -> None:
    found = read(tmp_path, WRITTEN)
    elements = [item for item in found if isinstance(item, Element)]
    assert [(one.kind, one.level, one.text, one.caption) for one in elements] == [
        ("heading", 1, "The Machine", None),
        ("heading", 2, "Opening", None),
        ("text", 1, "The cover comes off as Figure 1 shows.", None),
        ("list", 1, "1. Loosen the screws.\n2. Lift the cover:\n- slowly", None),
        ("text", 1, "Keep all screws.", None),
        ("figure", 1, "M4", "Figure 1: The cover."),
        ("heading", 3, "Cleaning", None),
        ("figure", 1, "A brush seen from below", None),
        ("table", 1, "Part | Days\nBrush | 7\nFilter | 30", "Table 1: How often to clean."),
        ("code", 1, "clean --brush\n  --now", None),
        ("text", 1, "[x] Cleaned", None),
        ("text", 1, "d = 7", None),
        ("text", 1, "Figure 1 and Table 1 are new.", None),
    ]
    places = [(one.page, one.box) for one in elements]  # from the top, whichever way it is written
    assert places[1] == (1, (60.0, 100.0, 300.0, 120.0))
    assert places[3] == (1, (60.0, 150.0, 400.0, 180.0))
    assert places[5] == (1, (60.0, 220.0, 240.0, 340.0))
    assert places[6] == (2, (60.0, 60.0, 300.0, 80.0))
    image = elements[5].image
    assert isinstance(image, ImageRef)
    assert image.open().getpixel((3, 3)) == (220, 30, 30)
    (skipped,) = [item for item in found if isinstance(item, Skipped)]
    assert "has 1 drawings" in skipped.reason
    assert "generate_picture_images" in skipped.reason


def test_docling_servs_answer_is_read_too(tmp_path: Path) -> None:
    served = {"document": {"md_content": None, "json_content": json.loads(WRITTEN)}}
    assert read(tmp_path, json.dumps(served).encode()) == read(tmp_path, WRITTEN)


def test_pictures_beside_it_and_pages_are_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "parsed"
    (folder / "a b_artifacts").mkdir(parents=True)
    for name in ("one%.png", "two.png", "page.png", "table.png"):
        (folder / "a b_artifacts" / name).write_bytes(RED)
    at = {"prov": [{"page_no": 2}]}
    parts = named(
        body=body("texts/0", "pictures/0", "pictures/1", "pictures/2", "pictures/3", "tables/0"),
        texts=[{"label": "text", "text": "Words", "prov": [{"page_no": 1}]}],
        pictures=[
            {"label": "picture", "image": {"uri": "a b_artifacts/one%.png"}, **at},
            {"label": "picture", "image": {"uri": f"file://{folder}/a%20b_artifacts/two.png"}},
            {"label": "picture", "image": {"uri": "../../etc/passwd"}},
            {"label": "picture", "image": {"uri": "https://example.com/a.png"}},
        ],
        tables=[
            {
                "label": "table",
                "image": {"uri": "a b_artifacts/table.png"},
                "data": {
                    "table_cells": [
                        {"text": "a", "start_row_offset_idx": 0, "start_col_offset_idx": 0}
                    ]
                },
            }
        ],
        pages={"2": {"image": {"uri": "a b_artifacts/page.png"}}, "x": {}, "1": {"image": None}},
    )
    (folder / "d.json").write_text(json.dumps(parts))
    (folder / "other.json").write_text('{"schema_name": "something else"}')
    reader = FolderReader(folder)
    (document,) = reader
    assert isinstance(document, Document)
    assert (len(reader), reader.ignored) == (5, {".json": 1})
    found = list(document.records(document.read()))
    records = [item for item in found if not isinstance(item, Skipped)]
    kinds = [(one.metadata["kind"], one.text, one.image and one.image.path) for one in records]
    art = folder / "a b_artifacts"
    assert kinds == [
        ("text", "Words", None),
        ("page", None, art / "page.png"),
        ("figure", "Words", art / "one%.png"),
        ("figure", "Words", art / "two.png"),
        ("table", "a", art / "table.png"),
    ]
    assert records[2].links["of_page"] == records[1].id
    reasons = [item.reason for item in found if isinstance(item, Skipped)]
    assert ["outside" in reasons[0], "fetches nothing" in reasons[1]] == [True, True]


def test_a_json_that_is_no_document_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"rows": [1, 2]}')
    (tmp_path / "b.json").symlink_to("/etc/hostname")
    reader = FolderReader(tmp_path)
    assert list(reader) == []
    assert (len(reader), reader.ignored) == (0, {".json": 2})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"\xff", "no JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "no JSON"),
        (b"[]", "no document of Docling"),
        (b'{"schema_name": "other"}', "no document of Docling"),
    ],
)
def test_what_is_none_is_one_error(tmp_path: Path, data: bytes, reason: str) -> None:
    for reader in (lambda: read(tmp_path, data), lambda: list(DOCLING.links(data))):
        with pytest.raises(DocumentError, match=reason):
            reader()


def test_its_values_are_counted_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(named(rest=[[]] * 1000)).encode()
    assert read(tmp_path, data) == []
    monkeypatch.setattr(docling, "MOST_PARTS", 1000)
    with pytest.raises(DocumentError, match="more than 1,000 values"):
        read(tmp_path, data)


def test_a_label_that_is_none_costs_nothing_else(tmp_path: Path) -> None:
    texts = [{"label": [], "text": "One."}, {"label": {"a": 1}, "text": "Two."}]
    found = read(tmp_path, {"body": body("texts/0", "texts/1"), "texts": texts})
    assert [item.text for item in found if isinstance(item, Element)] == ["One.", "Two."]


def test_circles_and_depth_end(tmp_path: Path) -> None:
    deep = 100_000
    groups: list[Any] = [{"children": refer(f"groups/{n + 1}")} for n in range(deep)]
    groups.append({"children": refer("groups/0", "texts/0", "texts/0", "body", "texts/-1", "a/b")})
    texts = [{"text": "The end", "children": refer("texts/0", "texts/7")}]
    (end,) = read(tmp_path, {"body": body("groups/0"), "groups": groups, "texts": texts})
    assert isinstance(end, Element)
    assert end.text == "The end"
    shared = [{"captions": refer("texts/0"), "image": {"uri": PNG}}] * 3
    found = read(tmp_path, {"body": body(*(f"pictures/{n}" for n in range(3))), "pictures": shared})
    assert len(found) == 3


_SIDES = st.floats() | st.integers()
_NAMES = st.sampled_from(
    [f"{kind}/{n}" for kind in ("texts", "groups", "pictures", "tables") for n in range(3)]
)
_REFS = st.lists(_NAMES.map(lambda name: {"$ref": f"#/{name}"}) | st.none(), max_size=4)
_ANY = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
_ITEM = st.fixed_dictionaries(
    {},
    optional={
        "label": st.sampled_from(
            ["text", "title", "section_header", "list_item", "caption", "code", "inline", "list"]
        )
        | _ANY,
        "text": st.text(max_size=20) | st.just("\ud800 Figure 1") | _ANY,
        "level": _ANY,
        "marker": _ANY,
        "content_layer": st.sampled_from(["body", "notes", "furniture"]) | _ANY,
        "children": _REFS | _ANY,
        "captions": _REFS | _ANY,
        "image": st.fixed_dictionaries({"uri": st.text(max_size=9) | st.just(PNG) | _ANY}) | _ANY,
        "meta": st.fixed_dictionaries({"description": _ANY}) | _ANY,
        "annotations": _ANY,
        "data": st.fixed_dictionaries(
            {
                "table_cells": st.lists(
                    st.fixed_dictionaries(
                        {
                            "text": st.text(max_size=4) | _ANY,
                            "start_row_offset_idx": _SIDES | _ANY,
                            "start_col_offset_idx": _SIDES | _ANY,
                        }
                    ),
                    max_size=3,
                )
                | _ANY
            }
        )
        | _ANY,
        "prov": st.lists(
            st.fixed_dictionaries(
                {
                    "page_no": st.integers() | _ANY,
                    "bbox": st.fixed_dictionaries(
                        dict.fromkeys("ltrb", _SIDES | _ANY),
                        optional={"coord_origin": st.just("BOTTOMLEFT") | _ANY},
                    )
                    | _ANY,
                }
            ),
            max_size=2,
        )
        | _ANY,
    },
)
_ITEMS = st.lists(_ITEM | _ANY, max_size=3) | _ANY
_DOCUMENTS = st.fixed_dictionaries(
    {"body": st.fixed_dictionaries({"children": _REFS}) | _ANY},
    optional=dict.fromkeys(("texts", "groups", "pictures", "tables"), _ITEMS)
    | {"pages": st.dictionaries(st.text(max_size=3) | st.just("1"), _ITEM | _ANY) | _ANY},
)


@given(_DOCUMENTS)
@settings(max_examples=examples(40), deadline=None)
def test_any_document_is_read(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, Any]
) -> None:
    check_any(tmp_path_factory.getbasetemp(), parts)


@pytest.mark.slow
@for_long
@given(_DOCUMENTS)
def test_any_document_is_read_for_long(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, Any]
) -> None:
    check_any(tmp_path_factory.getbasetemp(), parts)


def check_any(folder: Path, parts: dict[str, Any]) -> None:
    """Whatever comes out can be stored."""
    document = Document(DOCLING, Source(folder / "d.json", folder), "d", "d", "d.json")
    data = json.dumps(named(**parts)).encode()
    list(DOCLING.links(data))
    for record in document.records(data):
        if not isinstance(record, Skipped):
            assert record.id.encode()
            (record.text or "").encode()
            json.dumps(dict(record.metadata), allow_nan=False)
