"""`evaluate_benchmarks`: an encoder on folders of MixBench's, BEIR's or MTEB's kind."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from unisem.common.skipped import Skipped
from unisem.common.threads import in_order, workers
from unisem.encoders.base import Encoder
from unisem.errors import BenchmarkError, ImageError
from unisem.evaluation.answers import Answers
from unisem.evaluation.asking import Asking
from unisem.evaluation.benchmarks import Benchmark
from unisem.evaluation.embeddings import Embeddings, Progress
from unisem.evaluation.means import means_of_others, unit_or_zero
from unisem.evaluation.mteb import DEFAULT, MtebResult
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.report import DataSummary, Report
from unisem.evaluation.results import Measured, report_of
from unisem.evaluation.tasks import RetrievalTask, form_of
from unisem.images.reference import ImageRef
from unisem.records import Record

ONE_VECTOR = "one vector"
CENTRED = "centred"
_AHEAD = 64  # pictures that are being read
_DEFAULTS = EvaluationOptions()


def evaluate_benchmarks(
    encoder: Encoder,
    benchmarks: Sequence[Benchmark],
    *,
    against: Encoder | None = None,
    options: EvaluationOptions = _DEFAULTS,
    name: str = "",
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure how well an encoder finds what benchmarks judge as relevant.

    A benchmark is up to three tasks: as a space answers it, a captioned picture found by the best
    of its vectors, fused ones included where the encoder has them; with captioned pictures as one
    vector, the mean of the text's and the picture's; and that *centred*, every kind seen from its
    own mean. A query or a document whose picture turns out to be broken as it is read whole is left
    out for both encoders and told among the report's skipped; such a document counts as never
    found. The last two are MixBench's table before and after
    GR-CLIP (https://arxiv.org/abs/2507.19054, alpha .5). Means of documents are the corpus's own,
    those of queries come from the other half of the queries.

    Args:
        encoder: What is evaluated.
        benchmarks: At least one.
        against: What it is compared with.
        options: Cutoffs, seed, how many examples.
        name: What to call the data in the report.
        cache: A folder to keep vectors in; an interrupted evaluation goes on from there.
        progress: Called with what is being done, how much is done, and how much there is.

    Raises:
        BenchmarkError: A picture is missing or no picture; or all queries or documents are broken.
        EncoderError: A model does not load, or lacks a side that is asked for.
    """
    checked = _checked(benchmarks, progress)
    documents = [record for one in checked for record in one.documents]
    queries = [record for one in checked for record in one.queries]
    images = [record for record in (*queries, *documents) if record.image is not None]
    asked = _texts(queries)
    said = set(_pairs(checked).values())
    texts = _texts([*documents, *(query for query in queries if query.text in said)]) or asked
    asking = Asking.of(encoder, against, cache, progress)
    embeddings = asking.embeddings(
        texts, images, asked=asked, candidates=documents, queries=queries
    )
    broken = {key: item for one in embeddings for key, item in one.skipped.items()}
    if broken:  # both encoders must answer the same queries among the same documents
        checked = [_without(broken, one) for one in checked]
        documents = [record for one in checked for record in one.documents]
        queries = [record for one in checked for record in one.queries]
        images = [record for record in images if record.id not in broken]
    measured = [
        _measured(one, vectors, checked, options)
        for one, vectors in zip(asking.encoders, embeddings, strict=True)
    ]
    return report_of(
        measured,
        _summary(name, checked, len(_texts([*documents, *queries])), len(images)),
        {record.id: (record.text,) for record in images if record.text is not None},
        options,
        lambda task: not task.name.endswith((ONE_VECTOR, CENTRED)),
    )


def _texts(records: Sequence[Record]) -> list[Record]:
    """One record for each different text."""
    return list({record.text: record for record in records if record.text is not None}.values())


