"""What a picture's file knows: EXIF, IPTC and XMP, and which of them is believed."""

from __future__ import annotations

import hashlib
import math
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded, solid
from tests.support.raw_files import raw_file
from unisem.images.facts.file_facts import FileFacts, facts_of
from unisem.images.facts.parts import moment

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    " {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def xmp(elements: str = "", attributes: str = "") -> bytes:
    return XMP.format(elements=elements, attributes=attributes).encode()


def words(name: str, *items: str) -> str:
    listed = "".join(f"<rdf:li>{item}</rdf:li>" for item in items)
    return f"<dc:{name}><rdf:Bag>{listed}</rdf:Bag></dc:{name}>"


def exif() -> Image.Exif:
    found = Image.Exif()
    found[271], found[272], found[274] = "NIKON CORPORATION", "NIKON D70", 6
    found[270], found[315], found[33432] = "A caption", "Ann", "(c) Ann"
    found.get_ifd(0x8769).update(
        {0x9003: "2024:06:01 18:30:05", 0x9011: "+02:00", 0xA434: "50mm f/1.8"}
    )
    found.get_ifd(0x8825).update(
        {1: "S", 2: (33.0, 51.0, 30.0), 3: "E", 4: (151.0, 12.0, 36.0), 5: b"\1", 6: 12.5}
    )
    return found


KNOWN = FileFacts(
    taken="2024-06-01T18:30:05+02:00",
    camera="NIKON D70",
    lens="50mm f/1.8",
    orientation=6,
    latitude=-33.8583333,
    longitude=151.21,
    altitude=-12.5,
    description="A caption",
    creator="Ann",
    copyright="(c) Ann",
)


def iptc(**sets: str | list[str]) -> bytes:
    numbers = {"title": 5, "keywords": 25, "date": 55, "time": 60, "creator": 80, "caption": 120}
    found = b"\x1c\x01\x5a\0\x03\x1b%G"
    for name, values in sets.items():
        for value in [values] if isinstance(values, str) else values:
            data = value.encode()
            found += struct.pack(">BBBH", 0x1C, 2, numbers[name], len(data)) + data
    return found


def jpeg(
    *,
    exif_of: Image.Exif | None = None,
    xmp_of: bytes = b"",
    iptc_of: bytes = b"",
    digest: bytes = b"",
) -> bytes:
    options: dict[str, object] = {} if exif_of is None else {"exif": exif_of}
    data = encoded(solid("red"), "JPEG", **options)
    added = b""
    if xmp_of:
        content = b"http://ns.adobe.com/xap/1.0/\0" + xmp_of
        added += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    if iptc_of:
        content = b"Photoshop 3.0\0"
        for number, block in ((0x0404, iptc_of), (0x0425, digest)):
            padded = block + b"\0" * (len(block) % 2)
            content += b"8BIM" + struct.pack(">HHI", number, 0, len(block)) + padded
        added += b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
    return data[:2] + added + data[2:]


def png_with(kind: bytes, content: bytes) -> bytes:
    data = encoded(solid("red"))
    chunk = kind + content
    whole = struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:-12] + whole + data[-12:]  # behind the samples, where it may stand


def test_exif_is_read_from_every_format() -> None:
    formats = ["JPEG", "PNG", "WEBP", "AVIF", "MPO"]
    found = {format: facts_of(encoded(solid("red"), format, exif=exif())) for format in formats}
    found["TIFF"] = facts_of(exif().tobytes().removeprefix(b"Exif\0\0"))
    assert found == dict.fromkeys([*formats, "TIFF"], KNOWN)


def test_exif_is_read_from_heic() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    found = facts_of(encoded(solid("red"), "HEIF", exif=exif().tobytes()))
    assert (found.taken, found.camera, found.latitude) == (
        KNOWN.taken,
        KNOWN.camera,
        KNOWN.latitude,
    )
    assert found.orientation in (None, 1)  # its decoder has turned the pixels


@pytest.mark.parametrize("kind", ["cr2", "cr3", "nef", "arw", "dng", "orf", "rw2"])
def test_raw_files_know_their_camera(kind: str) -> None:
    facts = facts_of(raw_file(kind, encoded(solid("red"), "JPEG"), b"", orientation=8))
    assert facts.orientation == 8
    assert facts.camera


