"""A diagnosis as one HTML file that needs nothing else, in the style of an evaluation's report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from unisem.common.pages import render_page
from unisem.evaluation.projection import SIDE, Plot
from unisem.evaluation.scores import Scores
from unisem.images.thumbnails import Thumbnails

if TYPE_CHECKING:
    from unisem.evaluation.diagnosis import Diagnosis

_SKIPPED = 20  # pictures that are listed
_WIDTH, _HEIGHT = 400.0, 150.0  # of a histogram
_NAMES = {"text": "texts", "image": "pictures", "captioned image": "captioned pictures"}


def render_diagnosis(found: Diagnosis) -> str:
    """Return the HTML of a diagnosis."""
    return render_page(
        "unisem.evaluation",
        "diagnosis.html.j2",
        found=found,
        names=_NAMES,
        thumbnail=Thumbnails().of,
        plot_of=Plot.of,
        side=SIDE,
        curves_of=_curves,
        width=_WIDTH,
        height=_HEIGHT,
        unit="calibrated score" if found.calibrated else "cosine",
        listed=_SKIPPED,
    )


class _Curve(NamedTuple):
    """A histogram as the points of a line, and what it is of."""

    kind: str
    style: str
    points: str
    label: str


def _curves(scores: Iterable[Scores]) -> list[_Curve]:
    """All that one kind of query scores."""
    curves = []
    for one in scores:
        label = f"other {_NAMES[one.kind]}, mean {one.mean:.2f}"
        curves.append(_Curve(one.kind, "others", _line(one.others), label))
        if one.own_mean is not None:
            own = "own picture" if one.kind == "image" else "own caption"
            label = f"{own}, mean {one.own_mean:.2f}"
            curves.append(_Curve(one.kind, "own", _line(one.own), label))
    return curves


def _line(shares: tuple[float, ...]) -> str:
    """Every curve fills the height, so that shapes and places can be compared."""
    top, step = max(shares), _WIDTH / len(shares)
    points = [(0.0, _HEIGHT)]
    for number, share in enumerate(shares):
        points.append(((number + 0.5) * step, _HEIGHT - (_HEIGHT - 6) * share / top))
    points.append((_WIDTH, _HEIGHT))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
