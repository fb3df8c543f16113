"""`Facts`: what one part of a file (EXIF, XMP, IPTC) says, before it is weighed with the others."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date, datetime

_LONGEST = 10_000  # characters of a text
_MOST_KEYWORDS = 500
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
_MOMENT = re.compile(
    r"(\d{4})(?:[-:](\d\d)(?:[-:](\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d*)?)?)?)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """As `FileFacts`; and what counts where nothing else is there.

    Attributes:
        digitized: When a picture was made a file.
        comment: A description of last resort.
    """

    taken: str | None = None
    camera: str | None = None
    lens: str | None = None
    orientation: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    rating: float | None = None
    keywords: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None
    creator: str | None = None
    copyright: str | None = None
    digitized: str | None = None
    comment: str | None = None

    def cleaned(self) -> Facts:
        """The same without what no metadata may hold, and without values that mean nothing."""
        texts = ("camera", "lens", "title", "description", "creator", "copyright", "comment")
        words = tuple(filter(None, map(_text, self.keywords[:_MOST_KEYWORDS])))
        rating = self.rating
        if rating is not None and not 0 <= rating <= 5:
            rating = None
        elif rating is not None and rating == int(rating):
            rating = int(rating)
        latitude, longitude = _place(self.latitude, self.longitude)
        return replace(
            self,
            **{name: _text(getattr(self, name)) for name in texts},
            keywords=tuple(dict.fromkeys(words)),
            orientation=self.orientation if self.orientation in range(1, 9) else None,
            latitude=latitude,
            longitude=longitude,
            altitude=_within(self.altitude, 1e6, 2),
            rating=rating,
        )


def moment(text: str, zone: str = "") -> str | None:
    """A date, with its time and zone if it has them, in ISO 8601; ``None`` if it is none.

    Args:
        text: As EXIF (``2024:06:01 18:30:05``) or XMP (ISO 8601) write it.
        zone: As EXIF writes it, if it is known from elsewhere.

    >>> moment("2024:06:01 18:30:05", "+02:00"), moment("2024-06")
    ('2024-06-01T18:30:05+02:00', '2024-06')
    """
    if (found := _MOMENT.fullmatch(text.strip())) is None:
        return None
    year, month, day, hour, minute, second, told = found.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
        if hour is not None:
            datetime(1, 1, 1, int(hour), int(minute), int(second or 0))
    except ValueError:
        return None
    result = "-".join(filter(None, (year, month, day)))
    if hour is None:
        return result
    result += f"T{hour}:{minute}:{second or '00'}"
    zone = told or zone.strip()
    if zone == "Z":
        zone = "+00:00"
    if re.fullmatch(r"[+-]\d\d:?\d\d", zone, re.ASCII):
        result += f"{zone[:3]}:{zone[-2:]}"
    return result


def _text(value: str | None) -> str | None:
    if value is None:
        return None
    return (
        _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n"))[:_LONGEST].strip()
        or None
    )


def _place(
    latitude: float | None, longitude: float | None
) -> tuple[float, float] | tuple[None, None]:
    """A place, whole or not at all; none is at 0, 0, which receivers without satellites write."""
    north, east = _within(latitude, 90), _within(longitude, 180)
    if north is None or east is None or latitude == longitude == 0:
        return None, None
    return north, east


def _within(value: float | None, most: float, digits: int = 7) -> float | None:
    if value is None or not math.isfinite(value) or abs(value) > most:
        return None
    return round(float(value), digits)
