"""What documents refer to elsewhere is not fetched, whichever process would do it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hostile_pdfs import page, pdf
from unisem.common.skipped import Skipped
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.formats import FORMATS

SECRET = "what lies outside"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def documents(url: str, secret: str) -> dict[str, bytes]:
    """By the suffix of their files."""
    html = (
        f"<!DOCTYPE html SYSTEM '{url}/d.dtd' [<!ENTITY e SYSTEM '{url}/e'>]><html><head>"
        f"<base href='{url}/'><link rel=stylesheet href='{url}/s.css'><script src='{url}/s.js'>"
        f"</script></head><body><p>Words &e;</p><img src='{url}/a.png'>"
        f"<img src='//{url[7:]}/b.png'>"
        f"<img srcset='{url}/c.png 2x'><object data='{url}/d.svg' type='image/svg+xml'></object>"
        f"<iframe src='{url}/f'></iframe><img src='file://{secret}'><img src='{secret}'></body>"
    )
    markdown = f"Words\n\n![a]({url}/a.png)\n\n![b][b]\n\n[b]: {url}/b.png\n\n![c]({secret})\n"
    cell = {"cell_type": "markdown", "source": markdown, "metadata": {}}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    outside = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>"
    contents = b"<</Length 0/F(%s)>>stream\n\nendstream" % secret.encode()
    remote = b"<</Length 0/F<</FS/URL/F(%s/x)>>>>stream\n\nendstream" % url.encode()
    kids = b"<</Type/Pages/Kids[3 0 R 5 0 R]/Count 2>>"
    opening = b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI(%s/o)>>>>" % url.encode()
    second = outside.replace(b"4 0 R", b"6 0 R")
    return {
        ".html": html.encode(),
        ".xhtml": html.encode(),
        ".md": (markdown + html).encode(),
        ".ipynb": json.dumps(notebook).encode(),
        ".pdf": pdf([opening, kids, outside, contents, second, remote]),
    }


@pytest.mark.parametrize("suffix", [".html", ".xhtml", ".md", ".ipynb", ".pdf"])
def test_nothing_is_fetched_and_nothing_outside_is_read(
    suffix: str, listener: socket.socket, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"BT /F 12 Tf 72 400 Td ({SECRET}) Tj ET")
    (tmp_path / "root").mkdir()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    data = documents(url, str(secret))[suffix]
    source = Source(tmp_path / "root" / f"x{suffix}", tmp_path / "root")
    found = list(FORMATS[suffix].elements(data, source))
    with pytest.raises(BlockingIOError):  # nobody has come
        listener.accept()
    assert not [item for item in found if isinstance(item, Element) and SECRET in item.text]
    assert not [item for item in found if isinstance(item, Element) and item.image is not None]
    reasons = [item.reason for item in found if isinstance(item, Skipped)]
    if suffix != ".pdf":
        assert any("URL" in reason for reason in reasons)
        assert any("outside" in reason for reason in reasons)
    list(FORMATS[suffix].links(data))
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_the_pdf_of_this_test_is_read_when_its_words_are_inside() -> None:
    data = page(f"BT /F 12 Tf 72 400 Td ({SECRET}) Tj ET".encode())
    source = Source(Path("/there/x.pdf"), Path("/there"))
    (found,) = FORMATS[".pdf"].elements(data, source)
    assert isinstance(found, Element)
    assert found.text == SECRET
