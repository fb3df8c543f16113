"""`evaluate_zero_shot`: pictures into classes that an encoder knows by their names only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder
from unisem.errors import BenchmarkError
from unisem.evaluation.answers import Answers
from unisem.evaluation.asking import Asking
from unisem.evaluation.class_names import ClassNames, label_key
from unisem.evaluation.embeddings import Embeddings, Progress
from unisem.evaluation.means import means_of_others, unit_or_zero
from unisem.evaluation.mteb import UNKNOWN, MtebResult
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.report import ClassResult, DataSummary, Report
from unisem.evaluation.results import Measured, report_of
from unisem.evaluation.run import summary_of
from unisem.evaluation.tasks import RetrievalTask
from unisem.pairs.checking import CheckedPairs
from unisem.pairs.dataset import PairDataset
from unisem.records import Record

TASK = "picture to class"
CENTRED = "picture to class, centred"
_DEFAULTS = EvaluationOptions(ks=(1, 5))


@dataclass(frozen=True, slots=True, eq=False)
class _Pictures:
    """Distinct pictures and the classes that each is of."""

    data: DataSummary
    images: tuple[Record, ...]
    classes: tuple[Record, ...]
    task: RetrievalTask
    centred: RetrievalTask


def evaluate_zero_shot(
    encoder: Encoder,
    pictures: PairDataset,
    classes: ClassNames,
    *,
    against: Encoder | None = None,
    options: EvaluationOptions = _DEFAULTS,
    name: str = "",
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure how well an encoder tells pictures' classes by the classes' names.

    A picture's class is the nearest of the classes' vectors (`ClassNames.vectors`; names are
    embedded as queries, which is how a model learned to find pictures by them). ``hit@1`` is then
    the accuracy, ``hit@5`` accuracy@5. The second task is the same *centred*: pictures seen from
    the mean of the other half of the pictures, classes from their own mean.

    Args:
        encoder: What is evaluated.
        pictures: Each with its class's label as caption.
        classes: Every class that it may be taken for.
        against: What it is compared with.
        options: Cutoffs, seed, how many examples; the rest does not matter here.
        name: What to call the data in the report.
        cache: A folder to keep vectors in.
        progress: Called with what is being done, how much is done, and how much there is.

    Raises:
        BenchmarkError: A class without a name, or no picture that can be used.
        EncoderError: A model does not load, or has no image side.
    """
    asking = Asking.of(encoder, against, cache, progress)
    checked = asking.checked(pictures)
    found = _pictures(checked.dataset, checked, pictures, classes, name)
    prompts = [
        Record(id=f"prompt:{number}", text=prompt)
        for number, prompt in enumerate(
            dict.fromkeys(prompt for label in classes.names for prompt in classes.prompts(label))
        )
    ]
    embeddings = asking.embeddings([], found.images, asked=prompts)
    broken = {key: item for one in embeddings for key, item in one.skipped.items()}
    if broken:  # both encoders must be asked for the same pictures
        bad = {
            record.image.sha256 for record in found.images if record.image and record.id in broken
        }
        left = PairDataset(tuple(p for p in checked.dataset if p.image.sha256 not in bad))
        found = _pictures(left, checked, pictures, classes, name, tuple(broken.values()))
    measured = [
        _measured(one, vectors, found, classes, options)
        for one, vectors in zip(asking.encoders, embeddings, strict=True)
    ]
    said = {query.id: tuple(_texts(found, wanted)) for query, wanted in _asked(found)}
    return report_of(measured, found.data, said, options, lambda task: task.name == TASK)


def _pictures(
    dataset: PairDataset,
    checked: CheckedPairs,
    read: PairDataset,
    classes: ClassNames,
    name: str,
    unencodable: tuple[Skipped, ...] = (),
) -> _Pictures:
    """Distinct pictures, and the classes as candidates; their texts are all different."""
    unknown = [pair for pair in dataset if label_key(pair.caption) not in classes.names]
    if unknown:
        raise BenchmarkError(
            f"{name or 'the pictures'}: {len(unknown):,} pictures are of classes without a name, "
            f"first {unknown[0].caption!r} ({unknown[0].image.name}); add a line with this label, "
            "a tab and a name"
        )
    if not len(dataset):
        raise BenchmarkError(
            f"{name or 'the pictures'}: no picture can be used, of {checked.report.pairs:,} read"
        )
    candidates: dict[str, Record] = {}
    told: set[str] = set()
    for label, names in classes.names.items():
        text = names[0] if label_key(names[0]) == label else f"{names[0]} ({label})"
        while text in told:  # a label that looks like a name with its label
            text = f"{text} ({label})"
        told.add(text)
        candidates[label] = Record(id=f"class:{label}", text=text)
    images: dict[int, Record] = {}
    wanted: dict[int, dict[str, float]] = {}
    for number, pair in zip(dataset.document_ids.tolist(), dataset, strict=True):
        images.setdefault(number, Record(id=f"image:{pair.image_id}", image=pair.image))
        wanted.setdefault(number, {})[candidates[label_key(pair.caption)].id] = 1.0
    records = tuple(candidates.values())
    one, other = (
        RetrievalTask(
            task,
            tuple(images.values()),
            records,
            tuple(wanted.values()),
            np.arange(len(images), dtype=np.int64),
        )
        for task in (TASK, CENTRED)
    )
    data = summary_of(name, read, dataset, checked, len(images), len(records), unencodable)
    return _Pictures(data, tuple(images.values()), records, one, other)


