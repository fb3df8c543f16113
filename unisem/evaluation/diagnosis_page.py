"""A diagnosis as one HTML file that needs nothing else, in the style of an evaluation's report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unisem.common.pages import render_page
from unisem.common.printable import plain, shortened
from unisem.evaluation.projection import SIDE, Plot
from unisem.evaluation.scores import Scores
from unisem.evaluation.tasks import Form
from unisem.images.thumbnails import Thumbnail, Thumbnails

if TYPE_CHECKING:
    from unisem.evaluation.diagnosis import Diagnosis, Hub

_LONGEST = 140  # characters of a text on the page
_SKIPPED = 20  # pictures that are listed
_WIDTH, _HEIGHT = 400.0, 150.0  # of a histogram
_NAMES = {"text": "texts", "image": "pictures", "captioned image": "captioned pictures"}


def render_diagnosis(found: Diagnosis) -> str:
    """Return the HTML of a diagnosis."""
    copies = Thumbnails()
    return render_page(
        "unisem.evaluation",
        "diagnosis.html.j2",
        found=found,
        name=plain(found.name),
        encoder=plain(found.encoder),
        forms=", ".join(f"{count:,} {_NAMES[form]}" for form, count in found.forms.items()),
        plot=None if found.projection is None else _plot(found),
        side=SIDE,
        shares=[
            (one.asked, one.queries, _bars(one.hubness.found), _bars(one.fair), one.relevant, one)
            for one in found.places
        ],
        hubs=[_Shown.of(hub, copies) for hub in found.hubs],
        histograms=_histograms(found.scores),
        width=_WIDTH,
        height=_HEIGHT,
        unit="calibrated score" if found.calibrated else "cosine",
        paraphrases=[
            (one, [(plain(it.name), _ways(it.texts), it.overlap) for it in one.worst])
            for one in found.paraphrases
        ],
        skipped=[(plain(item.name), plain(item.reason)) for item in found.skipped[:_SKIPPED]],
        names=_NAMES,
    )


def _ways(texts: tuple[str, ...]) -> str:
    return ", ".join(f"“{shortened(plain(text), _LONGEST)}”" for text in texts)


@dataclass(frozen=True, slots=True)
class _Bar:
    """A part of a row of 100."""

    form: str
    name: str
    start: float
    share: float


def _bars(shares: Mapping[Form, float]) -> list[_Bar]:
    bars, start = [], 0.0
    for form, share in shares.items():
        bars.append(_Bar(form.replace(" ", "-"), _NAMES[form], 100 * start, 100 * share))
        start += share
    return bars


@dataclass(frozen=True, slots=True)
class _Shown:
    """A hub as the template wants it."""

    text: str
    alt: str
    picture: Thumbnail | None
    share: str
    asked: tuple[str, ...]

    @classmethod
    def of(cls, hub: Hub, copies: Thumbnails) -> _Shown:
        said = plain(hub.record.text or "")
        return cls(
            shortened(said, _LONGEST),
            said or "Picture without a caption",
            None if hub.record.image is None else copies.of(hub.record.image),
            f"{100 * hub.share:.0f} %",
            tuple(shortened(plain(text), 60) for text in hub.asked),
        )


@dataclass(frozen=True, slots=True)
class _Curve:
    """A histogram as the points of a line, and what it is of."""

    kind: str
    style: str
    points: str
    label: str


@dataclass(frozen=True, slots=True)
class _Histogram:
    """All that one kind of query scores."""

    asked: str
    low: str
    high: str
    curves: tuple[_Curve, ...]


def _histograms(scores: tuple[Scores, ...]) -> list[_Histogram]:
    found = []
    for asked in ("text", "image"):
        some = [one for one in scores if one.asked == asked]
        if not some:
            continue
        curves = []
        for one in some:
            name = _NAMES[one.kind]
            curves.append(
                _Curve(one.kind, "others", _line(one.others), f"other {name}, mean {one.mean:.2f}")
            )
            if one.own_mean is not None:
                own = "own picture" if one.kind == "image" else "own caption"
                curves.append(
                    _Curve(one.kind, "own", _line(one.own), f"{own}, mean {one.own_mean:.2f}")
                )
        low, high = some[0].edges[0], some[0].edges[-1]
        found.append(_Histogram(_NAMES[asked], f"{low:.2f}", f"{high:.2f}", tuple(curves)))
    return found


def _line(shares: tuple[float, ...]) -> str:
    """Every curve fills the height, so that shapes and places can be compared."""
    top, step = max(shares), _WIDTH / len(shares)
    points = [(0.0, _HEIGHT)]
    for number, share in enumerate(shares):
        points.append(((number + 0.5) * step, _HEIGHT - (_HEIGHT - 6) * share / top))
    points.append((_WIDTH, _HEIGHT))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _plot(found: Diagnosis) -> Plot:
    assert found.projection is not None
    labels = tuple(shortened(plain(label), _LONGEST) for label in found.projection.labels)
    return Plot.of(found.projection, labels)
