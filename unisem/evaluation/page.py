"""A report as one HTML file that needs nothing else.

Pictures are inside as small copies in ``data:`` URLs, the plot is drawn in SVG. There is no script,
no link and no foreign resource, and the page's own content policy forbids them, whatever a caption
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from unisem.common.pages import render_page
from unisem.common.printable import plain, shortened
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.projection import SIDE, Plot
from unisem.images.thumbnails import Thumbnail, Thumbnails
from unisem.records import Record

if TYPE_CHECKING:
    from unisem.evaluation.report import (
        Answer,
        CalibratedTask,
        EncoderResult,
        Estimate,
        Example,
        Report,
        TaskResult,
    )

_LONGEST = 140  # characters of a caption on the page; an alternative text has them all
_SKIPPED = 20  # inputs that are listed

_QUESTIONS = {
    "text to image": "Which picture belongs to this caption?",
    "image to text": "Which caption belongs to this picture?",
    "text to mixed": "A caption asks a list of captions, pictures and captioned pictures",
    "image to mixed": "A picture asks a list of captions, pictures and captioned pictures",
}


def render_report(report: Report) -> str:
    """Return the HTML of a report."""
    thumbnails = Thumbnails()
    encoders = report.encoders
    names = _names(report)
    return render_page(
        "unisem.evaluation",
        "report.html.j2",
        title=_title(report),
        data=report.data,
        data_name=plain(report.data.name),
        skipped=[(plain(item.name), plain(item.reason)) for item in report.data.skipped],
        listed=_SKIPPED,
        confidence=f"{100 * report.options.confidence:g} %",
        options=report.options,
        environment=report.environment,
        encoders=list(zip(names, encoders, strict=True)),
        names=names,
        compared=report.against is not None,
        measures=_shown_measures(report.encoder.tasks),
        tables=[_Table.of(report, number) for number in range(len(report.encoder.tasks))],
        places=[_Places.of(name, result) for name, result in zip(names, encoders, strict=True)],
        calibrated=[
            (name, [_Before.of(task) for task in result.calibrated])
            for name, result in zip(names, encoders, strict=True)
            if result.calibrated
        ],
        plots=[
            (name, result.geometry, _plot(result))
            for name, result in zip(names, encoders, strict=True)
        ],
        side=SIDE,
        gained=_cases(report.gained, thumbnails),
        lost=_cases(report.lost, thumbnails),
        failures=_cases(report.failures, thumbnails),
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """A text, a picture, or both, as the template wants it."""

    text: str
    alt: str
    picture: Thumbnail | None

    @classmethod
    def of(cls, record: Record, captions: Sequence[str], thumbnails: Thumbnails) -> _Item:
        said = " / ".join(map(plain, captions)) or plain(record.text or "")
        return cls(
            text=shortened(plain(record.text or ""), _LONGEST),
            alt=said or "Picture without a caption",
            picture=None if record.image is None else thumbnails.of(record.image),
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an encoder found: items with their scores, and whether they were wanted."""

    rank: str
    score: str
    found: tuple[tuple[_Item, str, bool], ...]

    @classmethod
    def of(cls, answer: Answer, thumbnails: Thumbnails) -> _Answer:
        return cls(
            f"{answer.rank:,}",
            f"{answer.score:.3f}",
            tuple(
                (_Item.of(one.record, one.captions, thumbnails), f"{one.score:.3f}", one.relevant)
                for one in answer.found
            ),
        )


@dataclass(frozen=True, slots=True)
class _Case:
    """An example as the template wants it."""

    query: _Item
    wanted: _Item
    answer: _Answer
    before: _Answer | None


@dataclass(frozen=True, slots=True)
class _Cell:
    """A measure with its interval, and where to draw it between 0 and 100."""

    value: str
    interval: str
    low: float
    at: float
    high: float
    verdict: str = ""

    @classmethod
    def of(cls, estimate: Estimate) -> _Cell:
        return cls(
            f"{estimate.value:.3f}",
            f"{estimate.low:.3f} to {estimate.high:.3f}",
            100 * estimate.low,
            100 * estimate.value,
            100 * estimate.high,
        )

    @classmethod
    def of_difference(cls, estimate: Estimate, largest: float) -> _Cell:
        """A difference on a scale from ``-largest`` to ``largest``."""
        verdict = ""
        if estimate.excludes_zero:
            verdict = "better" if estimate.value > 0 else "worse"
        low, at, high = (
            50 + 50 * bound / largest for bound in (estimate.low, estimate.value, estimate.high)
        )
        return cls(
            f"{estimate.value:+.3f}",
            f"{estimate.low:+.3f} to {estimate.high:+.3f}",
            low,
            at,
            high,
            verdict,
        )


