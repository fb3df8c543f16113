"""`evaluate`: an encoder on captioned pictures, alone or against another."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder
from unisem.errors import UniSemError
from unisem.evaluation.answers import Answers
from unisem.evaluation.asking import Asking
from unisem.evaluation.calibrated_tasks import calibrated_tasks
from unisem.evaluation.embeddings import Progress
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.pair_tasks import PairTasks
from unisem.evaluation.report import DataSummary, Report
from unisem.evaluation.results import Measured, report_of
from unisem.pairs.checking import CheckedPairs
from unisem.pairs.dataset import PairDataset
from unisem.pairs.splits import split_pairs

_DEFAULTS = EvaluationOptions()


def evaluate(
    encoder: Encoder,
    pairs: PairDataset,
    *,
    against: Encoder | None = None,
    options: EvaluationOptions = _DEFAULTS,
    name: str = "",
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure how well an encoder finds pictures by captions and captions by pictures.

    Every picture is opened first; what cannot be used is left out and listed. With another
    encoder both answer the same queries, and the report has the paired differences, encoder minus
    other.

    Args:
        encoder: What is evaluated.
        pairs: Captioned pictures that it was not trained on.
        against: What it is compared with: the start model, another model.
        options: Cutoffs, seed, how many examples.
        name: What to call the data in the report.
        cache: A folder to keep vectors in; an interrupted evaluation goes on from there.
        progress: Called with what is being done, how much is done, and how much there is.

    Raises:
        UniSemError: Too few usable pairs; says how many there were and what was wrong with them.
        TrainingError: ``options.held_out`` asks for a split that cannot be made.
        EncoderError: A model does not load, or has no image side.
        OSError: The cache cannot be written.

    Example::

        from unisem import load_encoder
        from unisem.evaluation import evaluate
        from unisem.training import PairDataset

        report = evaluate(load_encoder("mini"), PairDataset.read("examples/gallery"))
        report.encoder.tasks[0].measures["hit@10"]   # Estimate(value=…, low=…, high=…)
        report.write_html("report.html")
    """
    asking = Asking.of(encoder, against, cache, progress)
    checked = _checked(asking, pairs, options, name)
    dataset = checked.dataset
    everything = PairTasks.of(dataset, seed=options.seed)
    embeddings = asking.embeddings(
        everything.texts, everything.images, candidates=everything.captioned
    )
    skipped = {key: item for one in embeddings for key, item in one.skipped.items()}
    if skipped:  # both encoders must answer the same queries
        bad = {
            record.image.sha256
            for record in everything.images
            if record.image is not None and record.id in skipped
        }
        dataset = PairDataset(tuple(pair for pair in dataset if pair.image.sha256 not in bad))
        _require(dataset, name, checked, list(skipped.values()))
        everything = PairTasks.of(dataset, seed=options.seed)
    labels = {record.id: everything.captions[record.id][0] for record in everything.images}
    measured = [
        Measured.of(
            one,
            vectors,
            [Answers.of(task, vectors) for task in everything.tasks],
            options,
            images=everything.images,
            texts=everything.texts,
            groups=everything.groups,
            labels=labels,
            calibrated=calibrated_tasks(
                one.fingerprint, dataset, everything, vectors, options, progress
            ),
        )
        for one, vectors in zip(asking.encoders, embeddings, strict=True)
    ]
    data = summary_of(
        name,
        pairs,
        dataset,
        checked,
        len(everything.images),
        len(everything.texts),
        tuple(skipped.values()),
    )
    return report_of(measured, data, everything.captions, options)


def _checked(
    asking: Asking, pairs: PairDataset, options: EvaluationOptions, name: str
) -> CheckedPairs:
    if options.held_out is None:
        checked = asking.checked(_limited(pairs, options))
    else:  # the split depends on all of the pictures' contents, so all are checked
        checked = asking.checked(pairs)
        _require(checked.dataset, name, checked, [])
        split = split_pairs(checked.dataset, held_out=options.held_out, seed=options.seed)
        checked = CheckedPairs(_limited(split.held_out, options), checked.report)
    _require(checked.dataset, name, checked, [])
    return checked


def _limited(pairs: PairDataset, options: EvaluationOptions) -> PairDataset:
    """A seeded draw of whole groups, two at least, so that a picture keeps all its captions."""
    if options.limit is None or options.limit >= len(pairs):
        return pairs
    groups = pairs.groups
    sizes = np.bincount(groups)
    order = np.random.default_rng(options.seed).permutation(len(sizes))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), options.limit)) + 1
    chosen = np.flatnonzero(np.isin(groups, order[: max(2, enough)]))
    return PairDataset(pairs.select(chosen).pairs, pairs.skipped)


def _require(
    dataset: PairDataset, name: str, checked: CheckedPairs, unencodable: list[Skipped]
) -> None:
    """Say what was wrong with data of which too little is left."""
    captions, pictures = map(set, dataset.contents.T.tolist())
    if len(pictures) >= 2 and len(captions) >= 2:
        return
    report = checked.report
    bad = [*report.missing, *report.broken, *unencodable, *report.unread]
    reasons = "; ".join(f"{item.name}: {item.reason}" for item in bad[:3])
    more = f", and {len(bad) - 3:,} more" if len(bad) > 3 else ""
    raise UniSemError(
        f"{name or 'the data'} has {len(pictures):,} usable pictures and {len(captions):,} "
        "captions; an evaluation needs at least two of each"
        + (f" ({reasons}{more})" if bad else "")
    )


def summary_of(
    name: str,
    pairs: PairDataset,
    used: PairDataset,
    checked: CheckedPairs,
    images: int,
    captions: int,
    unencodable: tuple[Skipped, ...] = (),
) -> DataSummary:
    """What pairs were evaluated on.

    Args:
        name: What to call them.
        pairs: As read.
        used: Those that are left.
        checked: What checking found.
        images: How many different pictures.
        captions: How many different captions.
        unencodable: Pictures that an encoder cannot read.
    """
    digest = hashlib.sha256()
    for line in sorted(f"{pair.image.sha256} {pair.caption}" for pair in used):
        digest.update(hashlib.sha256(line.encode()).digest())
    report = checked.report
    return DataSummary(
        name=name,
        digest=digest.hexdigest(),
        read=len(pairs),
        pairs=len(used),
        images=images,
        captions=captions,
        repeated=report.repeated,
        empty_captions=report.empty_captions,
        skipped=(*report.unread, *report.missing, *report.broken, *unencodable),
    )