def test_xmp_and_iptc_fill_what_exif_leaves_open() -> None:
    said = words("title", "A title") + words("subject", "sea", "boat")
    both = jpeg(exif_of=exif(), xmp_of=xmp(said, 'xmp:Rating="4"'), iptc_of=iptc(caption="other"))
    facts = facts_of(both)
    assert facts == FileFacts(
        **{name: getattr(KNOWN, name) for name in KNOWN.__dataclass_fields__ if name != "rating"}
        | {"rating": 4, "keywords": ("sea", "boat"), "title": "A title"}
    )
    assert facts.words == "A title\nA caption\nsea, boat"
    alone = facts_of(
        jpeg(iptc_of=iptc(caption="Café", keywords=["a", "b"], date="20030615", time="101112+0200"))
    )
    assert alone == FileFacts(
        taken="2003-06-15T10:11:12+02:00", keywords=("a", "b"), description="Café"
    )


@pytest.mark.parametrize(
    ("digest", "expected"),
    [(b"", "of XMP"), ("same", "of XMP"), (b"\0" * 16, "of IPTC")],
)
def test_iptc_that_was_changed_since_is_believed_before_xmp(
    digest: bytes | str, expected: str
) -> None:
    block = iptc(caption="of IPTC", keywords="of IPTC", creator="of IPTC")
    told = hashlib.md5(block).digest() if isinstance(digest, str) else digest
    said = "".join(words(name, "of XMP") for name in ("description", "subject", "creator"))
    facts = facts_of(jpeg(xmp_of=xmp(said), iptc_of=block, digest=told))
    assert (facts.description, facts.keywords, facts.creator) == (expected, (expected,), expected)
    with_exif = facts_of(jpeg(exif_of=exif(), xmp_of=xmp(said), iptc_of=block, digest=told))
    assert (with_exif.description, with_exif.creator) == ("A caption", "Ann")


def test_a_sidecar_comes_before_the_file() -> None:
    sidecar = xmp(
        words("description", "mine"),
        'xmp:Rating="5" exif:DateTimeOriginal="2020-01-02T03:04:05Z" '
        'exif:GPSLatitude="52,30.5N" exif:GPSLongitude="13,24,36W"',
    )
    facts = facts_of(jpeg(exif_of=exif()), sidecar)
    assert facts.description == "mine"
    assert facts.rating == 5
    assert facts.taken == "2020-01-02T03:04:05+00:00"
    assert (facts.latitude, facts.longitude) == (52.5083333, -13.41)
    assert facts.camera == "NIKON D70"


def test_a_png_says_it_in_its_own_words() -> None:
    data = png_with(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress("Größe".encode()))
    assert facts_of(data).title == "Größe"
    bomb = png_with(b"zTXt", b"Description\0\0" + zlib.compress(b"x" * (64 << 20), 1))
    assert len(facts_of(bomb).description or "") == 10_000
    assert (
        facts_of(png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(words("title", "t")))).title
        == "t"
    )


def test_what_cameras_write_everywhere_is_no_description() -> None:
    for said in (
        "OLYMPUS DIGITAL CAMERA         ",
        "SONY DSC",
        "DCIM\\100GOPRO\\GOPR0482.JPG",
        "NIKON D70",
    ):
        written = exif()
        written[270] = said
        assert facts_of(jpeg(exif_of=written)).description is None


def test_values_that_mean_nothing_are_left_out() -> None:
    written = exif()
    written[274] = 9
    written.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    written.get_ifd(0x8825).update({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    facts = facts_of(jpeg(exif_of=written, xmp_of=xmp(attributes='xmp:Rating="-1"')))
    assert (facts.orientation, facts.taken, facts.latitude, facts.longitude, facts.rating) == (
        (None,) * 5
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("4", 4),
        ("7/2", 3.5),
        ("1/0", None),
        ("1e9", None),
        ("1_0/10", None),
        ("٤", None),
        ("0." + "0" * 13 + "/1", None),
        ("1" * 13 + "/" + "1" * 13, None),
    ],
)
def test_xmp_numbers_are_decimals_and_rationals(said: str, expected: float | None) -> None:
    assert facts_of(b"", xmp(attributes=f'xmp:Rating="{said}"')).rating == expected


def test_xmp_numbers_are_not_worked_out_to_their_last_digit() -> None:
    # `Fraction("1e-200000")` takes a tenth of a second and is 0.0; thirty million digits never end.
    assert facts_of(b"", xmp(attributes='xmp:Rating="1e-200000"')).rating is None


@pytest.mark.parametrize(
    ("latitude", "longitude", "is_there"),
    [("0,0.0N", "0,0.0W", False), ("0,0.0N", "0,30.0W", True), ("0,0.0N", "200,0.0W", False)],
)
def test_a_place_is_whole_and_not_at_zero_whoever_says_it(
    latitude: str, longitude: str, is_there: bool
) -> None:
    said = xmp(attributes=f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"')
    for facts in (facts_of(jpeg(xmp_of=said)), facts_of(b"", said)):
        assert (facts.latitude is not None, facts.longitude is not None) == (is_there,) * 2
    # What a sidecar says by half is not completed with the file's other half.
    with_exif = facts_of(jpeg(exif_of=exif()), said)
    assert (with_exif.latitude == KNOWN.latitude) == (with_exif.longitude == KNOWN.longitude)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1.7e308])