def _measured(
    encoder: Encoder,
    vectors: Embeddings,
    found: _Pictures,
    classes: ClassNames,
    options: EvaluationOptions,
) -> Measured:
    rows = classes.vectors(vectors.queries)
    texts = {record.text or "": row for record, row in zip(found.classes, rows, strict=True)}
    embeddings = Embeddings({}, texts, vectors.images, vectors.skipped, vectors.seconds)
    plain = Answers.of(found.task, embeddings)
    images = embeddings.of_queries(found.task.queries)
    named, alone, _ = embeddings.of_candidates(found.task.candidates)
    away = unit_or_zero(images - means_of_others(images, found.task, options.seed))
    moved = Answers.among(found.centred, away, unit_or_zero(named - named.mean(axis=0)), alone)
    groups = {record.id: place for place, record in enumerate((*found.images, *found.classes))}
    return Measured.of(
        encoder,
        embeddings,
        [plain, moved],
        options,
        images=found.images,
        texts=found.classes,
        groups=groups,
        labels={query.id: next(iter(_texts(found, wanted))) for query, wanted in _asked(found)},
        classes=_classes(plain),
    )


def _asked(found: _Pictures) -> list[tuple[Record, Sequence[str]]]:
    return [
        (query, list(wanted))
        for query, wanted in zip(found.task.queries, found.task.relevant, strict=True)
    ]


def _texts(found: _Pictures, wanted: Sequence[str]) -> list[str]:
    said = {record.id: record.text or "" for record in found.classes}
    return [said[name] for name in wanted]


def _classes(answers: Answers) -> tuple[ClassResult, ...]:
    """How the pictures of each class fared, the worst class first; classes without any left out.

    A picture that is of several classes counts for the one that was found first among them.
    """
    truth, told = answers.wanted, answers.top[:, 0]
    results = []
    for number in np.unique(truth).tolist():
        chosen = told[truth == number]
        others, counts = np.unique(chosen[chosen != number], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        results.append(
            ClassResult(
                name=answers.task.candidates[number].text or "",
                images=len(chosen),
                accuracy=float((chosen == number).mean()),
                confused={
                    answers.task.candidates[others[place]].text or "": int(counts[place])
                    for place in order.tolist()
                },
                scores=_class_scores(truth, told, number),
            )
        )
    return tuple(sorted(results, key=lambda one: (one.accuracy, one.name)))


def _class_scores(
    truth: NDArray[np.int64], told: NDArray[np.int64], number: int
) -> dict[str, float]:
    """Precision, recall and F1 of one class; 0 where it was never told."""
    right = int(((truth == number) & (told == number)).sum())
    wanted, given = int((truth == number).sum()), int((told == number).sum())
    return {
        "precision": right / given if given else 0.0,
        "recall": right / wanted if wanted else 0.0,
        "f1": 2 * right / (wanted + given) if wanted + given else 0.0,
    }


def mteb_classification(
    report: Report, task: str, languages: Sequence[str] = (UNKNOWN,)
) -> MtebResult:
    """What `evaluate_zero_shot` found with its encoder, as MTEB writes it; see `write_mteb`.

    Macro means are over the classes that have pictures or were told, as scikit-learn's.

    Args:
        report: The report.
        task: MTEB's name of it.
        languages: As in `MtebResult`.
    """
    (first, *_), classes = report.encoder.tasks, report.encoder.classes
    told = {name for one in classes for name in one.confused}
    count = len(told | {one.name for one in classes})
    total = sum(one.images for one in classes)
    scores = {"accuracy": first.measures["hit@1"].value}
    for name in ("precision", "recall", "f1"):
        scores[name] = sum(one.scores[name] for one in classes) / count
        scores[f"{name}_weighted"] = sum(one.images * one.scores[name] for one in classes) / total
    return MtebResult(
        task=task,
        scores=scores,
        main_score="accuracy",
        revision=report.data.digest,
        languages=languages,
        seconds=round(report.encoder.seconds, 3),
    )