@dataclass(frozen=True, slots=True)
class _Table:
    """The measures of one task: a row per encoder, and one of differences."""

    task: str
    size: str
    rows: tuple[tuple[str, tuple[_Cell, ...]], ...]
    difference: tuple[_Cell, ...]

    @classmethod
    def of(cls, report: Report, number: int) -> _Table:
        task = report.encoder.tasks[number]
        measures = _shown_measures(report.encoder.tasks)
        rows = tuple(
            (name, tuple(_Cell.of(result.tasks[number].measures[key]) for key in measures))
            for name, result in zip(_names(report), report.encoders, strict=True)
        )
        difference: tuple[_Cell, ...] = ()
        if report.differences:
            change = report.differences[number].measures
            largest = (
                max(
                    (
                        abs(bound)
                        for one in report.differences
                        for estimate in one.measures.values()
                        for bound in (estimate.low, estimate.high)
                    ),
                    default=0.0,
                )
                or 1.0
            )
            difference = tuple(_Cell.of_difference(change[key], largest) for key in measures)
        size = f"{task.queries:,} queries, {task.candidates:,} candidates"
        return cls(task.task, size, rows, difference)


@dataclass(frozen=True, slots=True)
class _Before:
    """One task by raw cosine, calibrated, and what that changes."""

    task: str
    size: str
    measures: tuple[str, ...]
    rows: tuple[tuple[str, tuple[_Cell, ...]], ...]
    change: tuple[_Cell, ...]
    hubs: str

    @classmethod
    def of(cls, task: CalibratedTask) -> _Before:
        measures = tuple(name for name in task.before if not name.startswith("recall@"))
        changes = [task.change[name] for name in measures]
        largest = max(abs(bound) for one in changes for bound in (one.low, one.high)) or 1.0
        return cls(
            task.task,
            f"{task.queries:,} queries",
            measures,
            (
                ("by raw cosine", tuple(_Cell.of(task.before[name]) for name in measures)),
                ("calibrated", tuple(_Cell.of(task.after[name]) for name in measures)),
            ),
            tuple(_Cell.of_difference(one, largest) for one in changes),
            f"The largest hub stands in {100 * task.hub_before:.0f} % of the answers by raw "
            f"cosine, in {100 * task.hub_after:.0f} % calibrated.",
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Who has the first ten places: a row per task of one encoder."""

    name: str
    rows: tuple[tuple[str, Hubness, str, str], ...]

    @classmethod
    def of(cls, name: str, result: EncoderResult) -> _Places:
        return cls(
            name,
            tuple(
                (task.task, task.hubness, _shares(task.hubness), _hub(task.hubness))
                for task in result.tasks
            ),
        )


def _shares(hubness: Hubness) -> str:
    if len(hubness.found) < 2:
        return "one form only"
    names = {"text": "captions", "image": "pictures", "captioned image": "captioned pictures"}
    return ", ".join(
        f"{names[form]} {100 * share:.0f} % (of {100 * hubness.present[form]:.0f} %)"
        for form, share in hubness.found.items()
    )


def _hub(hubness: Hubness) -> str:
    return shortened(plain(hubness.hub.partition(":")[2]), _LONGEST)


def _shown_measures(tasks: Iterable[TaskResult]) -> list[str]:
    """The measures' names; recall@k is left out where it is hit@k everywhere."""
    tasks = list(tasks)
    single = all(task.single for task in tasks)
    return [name for name in tasks[0].measures if not (single and name.startswith("recall@"))]


def _plot(result: EncoderResult) -> Plot:
    labels = tuple(shortened(plain(label), _LONGEST) for label in result.projection.labels)
    return Plot.of(result.projection, labels)


def _cases(
    examples: Iterable[Example], thumbnails: Thumbnails
) -> list[tuple[str, str, list[_Case]]]:
    """Examples by task, with the question that the task asks."""
    return [
        (task, _QUESTIONS.get(task, ""), [_case(example, thumbnails) for example in group])
        for task, group in groupby(examples, key=lambda example: example.task)
    ]


def _case(example: Example, thumbnails: Thumbnails) -> _Case:
    return _Case(
        query=_Item.of(example.query, example.captions, thumbnails),
        wanted=_Item.of(example.wanted, example.wanted_captions, thumbnails),
        answer=_Answer.of(example.answer, thumbnails),
        before=None if example.before is None else _Answer.of(example.before, thumbnails),
    )


def _names(report: Report) -> list[str]:
    return [plain(name) for name in report.names]


def _title(report: Report) -> str:
    names = _names(report)
    if report.against is None:
        return f"How well {names[0]} retrieves"
    return f"{names[1]} against {names[0]}"
