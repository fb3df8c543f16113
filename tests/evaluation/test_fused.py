"""Fused vectors: what a space would rank by is what is evaluated; the oracle is a space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_benchmarks import FAST, mixbench, unit
from tests.support.toy import FusingToyEncoder, ToyEncoder
from unisem import SemanticSpace
from unisem.evaluation import evaluate_benchmarks, read_benchmark
from unisem.evaluation.answers import Answers
from unisem.evaluation.benchmark_run import task_of
from unisem.evaluation.benchmarks import Benchmark
from unisem.evaluation.embeddings import Embeddings
from unisem.evaluation.vector_cache import VectorCache


class Aside(FusingToyEncoder):
    """Its fused vectors are nearer to a query than texts and pictures are, so that they win."""

    def encode_pairs(self, texts, images, role="document", **options):  # type: ignore[no-untyped-def]
        rows = super().encode_pairs(texts, images, role)
        return unit(rows + 0.5 * self.encode_texts(texts, role)).astype(np.float32)


def embedded(encoder: ToyEncoder, benchmark: Benchmark, cache: Path | None = None) -> Embeddings:
    everything = (*benchmark.documents, *benchmark.queries)
    return Embeddings.of(
        encoder,
        [record for record in everything if record.text is not None],
        [record for record in everything if record.image is not None],
        candidates=benchmark.documents,
        queries=benchmark.queries,
        cache=None if cache is None else VectorCache(cache),
    )


@pytest.mark.parametrize("kind", [ToyEncoder, Aside])
def test_a_space_finds_what_an_evaluation_ranks(
    tmp_path: Path, kind: type[ToyEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts, and a text with a picture, ask; documents are texts, pictures, and both."""
    folder = mixbench(tmp_path / "MSCOCO")
    monkeypatch.chdir(folder)
    benchmark = read_benchmark(folder)
    encoder = kind()
    answers = Answers.of(task_of(benchmark), embedded(encoder, benchmark))
    matched = set()
    with SemanticSpace.open(tmp_path / "space", encoder=kind(), image_roots=[folder]) as space:
        space.add(benchmark.documents)
        for query, top, scores in zip(benchmark.queries, answers.top, answers.scores, strict=True):
            image = query.image
            hits = space.search(
                text=query.text, image=image and image.path, k=10, duplicates="keep"
            )
            assert [hit.record.id for hit in hits] == [
                answers.task.candidates[place].id for place in top
            ]
            assert [hit.score for hit in hits] == pytest.approx(scores.tolist(), abs=1e-6)
            matched |= {hit.matched for hit in hits}
    assert ("both" in matched) is encoder.fuses
    report = evaluate_benchmarks(kind(), [benchmark], options=FAST).encoder
    assert report.tasks[0].measures["ndcg@10"].value == answers.ranking.ndcg(10).mean()


def test_one_vector_stays_the_mean(tmp_path: Path) -> None:
    """The paper's table is of a text's and a picture's vector, whatever else an encoder makes."""
    benchmark = read_benchmark(mixbench(tmp_path / "MSCOCO"))
    plain, fused = (
        evaluate_benchmarks(encoder, [benchmark], options=FAST).encoder.tasks
        for encoder in (ToyEncoder(), Aside())
    )
    assert [task.measures for task in plain[1:]] == [task.measures for task in fused[1:]]
    assert plain[0].hubness.found != fused[0].hubness.found


def test_fused_vectors_are_kept_and_bad_pictures_skipped(tmp_path: Path) -> None:
    benchmark = read_benchmark(mixbench(tmp_path / "MSCOCO"))
    first = embedded(Aside(), benchmark, tmp_path / "cache")
    assert set(first.fused) == {f"doc:{number}" for number in range(2, 18, 3)}
    assert set(first.asked) == {"query:0"}
    again = Aside()
    second = embedded(again, benchmark, tmp_path / "cache")
    assert (again.pairs_encoded, again.texts_encoded) == (0, 0)
    for name, row in first.fused.items():
        np.testing.assert_array_equal(row, second.fused[name])
    (tmp_path / "MSCOCO" / "images" / "red2.png").write_bytes(b"none")
    damaged = embedded(Aside(), benchmark)
    assert damaged.skipped.keys() == {"doc:2"}
    assert "doc:2" not in damaged.fused
