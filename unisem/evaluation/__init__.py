"""Evaluation: how well an encoder retrieves, in the field's measures, and where it fails.

Names are imported when first used, so that a ranking costs no more than NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisem.evaluation.bootstrap import bootstrap_interval
    from unisem.evaluation.options import EvaluationOptions
    from unisem.evaluation.ranking import Ranking
    from unisem.evaluation.report import Report
    from unisem.evaluation.run import evaluate
    from unisem.evaluation.tasks import RetrievalTask

_HOMES = {
    "EvaluationOptions": "options",
    "Ranking": "ranking",
    "Report": "report",
    "RetrievalTask": "tasks",
    "bootstrap_interval": "bootstrap",
    "evaluate": "run",
}

__all__ = [
    "EvaluationOptions",
    "Ranking",
    "Report",
    "RetrievalTask",
    "bootstrap_interval",
    "evaluate",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"unisem.evaluation.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'unisem.evaluation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
