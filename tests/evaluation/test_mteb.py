"""Files for MTEB's tools: their shape, and, where MTEB is installed, MTEB's own reading of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_benchmarks import FAST, Leaning, texts_alone
from unisem.evaluation import Ranking, evaluate_benchmarks, read_benchmark
from unisem.evaluation.benchmark_run import mteb_results
from unisem.evaluation.mteb import UNKNOWN, MtebResult, retrieval_scores, write_mteb


def written(folder: Path, languages: tuple[str, ...] = (UNKNOWN,)) -> tuple[Path, dict[str, float]]:
    """The file of the one task that an encoder was evaluated on, and what it scored."""
    benchmark = read_benchmark(texts_alone(folder / "Arguments"), ignore_identical_ids=True)
    encoder = Leaning()
    report = evaluate_benchmarks(encoder, [benchmark], options=FAST)
    results = mteb_results(report, [benchmark], languages)
    (path,) = write_mteb(folder / "out", "owner/model", "f" * 64, encoder.dimension, results)
    return path, report.encoder.tasks[0].mteb


def test_the_shape(tmp_path: Path) -> None:
    path, scores = written(tmp_path)
    place = tmp_path / "out" / "results" / "owner__model" / ("f" * 64)
    assert path == place / "Arguments.json"
    assert sorted(file.name for file in place.iterdir()) == ["Arguments.json", "model_meta.json"]
    found = json.loads(path.read_text("utf-8"))
    assert (found["task_name"], found["mteb_version"]) == ("Arguments", None)
    (one,) = found["scores"]["test"]
    assert one["main_score"] == one["ndcg_at_10"] == round(scores["ndcg_at_10"], 5)
    assert (one["hf_subset"], one["languages"]) == ("default", [UNKNOWN])
    assert json.loads((place / "model_meta.json").read_text("utf-8"))["name"] == "owner/model"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mini", "mini"),
        ("/models/../my model", "my_model"),
        ("a/b@c", "a__b"),
        ("a/b@refs/pr/1", "a__b"),
        ("..", "_"),
    ],
)
def test_names_stay_inside(tmp_path: Path, name: str, folder: str) -> None:
    result = MtebResult(task="../a/b", scores={"accuracy": 1.0}, main_score="accuracy", revision="")
    (path,) = write_mteb(tmp_path, name, "0" * 64, 4, [result])
    assert path == tmp_path / "results" / folder / ("0" * 64) / "_a_b.json"
    assert path.is_file()


@pytest.mark.slow
def test_mteb_reads_it(tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb")
    metrics = pytest.importorskip("mteb._evaluators.retrieval_metrics")
    from mteb.models.model_meta import ModelMeta

    path, scores = written(tmp_path, ("eng-Latn", UNKNOWN))
    cache = mteb.ResultCache(cache_path=tmp_path / "out")
    found = cache.load_results(include_remote=False)
    (model,) = found.model_results
    assert (model.model_name, model.model_revision) == ("owner/model", "f" * 64)
    (task,) = model.task_results
    assert task.task_name == "Arguments"
    assert task.get_score() == task.get_score(languages=["eng"]) == round(scores["ndcg_at_10"], 5)
    assert task.get_score(getter=lambda one: one["map_at_100"]) == round(scores["map_at_100"], 5)
    about = json.loads((path.parent / "model_meta.json").read_text("utf-8"))
    assert ModelMeta(**about).name == "owner/model"
    rng = np.random.default_rng(0)
    rows = rng.permuted(np.linspace(0, 1, 20 * 40)).reshape(20, 40)
    relevant = [sorted(rng.choice(40, 5, replace=False).tolist()) for _ in rows]
    gains = [[float(rng.integers(1, 4)) for _ in one] for one in relevant]
    qrels = {
        str(q): {str(d): int(gain) for d, gain in zip(wanted, gained, strict=True)}
        for q, (wanted, gained) in enumerate(zip(relevant, gains, strict=True))
    }
    run = {str(q): {str(d): float(s) for d, s in enumerate(row)} for q, row in enumerate(rows)}
    theirs = metrics.calculate_retrieval_scores(run, qrels, (1, 3, 5, 10, 20, 100, 1000))
    ours = retrieval_scores(Ranking.of(rows, relevant, gains))
    for values in (theirs.ndcg, theirs.map, theirs.recall, theirs.precision, theirs.mrr):
        for name, value in values.items():
            measure, _, k = name.partition("@")
            known = {"P": "precision"}.get(measure, measure.lower())
            assert ours[f"{known}_at_{k}"] == pytest.approx(value, abs=1e-5), name
