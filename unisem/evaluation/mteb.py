"""`write_mteb`: figures as the files that MTEB's tools read.

MTEB (https://arxiv.org/abs/2210.07316) keeps one JSON a task, its ``TaskResult``, in
``results/MODEL/REVISION/TASK.json``, beside a ``model_meta.json``. Its ``ResultCache`` reads them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisem.common.atomic_files import write_whole
from unisem.evaluation.ranking import Ranking

DEFAULT = "default"
"""The subset of data that have but one."""
CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
"""What MTEB's retrieval tasks measure at."""
UNKNOWN = "und-Zyyy"
"""Undetermined, as ISO 639-3 and ISO 15924 write it: a language where nobody said which."""

_DIGITS = 5  # to which MTEB rounds
_UNTOLD = (  # of a model, since no encoder says it
    "release_date",
    "languages",
    "n_parameters",
    "memory_usage_mb",
    "max_tokens",
    "license",
    "open_weights",
    "public_training_code",
    "public_training_data",
    "use_instructions",
    "training_datasets",
    "reference",
    "loader",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MtebResult:
    """One task as MTEB writes it down.

    Attributes:
        task: Its name; MTEB's own for data that MTEB knows.
        scores: By MTEB's names.
        main_score: The name of the one that a leaderboard shows.
        revision: Of the data.
        split: Of the data.
        subset: Of the data; ``"default"`` where there is but one.
        languages: ISO 639-3 and ISO 15924, ``eng-Latn``.
        seconds: How long it took, if that is known of this task alone.
    """

    task: str
    scores: Mapping[str, float]
    main_score: str
    revision: str
    split: str = "test"
    subset: str = DEFAULT
    languages: Sequence[str] = (UNKNOWN,)
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """MTEB's ``TaskResult``; ``mteb_version`` is ``null``, since MTEB did not measure this."""
        scores = {name: round(value, _DIGITS) for name, value in self.scores.items()}
        return {
            "dataset_revision": self.revision,
            "task_name": self.task,
            "mteb_version": None,
            "scores": {
                self.split: [
                    {
                        **scores,
                        "main_score": scores[self.main_score],
                        "hf_subset": self.subset,
                        "languages": list(self.languages),
                    }
                ]
            },
            "evaluation_time": self.seconds,
            "kg_co2_emissions": None,
        }


def retrieval_scores(ranking: Ranking) -> dict[str, float]:
    """Means of trec_eval's measures at MTEB's cutoffs, by MTEB's names.

    >>> import numpy as np
    >>> retrieval_scores(Ranking((np.array([2]),)))["precision_at_5"]
    0.2
    """
    first = ranking.reciprocal_rank()
    measured = {
        "ndcg": ranking.ndcg,
        "map": ranking.average_precision,
        "recall": ranking.recall,
        "precision": ranking.precision,
        "mrr": lambda k: first * (ranking.first <= k),
        "hit_rate": ranking.hit,
    }
    return {
        f"{name}_at_{k}": float(measure(k).mean())
        for name, measure in measured.items()
        for k in CUTOFFS
    }


def write_mteb(
    folder: Path, name: str, revision: str, dimension: int, results: Sequence[MtebResult]
) -> list[Path]:
    """Write tasks below ``folder/results``, each file whole; what is there of a task is replaced.

    Results of one task, of several subsets, are one file.

    Args:
        folder: What MTEB's ``ResultCache`` is given as ``cache_path``; made if absent.
        name: The model's.
        revision: Of the model; its fingerprint, which tells weights apart as a commit does.
        dimension: Of its vectors.
        results: The tasks.

    Returns:
        The files of the tasks.

    Raises:
        OSError: Nothing can be written there.
    """
    hub = re.fullmatch(r"([\w.-]+/[\w.-]+)(@.+)?", name)  # without the revision, told beside it
    called = hub[1] if hub else Path(name).name or "model"
    place = folder / "results" / _file_name(called.replace("/", "__")) / revision
    place.mkdir(parents=True, exist_ok=True)
    about = {
        "name": called,
        "revision": revision,
        "embed_dim": dimension,
        "similarity_fn_name": "cosine",
        "framework": [],
        "modalities": ["text", "image"],
        **dict.fromkeys(_UNTOLD),
    }
    _write(place / "model_meta.json", about)
    by_task: dict[Path, list[MtebResult]] = {}
    for result in results:
        by_task.setdefault(place / f"{_file_name(result.task)}.json", []).append(result)
    for path, group in by_task.items():
        _write(path, _together(group))
    return list(by_task)


def _together(results: Sequence[MtebResult]) -> dict[str, Any]:
    """Subsets of one task in one value, whose revision is a digest of theirs."""
    whole = results[0].as_json()
    for result in results[1:]:
        for split, scores in result.as_json()["scores"].items():
            whole["scores"].setdefault(split, []).extend(scores)
    if len(results) > 1:
        revisions = "\n".join(result.revision for result in results)
        whole["dataset_revision"] = hashlib.sha256(revisions.encode()).hexdigest()
    return whole


def _file_name(name: str) -> str:
    """A name as one part of a path on every system."""
    return re.sub(r"[^\w.+-]", "_", name).lstrip(".") or "_"


def _write(path: Path, value: dict[str, Any]) -> None:
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
