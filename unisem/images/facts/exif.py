"""EXIF's tables as facts (CIPA DC-008, Exif 3.0; Windows' ``XP…`` tags beside them)."""

from __future__ import annotations

import math

from unisem.images.facts.blocks import MetadataBlocks
from unisem.images.facts.parts import Facts, moment
from unisem.images.tiff import Ifd

_DESCRIPTION, _MAKE, _MODEL, _ORIENTATION, _ARTIST, _COPYRIGHT = 270, 271, 272, 274, 315, 33432
_RATING, _XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x4746, 0x9C9B, 0x9C9C, 0x9C9E
_TAKEN, _DIGITIZED, _TAKEN_ZONE, _DIGITIZED_ZONE, _LENS = 0x9003, 0x9004, 0x9011, 0x9012, 0xA434
_LATITUDE, _LONGITUDE, _ALTITUDE = 2, 4, 6  # each has its sign in the tag before it
_LARGEST = 1e6  # of degrees, minutes or seconds that somebody may have meant


def exif_facts(blocks: MetadataBlocks) -> Facts:
    """What EXIF says."""
    main, exif, gps = blocks.main, blocks.exif, blocks.gps
    facts = Facts()
    if main is not None:
        keywords = _windows(main, _XP_KEYWORDS).split(";")
        facts = Facts(
            camera=camera_of(main.text(_MAKE), main.text(_MODEL)),
            orientation=main.whole(_ORIENTATION),
            description=main.text(_DESCRIPTION),
            creator=main.text(_ARTIST),
            copyright=main.text(_COPYRIGHT),
            rating=main.whole(_RATING),
            title=_windows(main, _XP_TITLE),
            comment=_windows(main, _XP_COMMENT),
            keywords=tuple(keywords),
        )
    latitude, longitude, altitude = (None, None, None) if gps is None else _place(gps)
    return Facts(
        taken=_moment(exif, _TAKEN, _TAKEN_ZONE),
        digitized=_moment(exif, _DIGITIZED, _DIGITIZED_ZONE),
        lens="" if exif is None else exif.text(_LENS),
        latitude=latitude,
        longitude=longitude,
        altitude=altitude,
        camera=facts.camera,
        orientation=facts.orientation,
        description=facts.description,
        creator=facts.creator,
        copyright=facts.copyright,
        rating=facts.rating,
        title=facts.title,
        comment=facts.comment,
        keywords=facts.keywords,
    ).cleaned()


def camera_of(make: str, model: str) -> str:
    """Maker and model as one name, the maker once.

    >>> camera_of("NIKON CORPORATION", "NIKON D70"), camera_of("Apple", "iPhone 12")
    ('NIKON D70', 'Apple iPhone 12')
    """
    words = make.casefold().split()
    said = model.casefold()
    if words and (said.startswith(words[0]) or said.partition(" ")[0] in words):
        return model
    return f"{make} {model}".strip()


def _moment(table: Ifd | None, tag: int, zone: int) -> str | None:
    return None if table is None else moment(table.text(tag), table.text(zone))


def _windows(table: Ifd, tag: int) -> str:
    return table.raw(tag)[: 1 << 16].decode("utf-16-le", "ignore").partition("\0")[0]


def _place(gps: Ifd) -> tuple[float | None, float | None, float | None]:
    latitude = _degrees(gps, _LATITUDE, "S")
    longitude = _degrees(gps, _LONGITUDE, "W")
    altitude: float | None = None
    if numbers := gps.numbers(_ALTITUDE):
        altitude = float(numbers[0])
        if gps.whole(_ALTITUDE - 1) in (1, 3):
            altitude = -altitude
    return latitude, longitude, altitude


def _degrees(gps: Ifd, tag: int, negative: str) -> float | None:
    numbers = [float(number) for number in gps.numbers(tag)]
    if not 1 <= len(numbers) <= 3 or not all(abs(number) <= _LARGEST for number in numbers):
        return None  # with infinities, `fsum` raises
    value = math.fsum(number / 60**position for position, number in enumerate(numbers))
    return -value if gps.text(tag - 1).upper().startswith(negative) else value
