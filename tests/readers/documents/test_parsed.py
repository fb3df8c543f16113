"""What other tools say of a document's parts is understood, and their pictures are confined."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import encoded, solid
from unisem.common.skipped import Skipped
from unisem.images.reference import ImageRef
from unisem.readers.documents.parsed import ParsedPart, parsed_part

RED = encoded(solid("red"))
CODE = base64.b64encode(RED).decode()


def understood(root: Path, metadata: dict[str, Any], text: str = "words") -> ParsedPart:
    return parsed_part(text, metadata, root=root, first_page=0)


# What each tool writes, and what it means; pages as they are numbered there.
TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "LangChain's PDF loaders": (
        {"source": "/a/b/m.pdf", "page": 0, "page_label": "iv", "total_pages": 9},
        {"file_name": "m.pdf", "page": 1, "page_label": "iv", "kind": "text"},
    ),
    "Unstructured": (
        {"filename": "m.pdf", "page_number": 3, "category": "Image", "image_base64": CODE},
        {"file_name": "m.pdf", "page": 3, "page_label": "3", "kind": "figure"},
    ),
    "Unstructured, a table": (
        {"filename": "m.pdf", "page_number": 3, "category": "Table", "image_path": "one.png"},
        {"file_name": "m.pdf", "page": 3, "page_label": "3", "kind": "table"},
    ),
    "LlamaParse": (
        {"page_num": 2, "image_path": "one.png"},
        {"page": 2, "page_label": "2", "kind": "page"},
    ),
    "MinerU": (
        {"type": "image", "img_path": "one.png", "page_idx": 4},
        {"page": 5, "page_label": "5", "kind": "figure"},
    ),
    "Docling in LangChain": (
        {
            "source": "m.pdf",
            "dl_meta": {
                "headings": ["2 Install", "2.1  Linux"],
                "doc_items": [{"prov": [{"page_no": 7}]}],
            },
        },
        {"page": 7, "page_label": "7", "section": "2 Install > 2.1 Linux", "kind": "text"},
    ),
    "Docling in LlamaIndex": (
        {"origin": {"filename": "m.pdf"}, "doc_items": [{"prov": [{"page_no": 7}]}]},
        {"page": 7, "file_name": "m.pdf"},
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tools_names_are_understood(tmp_path: Path, tool: str) -> None:
    (tmp_path / "one.png").write_bytes(RED)
    written, meant = TOOLS[tool]
    part = understood(tmp_path, written)
    assert {name: part.metadata.get(name) for name in meant} == meant
    is_shown = any(name in written for name in ("image_path", "img_path", "image_base64"))
    assert isinstance(part.image, ImageRef) == is_shown
    if isinstance(part.image, ImageRef):
        assert part.image.read_bytes() == RED
    assert not part.metadata.keys() & {"image_base64", "image_path", "img_path", "page_num"}


def test_what_is_understood_once_stays(tmp_path: Path) -> None:
    first = understood(tmp_path, {"page": 0, "source": "m.pdf"})
    again = understood(tmp_path, first.metadata)
    assert again.metadata == first.metadata
    assert again.metadata["page"] == 1


def test_pages_may_begin_with_one(tmp_path: Path) -> None:
    part = parsed_part("words", {"page": 1}, root=tmp_path, first_page=1)
    assert part.metadata["page"] == 1


def test_words_may_stand_in_the_metadata(tmp_path: Path) -> None:
    part = understood(tmp_path, {"parsed_text_markdown": "# Words", "parsed_text": "Words"}, "")
    assert part.text == "# Words"
    assert "parsed_text_markdown" not in part.metadata


def test_a_figures_words_are_its_caption_if_they_begin_so(tmp_path: Path) -> None:
    part = understood(tmp_path, {"category": "Image"}, "Figure 3: It.")
    assert (part.metadata["label"], part.metadata["caption"]) == ("Figure 3", "Figure 3: It.")
    assert "caption" not in understood(tmp_path, {"category": "Image"}, "Noise").metadata


@pytest.mark.parametrize(
    "value",
    [
        "one.png",
        "{root}/one.png",
        "file://{root}/one.png",
        f"data:image/png;base64,{CODE}",
        CODE,
        RED,
        Path("one.png"),
    ],
    ids=["relative", "absolute", "file", "data", "base64", "bytes", "Path"],
)
def test_a_picture_may_be_given_in_many_ways(tmp_path: Path, value: Any) -> None:
    (tmp_path / "one.png").write_bytes(RED)
    value = value.replace("{root}", str(tmp_path)) if isinstance(value, str) else value
    image = understood(tmp_path, {"image": value}).image
    assert isinstance(image, ImageRef)
    assert image.read_bytes() == RED


def test_a_path_may_be_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parsed").mkdir()
    (tmp_path / "parsed" / "one.png").write_bytes(RED)
    monkeypatch.chdir(tmp_path)
    image = understood(tmp_path / "parsed", {"image_path": "parsed/one.png"}).image
    assert isinstance(image, ImageRef)
    assert image.path == tmp_path / "parsed" / "one.png"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("../secret.png", "lies outside"),
        ("{root}/../secret.png", "lies outside"),
        ("file:///etc/passwd", "lies outside"),
        ("link.png", "lies outside"),
        ("https://example.com/a.png", "fetches nothing"),
        ("none.png", "does not exist"),
        ("x" * 5000 + ".png", "cannot be read"),
        ("a\0b", "cannot be read"),
    ],
)
def test_nothing_outside_the_root_is_a_picture(tmp_path: Path, value: str, reason: str) -> None:
    root = tmp_path / "parsed"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(RED)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    part = understood(root, {"image_path": value.replace("{root}", str(root))})
    assert isinstance(part.image, Skipped)
    assert reason in part.image.reason
    assert part.text == "words"


@pytest.mark.parametrize("value", [None, 3, [], {}, True, "", "\ud800"])
def test_odd_metadata_do_no_harm(tmp_path: Path, value: Any) -> None:
    names = ["page", "page_number", "page_label", "kind", "category", "caption", "file_name"]
    names += ["dl_meta", "doc_items", "headings", "origin", "image_path", "image_base64"]
    for name in names:
        part = understood(tmp_path, {name: value})
        assert part.metadata["kind"] in ("text", "page")
