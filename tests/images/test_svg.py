"""SVG: what is drawn, and what a drawing of a stranger's cannot do."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded
from unisem.errors import ImageError
from unisem.images.codecs.svg import SIDE, Svg
from unisem.images.decoding import decode_image, inspect_image
from unisem.images.facts.file_facts import facts_of
from unisem.images.for_models import image_for_model
from unisem.images.reference import ImageRef

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


@pytest.fixture(autouse=True)
def _resvg() -> None:
    pytest.importorskip("resvg_py")


def svg(inside: str, attributes: str = 'width="40" height="20"', before: str = "") -> bytes:
    return f"{before}<svg {NAMES} {attributes}>{inside}</svg>".encode()


def rect(colour: str = "blue") -> str:
    return f'<rect width="40" height="20" fill="{colour}"/>'


def middle(data: bytes) -> tuple[int, ...]:
    found = decode_image(data, "t")
    pixel = found.getpixel((found.width // 2, found.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="40" height="20"', (SIDE, SIDE // 2)),
        ('width="400pt" height="400pt"', (SIDE, SIDE)),
        ('width="1e6" height="2e6"', (SIDE // 2, SIDE)),
        ('width="20mm" height="1cm" viewBox="0 0 4 9"', (SIDE, SIDE // 2)),
        ('width="100%" viewBox="-3,-4 30.25 121"', (SIDE // 4, SIDE)),
        ("", (SIDE, SIDE)),
        ('width="0" height="1.2.3" viewBox="0 0 0 0"', (SIDE, SIDE)),
    ],
)
def test_it_is_as_large_as_an_encoder_needs_whatever_it_says(
    attributes: str, size: tuple[int, int]
) -> None:
    data = svg(rect(), attributes)
    info = inspect_image(data, "t")
    assert (info.mime_type, info.width, info.height) == ("image/svg+xml", *size)
    if 'width="0"' not in attributes:
        assert decode_image(data, "t").size == size


@pytest.mark.parametrize(
    "data",
    [
        svg(rect()),
        svg(rect(), before='<?xml version="1.0"?><!-- a -->\n<!DOCTYPE svg>'),
        b"\xef\xbb\xbf \n" + svg(rect()),
        b"\xef\xbb\xbf" + svg(rect()),
        svg(rect()).decode().encode("utf-16"),
        svg(
            '<rect width="40" height="20" fill="&c;"/>',
            before='<!DOCTYPE svg [<!ENTITY c "blue">]>',
        ),
    ],
)
def test_drawings_are_known_however_they_begin(data: bytes) -> None:
    assert middle(data) == BLUE


def test_what_is_transparent_is_white_and_a_model_is_sent_a_png() -> None:
    assert middle(svg("")) == WHITE
    sent = image_for_model(ImageRef(data=svg(rect())))
    assert sent.mime_type == "image/png"


def test_words_are_drawn() -> None:
    data = svg('<text x="2" y="15" font-size="14" font-family="Arial">HHH</text>')
    assert np.asarray(decode_image(data, "t")).min() < 50


@pytest.mark.parametrize("data", [b"<html><svg/></html>", b"<", b"<!-- x", b"<a xmlns='b'/>"])
def test_other_xml_is_no_picture(data: bytes) -> None:
    with pytest.raises(ImageError, match="is not a picture"):
        inspect_image(data, "t")


@pytest.mark.parametrize(
    "data", [svg("<g>")[:-7], svg('<rect fill="&x;"/>'), svg(rect(), 'width="4" height="4000"')]
)
def test_what_cannot_be_drawn_is_an_error(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"no SVG that can be drawn|times as long"):
        decode_image(data, "t")


def _picture(path: str, wrapped: Callable[[str], str] = lambda href: href) -> bytes:
    return svg(f'<image width="40" height="20" preserveAspectRatio="none" {wrapped(path)}/>')


def test_pictures_inside_are_drawn_and_none_from_elsewhere(tmp_path: Path) -> None:
    red = encoded(Image.new("RGB", (4, 4), "red"), "PNG")
    (tmp_path / "red.png").write_bytes(red)
    inside = "data:image/png;base64," + base64.b64encode(red).decode()
    assert middle(_picture(f'href="{inside}"')) == RED
    path = str(tmp_path / "red.png")
    nested = base64.b64encode(_picture(f'href="{path}"')).decode()
    entity = f'<!DOCTYPE svg [<!ENTITY e "{path}"><!ENTITY f SYSTEM "{path}">]>'
    for data in (
        _picture(f'href="{path}"'),
        _picture(f'xlink:href="{path}"'),
        _picture(f'HREF="{path}" xmlns:x="http://www.w3.org/1999/xlink" x:href=" {path}"'),
        _picture(f'href="file://{path}"'),
        _picture(f'href="{Path(path).name}"'),
        _picture(f'href="data:image/svg+xml;base64,{nested}"'),
        entity.encode() + _picture('href="&e;"'),
        svg(f'<filter id="f"><feImage href="{path}"/></filter><g filter="url(#f)">{rect()}</g>'),
        svg(f'<style>rect{{fill:url({path})}}</style><rect width="40" height="20"/>'),
    ):
        assert middle(data) != RED
    with pytest.raises(ImageError):
        decode_image(entity.encode() + svg("<text>&f;</text>"), "t")


def test_scripts_are_not_run() -> None:
    script = '<script>document.documentElement.innerHTML = ""</script>'
    assert middle(svg(rect() + script, 'onload="alert(1)" width="40" height="20"')) == BLUE


def _many_uses() -> bytes:
    levels = "".join(
        f'<g id="g{n}">' + f'<use href="#g{n - 1}"/>' * 10 + "</g>" for n in range(1, 12)
    )
    return svg(f'<defs><g id="g0">{rect()}</g>{levels}</defs><use href="#g11"/>')


def _many_entities() -> bytes:
    steps = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return svg("<text>&e11;</text>", before=f'<!DOCTYPE svg [<!ENTITY e0 "ha">{steps}]>')


def _many_entities_outside() -> bytes:
    steps = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return svg("", 'width="&e11;"', before=f'<!DOCTYPE svg [<!ENTITY e0 "1">{steps}]>')


def _blurred() -> bytes:
    blurs = '<feTurbulence numOctaves="100000" baseFrequency=".9"/>' * 200
    return svg(f'<filter id="f">{blurs}</filter><g filter="url(#f)">{rect()}</g>')


def _bomb() -> bytes:
    png = encoded(Image.new("L", (9_000, 9_000)), "PNG")
    href = base64.b64encode(png).decode()
    return svg(f'<image width="40" height="20" href="data:image/png;base64,{href}"/>' * 4)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are the system's")
@pytest.mark.parametrize(
    "made",
    [
        *(_many_uses, _many_entities, _many_entities_outside),
        *(pytest.param(made, marks=pytest.mark.slow) for made in (_blurred, _bomb)),
    ],
)
def test_bombs_end_soon_as_an_error_or_as_nothing(
    made: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISEM_IMAGE_SECONDS", ".5")
    data = made()
    began = time.process_time()
    with suppress(ImageError):
        decode_image(data, "t")
    assert time.process_time() - began < 2  # of this process, which only waits
    monkeypatch.delenv("UNISEM_IMAGE_SECONDS")
    assert middle(svg(rect())) == BLUE


def test_a_drawing_of_any_bytes_is_an_error_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    whole = svg(rect(), 'width="40" height="20" viewBox="0 0 40 20"')
    for _ in range(40):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), 2):
            broken[at] = int(rng.integers(0, 256))
        with suppress(ImageError):
            found = Svg.of(bytes(broken), "t")
            assert found is None or found.draw().size == (found.width, found.height)


def test_a_drawing_says_what_it_is() -> None:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    dublin = "http://purl.org/dc/elements/1.1/"
    work = (
        f"<metadata><r:RDF xmlns:r='{rdf}' xmlns:d='{dublin}' xmlns:c='urn:c'><c:Work>"
        "<d:title>Bull</d:title><d:description>A black\n bull</d:description>"
        "<d:creator><c:Agent><d:title>Ida</d:title></c:Agent></d:creator>"
        "<d:publisher><c:Agent><d:title>A library</d:title></c:Agent></d:publisher>"
        "<d:subject><r:Bag><r:li>animal</r:li><r:li>bull</r:li></r:Bag></d:subject>"
        "</c:Work></r:RDF></metadata>"
    )
    inside = f"<g><title>not this</title></g>{work}{rect()}"
    facts = facts_of(svg(inside))
    assert facts.metadata() == {
        "title": "Bull",
        "description": "A black bull",
        "creator": "Ida",
        "keywords": ["animal", "bull"],
    }
    own = facts_of(svg(f"<title>A <b>x</b>plan</title>{work}"))
    assert (own.title, own.description) == ("A", "A black bull")
    assert facts_of(b"<html><title>no</title></html>").metadata() == {}
    assert facts_of(svg(work)[:-60]).title == "Bull"