def test_a_place_of_numbers_that_are_none_is_left_out(number: float) -> None:
    places = struct.pack("<3d", number, -60 * number, 0) + struct.pack(
        "<3d", number, number * 60, 0
    )
    gps = struct.pack("<H", 2)  # at 26, with its values behind it
    gps += struct.pack("<HHII", 2, 12, 3, 56) + struct.pack("<HHII", 4, 12, 3, 80) + bytes(4)
    main = struct.pack("<HHHIII", 1, 0x8825, 4, 1, 26, 0)
    data = b"II*\0" + struct.pack("<I", 8) + main + gps + places
    assert facts_of(data) == FileFacts()


def test_a_png_of_many_texts_is_not_unpacked_into_memory() -> None:
    packed = zlib.compress(b"x" * (4 << 20), 9)
    chunks = b""
    for number in range(40):
        for kind, head in (
            (b"zTXt", b"Note %d\0\0" % number),
            (b"zTXt", b"Title\0\0"),
            (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
        ):
            chunks += struct.pack(">I", len(head) + len(packed)) + kind + head + packed + bytes(4)
    data = b"\x89PNG\r\n\x1a\n" + chunks
    tracemalloc.start()
    try:
        facts = facts_of(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert facts.title == "x" * 10_000
    assert most < 16 << 20


def test_a_jpeg_of_many_segments_of_iptc_keeps_only_the_first() -> None:
    whole = jpeg(iptc_of=iptc(caption="c"))
    content = b"Photoshop 3.0\0" + bytes(65_000)
    more = (b"\xff\xed" + struct.pack(">H", len(content) + 2) + content) * 200
    at = whole.index(b"\xff\xed")
    end = at + 2 + int.from_bytes(whole[at + 2 : at + 4])
    data = whole[:end] + more + whole[end:]
    tracemalloc.start()
    try:
        facts = facts_of(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert facts.description == "c"
    assert most < 12 << 20


def test_location_can_be_left_out() -> None:
    whole = KNOWN.metadata()
    without = KNOWN.metadata(location=False)
    assert whole.keys() - without.keys() == {"latitude", "longitude", "altitude"}
    assert without["taken"] == "2024-06-01T18:30:05+02:00"
    assert "keywords" not in whole


@pytest.mark.parametrize(
    ("said", "zone", "expected"),
    [
        ("2024:06:01 18:30:05", "", "2024-06-01T18:30:05"),
        ("2024:06:01 18:30:05.25", "-03:30", "2024-06-01T18:30:05-03:30"),
        ("2024-06-01T18:30Z", "", "2024-06-01T18:30:00+00:00"),
        ("2024", "", "2024"),
        ("2024:02:30 00:00:00", "", None),
        ("    :  :     :  :  ", "", None),
        ("2024:06:01 18:30:05", "nonsense", "2024-06-01T18:30:05"),
    ],
)
def test_moments(said: str, zone: str, expected: str | None) -> None:
    assert moment(said, zone) == expected


def test_xmp_reads_no_file_and_expands_nothing() -> None:
    secret = '<!DOCTYPE x [<!ENTITY s SYSTEM "file:///etc/hostname"><!ENTITY a "boom">]>'
    said = words("title", "&s;&a;") + words("description", "plain")
    facts = facts_of(jpeg(), secret.encode() + xmp(said))
    assert facts.title is None
    assert facts_of(jpeg(), b"<" * 1000) == FileFacts()
    assert facts_of(jpeg(), xmp(words("title", "t")) + b" " * (2 << 20)) == FileFacts()


def test_damaged_files_raise_nothing() -> None:
    whole = jpeg(exif_of=exif(), xmp_of=xmp(words("title", "t")), iptc_of=iptc(caption="c"))
    kinds = [whole, png_with(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress(b"t"))]
    kinds += [encoded(solid("red"), format, exif=exif()) for format in ("WEBP", "TIFF", "AVIF")]
    rng = np.random.default_rng(11)
    for data in kinds:
        for _ in range(60):
            broken = bytearray(data[: int(rng.integers(1, len(data) + 1))])
            for at in rng.integers(0, len(broken), 4):
                broken[at] = int(rng.integers(0, 256))
            assert isinstance(facts_of(bytes(broken), bytes(broken)), FileFacts)