def _checked(benchmarks: Sequence[Benchmark], progress: Progress | None) -> list[Benchmark]:
    """Benchmarks whose pictures have been opened; ids say which benchmark they are of."""
    total = sum(
        record.image is not None for one in benchmarks for record in (*one.queries, *one.documents)
    )
    bad: list[ImageError] = []
    done = 0
    checked = []
    for one in benchmarks:
        parts = []
        for records in (one.queries, one.documents):
            kept = []
            with workers("unisem-benchmark") as pool:
                jobs = (pool.submit(_opened, record) for record in records)
                for record, image in in_order(jobs, _AHEAD):
                    if isinstance(image, ImageError):
                        bad.append(image)
                        continue
                    kept.append(record if image is None else record.with_image(image))
                    done += image is not None
                    if progress is not None:
                        progress("checking", done, total)
            parts.append(tuple(_renamed(record, one.title) for record in kept))
        relevant = {
            _within(query, one.title): {
                _within(document, one.title): gain for document, gain in wanted.items()
            }
            for query, wanted in one.relevant.items()
        }
        checked.append(replace(one, queries=parts[0], documents=parts[1], relevant=relevant))
    if bad:
        raise BenchmarkError(
            f"{len(bad):,} of {total:,} pictures cannot be used, first {bad[0]}; a benchmark is "
            "measured whole"
        )
    return checked


def _without(broken: Mapping[str, Skipped], benchmark: Benchmark) -> Benchmark:
    """The benchmark without records whose pictures are broken, which are told.

    Raises:
        BenchmarkError: No query or no document is left.
    """
    queries, documents = (
        tuple(record for record in records if record.id not in broken)
        for records in (benchmark.queries, benchmark.documents)
    )
    told = [
        broken[record.id]
        for record in (*benchmark.queries, *benchmark.documents)
        if record.id in broken
    ]
    if not queries or not documents:
        raise BenchmarkError(
            f"{benchmark.title}: no picture of its {'documents' if queries else 'queries'} can be "
            f"used, first {told[0].name}: {told[0].reason}"
        )
    return replace(
        benchmark,
        queries=queries,
        documents=documents,
        relevant={query.id: benchmark.relevant[query.id] for query in queries},
        skipped=(*benchmark.skipped, *told),
    )


def _opened(record: Record) -> tuple[Record, ImageRef | ImageError | None]:
    try:
        return record, None if record.image is None else record.image.inspected()
    except ImageError as error:
        return record, error


def _within(record_id: str, name: str) -> str:
    kind, _, rest = record_id.partition(":")
    return f"{kind}:{name}/{rest}"


def _renamed(record: Record, name: str) -> Record:
    return Record(id=_within(record.id, name), text=record.text, image=record.image)


def _measured(
    encoder: Encoder,
    embeddings: Embeddings,
    benchmarks: Sequence[Benchmark],
    options: EvaluationOptions,
) -> Measured:
    answers = [found for one in benchmarks for found in _answers(one, embeddings, options.seed)]
    documents = [record for one in benchmarks for record in one.documents]
    queries = [record for one in benchmarks for record in one.queries]
    texts = [record for record in documents if record.text is not None] or [
        record for record in queries if record.text is not None
    ]
    images = [record for record in (*documents, *queries) if record.image is not None]
    return Measured.of(
        encoder,
        embeddings,
        answers,
        options,
        images=images,
        texts=texts,
        groups={record.id: place for place, record in enumerate((*documents, *queries))},
        labels=dict(sorted(_pairs(benchmarks).items())),
    )


