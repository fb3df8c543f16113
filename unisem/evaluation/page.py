"""A report as one HTML file that needs nothing else.

Pictures are inside as small copies in ``data:`` URLs, the plot is drawn in SVG. There is no script,
no link and no foreign resource, and the page's own content policy forbids them, whatever a caption
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from unisem.common.pages import render_page
from unisem.evaluation.projection import SIDE, Plot
from unisem.evaluation.ranking import told_by_others
from unisem.images.thumbnails import Thumbnails

if TYPE_CHECKING:
    from unisem.evaluation.report import Estimate, Example, Report

_SKIPPED = 20  # inputs that are listed
_FORMS = {"text": "captions", "image": "pictures", "captioned image": "captioned pictures"}
_QUESTIONS = {
    "text to image": "Which picture belongs to this caption?",
    "image to text": "Which caption belongs to this picture?",
    "picture to class": "What is this?",
    "text to mixed": "A caption asks a list of captions, pictures and captioned pictures",
    "image to mixed": "A picture asks a list of captions, pictures and captioned pictures",
}


def render_report(report: Report) -> str:
    """Return the HTML of a report."""
    return render_page(
        "unisem.evaluation",
        "report.html.j2",
        report=report,
        measures=_shown_measures(report),
        without_told=_without_told,
        reach=_reach,
        forms=_FORMS,
        questions=_QUESTIONS,
        by_task=_by_task,
        thumbnail=Thumbnails().of,
        plot_of=Plot.of,
        side=SIDE,
        listed=_SKIPPED,
    )


def _shown_measures(report: Report) -> list[str]:
    """The measures' names, without those that others tell everywhere."""
    tasks = report.encoder.tasks
    single = all(task.single for task in tasks)
    return _without_told(tasks[0].measures) if single else list(tasks[0].measures)


def _without_told(names: Iterable[str]) -> list[str]:
    return [name for name in names if not told_by_others(name)]


def _reach(differences: Sequence[Mapping[str, Estimate]], names: Sequence[str]) -> float:
    """How far the intervals of differences reach, which is the scale that they are drawn on."""
    shown = [one[name] for one in differences for name in names]
    return max((abs(bound) for one in shown for bound in (one.low, one.high)), default=0.0) or 1.0


def _by_task(examples: Iterable[Example]) -> list[tuple[str, list[Example]]]:
    return [(task, list(group)) for task, group in groupby(examples, key=lambda it: it.task)]
