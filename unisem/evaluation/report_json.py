"""A report as JSON values; the format has a version, and ``docs/guides/evaluation.md`` has it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from unisem.records import Record

if TYPE_CHECKING:
    from unisem.evaluation.report import (
        Answer,
        CalibratedTask,
        EncoderResult,
        Estimate,
        Example,
        Found,
        Report,
        TaskResult,
    )

FORMAT = "unisem-evaluation"
VERSION = 1


def report_as_json(report: Report) -> dict[str, Any]:
    """Return the report without its plots."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": asdict(report.data),
        "options": asdict(report.options),
        "encoder": _encoder(report.encoder),
        "against": None if report.against is None else _encoder(report.against),
        "differences": {
            difference.task: _estimates(difference.measures) for difference in report.differences
        },
        "failures": [_example(example) for example in report.failures],
        "gained": [_example(example) for example in report.gained],
        "lost": [_example(example) for example in report.lost],
        "environment": asdict(report.environment),
    }


def _encoder(result: EncoderResult) -> dict[str, Any]:
    geometry = result.geometry
    return {
        "name": result.name,
        "fingerprint": result.fingerprint,
        "dimension": result.dimension,
        "seconds": round(result.seconds, 3),
        "tasks": {task.task: _task(task) for task in result.tasks},
        "calibrated": {task.task: _calibrated(task) for task in result.calibrated},
        "classes": [asdict(one) for one in result.classes],
        "centroid_distance": None if geometry is None else geometry.centroid_distance,
        "separability": None if geometry is None else geometry.separability,
    }


def _task(task: TaskResult) -> dict[str, Any]:
    return {
        "queries": task.queries,
        "groups": task.groups,
        "candidates": task.candidates,
        "measures": _estimates(task.measures),
        "hubness": asdict(task.hubness),
    }


def _calibrated(task: CalibratedTask) -> dict[str, Any]:
    return {
        "queries": task.queries,
        "before": _estimates(task.before),
        "after": _estimates(task.after),
        "change": _estimates(task.change),
        "hub_before": task.hub_before,
        "hub_after": task.hub_after,
    }


def _estimates(measures: dict[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in measures.items()}


def _example(example: Example) -> dict[str, Any]:
    return {
        "task": example.task,
        "query": _record(example.query, example.captions),
        "wanted": _record(example.wanted, example.wanted_captions),
        "answer": _answer(example.answer),
        "before": None if example.before is None else _answer(example.before),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "rank": answer.rank,
        "score": answer.score,
        "found": [_found(found) for found in answer.found],
    }


def _found(found: Found) -> dict[str, Any]:
    return _record(found.record, found.captions) | {
        "score": found.score,
        "relevant": found.relevant,
    }


def _record(record: Record, captions: tuple[str, ...]) -> dict[str, Any]:
    image = record.image
    return {
        "id": record.id,
        "text": record.text,
        "image": None if image is None else image.name,
        "captions": list(captions),
    }