def _answers(benchmark: Benchmark, embeddings: Embeddings, seed: int) -> Iterable[Answers]:
    task = task_of(benchmark)
    yield Answers.of(task, embeddings)
    forms = np.array([form_of(record) for record in task.candidates])
    queries = embeddings.apart.of_queries(task.queries)
    vectors, starts, kinds = embeddings.apart.of_candidates(task.candidates)
    rows = np.diff(np.append(starts, len(vectors)))[:, None]
    means = np.add.reduceat(vectors, starts, axis=0) / rows  # (candidates, d)
    alone = np.arange(len(forms))
    if (forms == "captioned image").any():
        yield Answers.among(task_of(benchmark, ONE_VECTOR), queries, unit_or_zero(means), alone)
    if len(set(forms)) > 1:
        middles = np.empty_like(vectors)
        for kind in np.unique(kinds):
            middles[kinds == kind] = vectors[kinds == kind].mean(axis=0)
        centred = means - np.add.reduceat(middles, starts, axis=0) / rows
        asked = unit_or_zero(queries - means_of_others(queries, task, seed))
        yield Answers.among(task_of(benchmark, CENTRED), asked, unit_or_zero(centred), alone)


def task_of(benchmark: Benchmark, how: str = "") -> RetrievalTask:
    """A benchmark as a task; queries that look for the same document first are one group."""
    relevant = [benchmark.relevant[query.id] for query in benchmark.queries]
    first = [min(wanted) for wanted in relevant]
    _, groups = np.unique(first, return_inverse=True)
    return RetrievalTask(
        f"{benchmark.title}, {how}" if how else benchmark.title,
        benchmark.queries,
        benchmark.documents,
        tuple(relevant),
        groups.astype(np.int64),
        _own_documents(benchmark) if benchmark.ignore_identical_ids else (),
        frozenset(name for wanted in relevant for name in wanted)
        - {record.id for record in benchmark.documents},
    )


def _own_documents(benchmark: Benchmark) -> tuple[str | None, ...]:
    """For each query the document of the same id, if there is one."""
    known = {record.id for record in benchmark.documents}
    own = (f"doc:{query.id.partition(':')[2]}" for query in benchmark.queries)
    return tuple(name if name in known else None for name in own)


def mteb_results(
    report: Report, benchmarks: Sequence[Benchmark], languages: Sequence[str]
) -> list[MtebResult]:
    """What `evaluate_benchmarks` found with its encoder, as MTEB writes it; see `write_mteb`.

    Of each benchmark the first task: what a space answers.

    Args:
        report: The report.
        benchmarks: What it is about.
        languages: As in `MtebResult`.
    """
    found = {task.task: task.mteb for task in report.encoder.tasks}
    return [
        MtebResult(
            task=one.name,
            scores=found[one.title],
            main_score="ndcg_at_10",
            revision=one.digest,
            split=one.split,
            subset=one.subset or DEFAULT,
            languages=languages,
            seconds=round(report.encoder.seconds, 3) if len(benchmarks) == 1 else None,
        )
        for one in benchmarks
    ]


def _pairs(benchmarks: Sequence[Benchmark]) -> dict[str, str]:
    """A text for each picture that has one: its caption, what asks for it, what it asks for."""
    pairs: dict[str, str] = {}
    for one in benchmarks:
        known = {record.id: record for record in (*one.documents, *one.queries)}
        asked = [(query, wanted) for query, group in one.relevant.items() for wanted in group]
        together = [(name, name) for name in known] + asked + [pair[::-1] for pair in asked]
        for image, text in together:
            if image not in known or text not in known:  # nothing that can be found
                continue
            said = known[text].text
            if known[image].image is not None and said is not None:
                pairs.setdefault(image, said)
    return pairs


def _summary(name: str, benchmarks: Sequence[Benchmark], texts: int, images: int) -> DataSummary:
    digest = hashlib.sha256()
    for one in benchmarks:
        for record in sorted((*one.queries, *one.documents), key=lambda record: record.id):
            picture = "" if record.image is None else record.image.sha256
            digest.update(repr((record.id, record.text, picture)).encode())
        digest.update(
            repr(sorted((query, sorted(w.items())) for query, w in one.relevant.items())).encode()
        )
    judged = sum(len(wanted) for one in benchmarks for wanted in one.relevant.values())
    skipped = tuple(item for one in benchmarks for item in one.skipped)
    return DataSummary(name, digest.hexdigest(), judged, judged, images, texts, 0, 0, skipped)
