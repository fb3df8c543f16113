"""XMP as facts (ISO 16684-1): RDF in XML, read without entities, DTDs or the network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from unisem.images.facts.exif import camera_of
from unisem.images.facts.parts import Facts, moment

LARGEST = 1 << 20
"""Bytes of XMP that are read; more is passed over."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_EXIF_EX = "{http://cipa.jp/exif/1.0/}"
_AUX = "{http://ns.adobe.com/exif/1.0/aux/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_MOST = 2000  # properties, and items of a list
# Not all that a `Fraction` understands: the number of "1e30000000" has thirty million digits.
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?(/[0-9]{1,12})?")


def xmp_facts(data: bytes) -> Facts:
    """What XMP says; nothing if it is damaged or too large."""
    properties = _properties(data) if 0 < len(data) <= LARGEST else {}
    if not properties:
        return Facts()

    def one(*names: str) -> str:
        return next((value[0] for name in names if (value := properties.get(name))), "")

    return Facts(
        taken=moment(one(_EXIF + "DateTimeOriginal")) or moment(one(_PHOTOSHOP + "DateCreated")),
        digitized=moment(one(_XMP + "CreateDate")),
        camera=camera_of(one(_TIFF + "Make"), one(_TIFF + "Model")),
        lens=one(_EXIF_EX + "LensModel", _AUX + "Lens"),
        orientation=_whole(one(_TIFF + "Orientation")),
        latitude=_degrees(one(_EXIF + "GPSLatitude"), "NS"),
        longitude=_degrees(one(_EXIF + "GPSLongitude"), "EW"),
        altitude=_altitude(one(_EXIF + "GPSAltitude"), one(_EXIF + "GPSAltitudeRef")),
        rating=_number(one(_XMP + "Rating")),
        keywords=tuple(properties.get(_DC + "subject", ())),
        title=one(_DC + "title"),
        description=one(_DC + "description"),
        creator="; ".join(properties.get(_DC + "creator", ())),
        copyright=one(_DC + "rights"),
    ).cleaned()


def _properties(data: bytes) -> dict[str, list[str]]:
    """The texts of each property, by its name in Clark's notation."""
    from lxml import etree  # of pictures that have XMP

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data.rstrip(b"\0 \r\n\t"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return {}
    found: dict[str, list[str]] = {}
    for described in root.iter(_RDF + "Description"):
        if len(found) > _MOST:
            break
        for name, text in described.attrib.items():
            found.setdefault(name, []).append(text)
        for element in described.iterchildren(tag=etree.Element):
            if texts := list(_texts(element)):
                found.setdefault(element.tag, texts)
    return found


def _texts(element: Any) -> Iterator[str]:
    """A property's own text, or those of its list; of several languages the default's first."""
    items = list(element.iterfind(f"*/{_RDF}li"))[:_MOST]
    items.sort(key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
    for item in items or [element]:
        if (item.text or "").strip() and not len(item):
            yield item.text.strip()


def _number(text: str) -> float | None:
    """A decimal or a rational of at most twelve digits a part; ``None`` if it is none."""
    if (found := _NUMBER.fullmatch(text.strip())) is None:
        return None
    over, _, under = found.group().partition("/")
    divisor = int(under or 1)
    return float(Fraction(over) / divisor) if divisor else None


def _whole(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() and len(text) < 10 else None


def _degrees(text: str, signs: str) -> float | None:
    """``52,30.5N`` or ``52,30,30N``; XMP specification, part 2, "GPSCoordinate"."""
    letter = text[-1:].upper()
    if letter not in signs or not letter:
        return None
    parts = [_number(part) for part in text[:-1].split(",")[:3]]
    if None in parts:
        return None
    value = math.fsum(part / 60**place for place, part in enumerate(parts) if part is not None)
    return -value if letter == signs[1] else value


def _altitude(text: str, below: str) -> float | None:
    value = _number(text)
    return -value if value is not None and below.strip() == "1" else value
