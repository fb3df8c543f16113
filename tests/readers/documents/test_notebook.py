"""Notebooks: what was written, what was run, and the pictures that came of it."""

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
from unisem.readers.documents import linked_picture
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.notebook import NOTEBOOK

RED = encoded(solid("red"))
PNG = base64.encodebytes(RED).decode()


def read(folder: Path, *cells: Any) -> list[Element | Skipped]:
    data = json.dumps({"cells": list(cells), "nbformat": 4}).encode()
    return list(NOTEBOOK.elements(data, Source(folder / "n.ipynb", folder)))


def code(source: str, *outputs: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source.splitlines(True), "outputs": list(outputs)}


def shown(**data: Any) -> dict[str, Any]:
    kinds = {name.replace("_", "/"): value for name, value in data.items()}
    return {"output_type": "display_data", "data": kinds}


def test_a_notebook_is_read_in_order(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"cell_type": "markdown", "source": ["# Sales\n", "Sales rose in May."]},
        code(
            "plot(sales)\ntitle('Per month')",
            {"output_type": "stream", "name": "stdout", "text": ["\x1b[31mdone\x1b[0m\n"]},
            shown(image_png=PNG, text_plain="<Figure size 640x480 with 1 Axes>"),
            {"output_type": "error", "ename": "E", "traceback": ["no"]},
        ),
        code("total", {"output_type": "execute_result", "data": {"text/plain": ["4", "2"]}}),
        {"cell_type": "raw", "source": "no"},
    )
    assert all(isinstance(item, Element) for item in found)
    assert [(item.kind, item.text) for item in found if isinstance(item, Element)] == [
        ("heading", "Sales"),
        ("text", "Sales rose in May."),
        ("code", "plot(sales)\ntitle('Per month')"),
        ("code", "done\n"),
        ("figure", "Sales rose in May.\nplot(sales)\ntitle('Per month')"),
        ("code", "total"),
        ("code", "42"),
    ]
    images = [item.image for item in found if isinstance(item, Element) and item.image is not None]
    assert [image.data for image in images if isinstance(image, ImageRef)] == [RED]


def test_attachments_and_pictures_beside_it_are_figures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    cell = {
        "cell_type": "markdown",
        "source": "![One](attachment:my%20pic.png)\n\n![Two](a.png)\n\n![Three](attachment:no.png)",
        "attachments": {"my pic.png": {"image/png": PNG}},
    }
    first, second, *rest = read(tmp_path, cell)
    assert isinstance(first, Element)
    assert isinstance(first.image, ImageRef)
    assert (first.text, first.image.data) == ("One", RED)
    assert isinstance(second, Element)
    assert isinstance(second.image, ImageRef)
    assert second.image.path == tmp_path / "a.png"
    assert [item.reason for item in rest if isinstance(item, Skipped)] == [
        "is not attached as a picture"
    ]
    assert "a.png" in list(NOTEBOOK.links(json.dumps({"cells": [cell]}).encode()))


def test_an_attachment_that_is_shown_often_is_held_once(tmp_path: Path) -> None:
    cell = {
        "cell_type": "markdown",
        "source": "![](attachment:a)\n\n" * 50,
        "attachments": {"a": {"image/png": PNG}},
    }
    images = [item.image for item in read(tmp_path, cell) if isinstance(item, Element)]
    assert len(images) == 50
    assert all(image is images[0] for image in images)


def test_what_is_printed_is_bounded_and_what_is_no_picture_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked_picture, "find_spec", lambda name: None)
    long = {"output_type": "stream", "text": "x" * 100_000}
    found = read(
        tmp_path, code("", long, shown(**{"image_svg+xml": "<svg/>"}), shown(image_png="A"))
    )
    assert isinstance(found[0], Element)
    assert len(found[0].text) == 2000
    reasons = [item.reason for item in found if isinstance(item, Skipped)]
    assert ["SVG" in reasons[0], "damaged" in reasons[1]] == [True, True]
    monkeypatch.setattr(linked_picture, "find_spec", lambda name: "there")
    _, figure = read(tmp_path, code("x", shown(**{"image_svg+xml": "<svg/>"})))
    assert isinstance(figure, Element)
    assert figure.image == ImageRef(data=b"<svg/>")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"[]", "has no cells"),
        (b'{"cells": 3}', "has no cells"),
        (b'{"worksheets": []}', "old format"),
    ],
)
def test_what_is_no_notebook_is_one_error(tmp_path: Path, data: bytes, reason: str) -> None:
    for reader in (
        lambda: NOTEBOOK.elements(data, Source(tmp_path / "n.ipynb", tmp_path)),
        lambda: NOTEBOOK.links(data),
    ):
        with pytest.raises(DocumentError, match=reason):
            list(reader())


_TEXTS = st.text(max_size=20) | st.sampled_from(["\ud800", PNG, "![](a.png)", "attachment:a"])
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "cell_type",
                    "source",
                    "outputs",
                    "output_type",
                    "data",
                    "text",
                    "image/png",
                    "text/plain",
                    "attachments",
                    "a",
                ]
            ),
            inner | st.sampled_from(["code", "markdown", "stream", "display_data"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(_ANY, max_size=4))
@settings(max_examples=examples(40), deadline=None)
def test_any_cells_are_read(tmp_path_factory: pytest.TempPathFactory, cells: list[Any]) -> None:
    read(tmp_path_factory.getbasetemp(), *cells)


@pytest.mark.slow
@for_long
@given(st.lists(_ANY, max_size=8))
def test_any_cells_are_read_for_long(
    tmp_path_factory: pytest.TempPathFactory, cells: list[Any]
) -> None:
    read(tmp_path_factory.getbasetemp(), *cells)
