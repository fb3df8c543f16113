"""Folders of MixBench's and BEIR's kind, against formulas applied query by query."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem.errors import BenchmarkError
from unisem.evaluation import benchmark_folders, evaluate_benchmarks, read_benchmark
from unisem.evaluation.answers import Answers
from unisem.evaluation.benchmark_run import task_of
from unisem.evaluation.benchmarks import Benchmark
from unisem.evaluation.embeddings import Embeddings
from unisem.evaluation.mteb import CUTOFFS
from unisem.evaluation.options import EvaluationOptions

FAST = EvaluationOptions(rounds=50, examples=2)


class Leaning(ToyEncoder):
    """The toy encoder, whose texts of equal words in another order are not equal: no ties."""

    def encode_texts(self, texts, role="document", **options):  # type: ignore[no-untyped-def]
        rows = super().encode_texts(texts, role)
        leaned = [
            np.random.default_rng(list(text.encode())).normal(size=rows.shape[1]) for text in texts
        ]
        return unit(rows + 0.05 * np.array(leaned)).astype(np.float32)


def lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def mixbench(folder: Path) -> Path:
    """A tiny copy: 18 documents, a third of each form; text queries, one of text and picture."""
    (folder / "images").mkdir(parents=True)
    (folder / "qrels").mkdir()
    queries: list[dict[str, object]] = []
    documents: list[dict[str, object]] = []
    judged = ["query_id\tcorpus_id\tscore"]
    for number, (colour, size) in enumerate((c, s) for c in COLOURS for s in range(3)):
        name = f"{colour}{size}.png"
        solid(colour, (20 + size, 20)).save(folder / "images" / name)
        form = number % 3
        documents.append(
            {
                "corpus_id": str(number),
                "text": None if form == 1 else f"a {colour} card of size{size}",
                "image": None if form == 0 else name,
            }
        )
        queries.append({"query_id": str(number), "text": f"{colour} size{size}", "image": ""})
        judged.append(f"{number}\t{number}\t1")
    queries[0]["image"] = "red0.png"
    lines(folder / "queries.jsonl", queries)
    lines(folder / "mixed_corpus.jsonl", documents)
    lines(folder / "corpus.jsonl", [])  # MixBench's is the list before it was mixed
    (folder / "qrels" / "qrels.tsv").write_text("\n".join(judged) + "\n", encoding="utf-8")
    return folder


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_the_papers_table(tmp_path: Path) -> None:
    """nDCG@10 of one vector each, before and after centring, document by document."""
    folder = mixbench(tmp_path / "MSCOCO")
    benchmark = read_benchmark(folder)
    encoder = ToyEncoder()
    report = evaluate_benchmarks(encoder, [benchmark], options=FAST, name="MixBench")
    found = {task.task: task.measures["ndcg@10"].value for task in report.encoder.tasks}
    assert list(found) == ["MSCOCO", "MSCOCO, one vector", "MSCOCO, centred"]
    vectors: list[dict[str, np.ndarray]] = []
    for record in benchmark.documents:
        parts = {}
        if record.text is not None:
            parts["text"] = encoder.encode_texts([record.text])[0].astype(float)
        if record.image is not None:
            parts["image"] = encoder.encode_images([record.image])[0].astype(float)
        vectors.append(parts)
    order = sorted(range(18), key=lambda number: benchmark.documents[number].id)
    asked = []
    for record in benchmark.queries:
        row = encoder.encode_texts([record.text or ""], "query")[0].astype(float)
        if record.image is not None:
            row = unit((row + encoder.encode_images([record.image])[0]) / 2)
        asked.append(row)

    def ndcg(scores: dict[int, float], wanted: int) -> float:
        ranked = sorted(order, key=lambda number: -np.float32(scores[number]))
        rank = ranked.index(wanted) + 1
        return 1 / np.log2(rank + 1) if rank <= 10 else 0.0

    best = [
        ndcg({n: max(v @ q for v in vectors[n].values()) for n in range(18)}, wanted)
        for wanted, q in enumerate(asked)
    ]
    fused = [
        ndcg({n: unit(sum(vectors[n].values())) @ q for n in range(18)}, wanted)  # type: ignore[arg-type]
        for wanted, q in enumerate(asked)
    ]
    assert found["MSCOCO"] == pytest.approx(np.mean(best))
    assert found["MSCOCO, one vector"] == pytest.approx(np.mean(fused))
    assert report.data.pairs == 18
    assert report.failures != ()


def test_centring_undoes_a_gap(tmp_path: Path) -> None:
    class Apart(ToyEncoder):
        def encode_images(self, images, **options):  # type: ignore[no-untyped-def]
            rows = super().encode_images(images) * 0.3
            rows[:, 0] += 1
            return unit(rows).astype(np.float32)

    folder = mixbench(tmp_path / "MSCOCO")
    tasks = evaluate_benchmarks(Apart(), [read_benchmark(folder)], options=FAST).encoder.tasks
    found = {task.task: task.measures["ndcg@10"].value for task in tasks}
    assert found["MSCOCO, centred"] > found["MSCOCO, one vector"] + 0.1


def test_folders_of_folders(tmp_path: Path) -> None:
    one, two = mixbench(tmp_path / "OVEN"), mixbench(tmp_path / "MSCOCO")
    assert benchmark_folders(tmp_path) == [two, one]
    assert benchmark_folders(one) == [one]
    assert benchmark_folders(tmp_path / "none") == benchmark_folders(one / "images") == []
    benchmarks = [read_benchmark(folder) for folder in (one, two)]
    report = evaluate_benchmarks(ToyEncoder(), benchmarks, against=ToyEncoder(), options=FAST)
    assert len(report.encoder.tasks) == len(report.differences) == 6
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    report.write_html(page)
    report.write_json(figures)
    assert json.loads(figures.read_text("utf-8"))["data"]["images"] == 26


def test_beir(tmp_path: Path) -> None:
    """Titles, numbers as ids, graded judgements, queries that are not judged."""
    (tmp_path / "qrels").mkdir()
    solid("red").save(tmp_path / "red.png")
    lines(
        tmp_path / "corpus.jsonl",
        [
            {"_id": 1, "title": "Cards", "text": " red ", "metadata": {}},
            {"_id": "b", "title": "", "text": "blue"},
            {"_id": "c", "image": "red.png"},
        ],
    )
    lines(tmp_path / "queries.jsonl", [{"_id": n, "text": f"q{n}"} for n in range(3)])
    rows = ["query-id\tcorpus-id\tscore", "0\t1\t2", "0\tc\t1", "1\tb\t0", "2\tb\t1"]
    (tmp_path / "qrels" / "test.tsv").write_text("\n".join(rows), encoding="utf-8")
    found = read_benchmark(tmp_path)
    assert [record.text for record in found.documents] == ["Cards red", "blue", None]
    assert found.relevant == {
        "query:0": {"doc:1": 2.0, "doc:c": 1.0},
        "query:2": {"doc:b": 1.0},
    }
    assert [record.id for record in found.queries] == ["query:0", "query:2"]
    task = evaluate_benchmarks(ToyEncoder(), [found], options=FAST).encoder.tasks[0]
    assert task.queries == 2


@pytest.mark.parametrize(
    ("file", "row", "message"),
    [
        ("queries.jsonl", '{"query_id": "0", "text": "again"}', "queries.jsonl:19: the id '0' is"),
        ("queries.jsonl", '{"text": "no id"}', "needs a string or a whole number as query_id"),
        ("queries.jsonl", "{", "queries.jsonl:19: is not JSON"),
        ("queries.jsonl", '{"query_id": "x"}', "has neither text nor image"),
        ("mixed_corpus.jsonl", '{"corpus_id": "x", "text": 7}', "title and text must be strings"),
        (
            "mixed_corpus.jsonl",
            '{"corpus_id": "x", "image": {"bytes": ""}}',
            "image must have bytes",
        ),
        (
            "mixed_corpus.jsonl",
            json.dumps({"corpus_id": "x", "image": "x" * 5000}),
            "mixed_corpus.jsonl:19: image is no path",
        ),
        ("qrels/qrels.tsv", "0\t99\t1", "there is no 'doc 99'"),
        ("qrels/qrels.tsv", "99\t0\t1", "there is no 'query 99'"),
        ("qrels/qrels.tsv", "0\t0\t1", "judged twice"),
        ("qrels/qrels.tsv", "0\t1\tmuch", "score must be a number"),
        ("qrels/qrels.tsv", "0\t1\tinf", "score must be a finite number"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, file: str, row: str, message: str) -> None:
    folder = mixbench(tmp_path / "MSCOCO")
    with (folder / file).open("a", encoding="utf-8") as stream:
        stream.write(row + "\n")
    with pytest.raises(BenchmarkError, match=message):
        read_benchmark(folder)


def test_empty_documents_are_never_found(tmp_path: Path) -> None:
    """Graded judgements of what has no content, beside trec_eval over a run that lacks it."""
    folder = texts_alone(tmp_path / "ArguAna")
    with (folder / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"_id": "x", "text": " "}\n{"_id": "y", "title": "", "text": null}\n')
    with (folder / "qrels" / "test.tsv").open("a", encoding="utf-8") as stream:
        stream.write("\nd0\tx\t3\nd0\ty\t1\nd1\ty\t0\nq\tx\t1\n")
    found = read_benchmark(folder)
    assert (found.empty, found.unfindable, found.unanswered) == (2, 3, 0)
    assert len(found.queries) == 13
    report = evaluate_benchmarks(Leaning(), [found], options=FAST)
    task = report.encoder.tasks[0]
    expected = by_trec_eval(found, Leaning(), ignore=False)
    assert task.mteb == pytest.approx(expected)
    without = {"query:q": {}} | {query: dict(wanted) for query, wanted in found.relevant.items()}
    for wanted in without.values():
        wanted.pop("doc:x", None)
        wanted.pop("doc:y", None)
    kinder = replace(found, relevant={query: it for query, it in without.items() if it})
    kinder = replace(kinder, queries=tuple(it for it in found.queries if it.id in kinder.relevant))
    assert by_trec_eval(kinder, Leaning(), ignore=False)["ndcg_at_10"] > expected["ndcg_at_10"]
    assert answered(found, Leaning()).ranking.reciprocal_rank()[-1] == 0.0
    assert "ArguAna" in report.as_html()
    assert all(case.answer.rank <= len(found.documents) for case in report.failures)
    (folder / "corpus.jsonl").write_text('{"_id": "x"}\n{"_id": "y"}\n', encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tx\t1\n")
    with pytest.raises(BenchmarkError, match="has no document with a text"):
        read_benchmark(folder)


def test_ids_of_empty_documents_are_ids(tmp_path: Path) -> None:
    folder = mixbench(tmp_path / "MSCOCO")
    with (folder / "mixed_corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"corpus_id": "x", "text": " "}\n')
    with (folder / "mixed_corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"corpus_id": "x", "text": "again"}\n')
    with pytest.raises(BenchmarkError, match="the id 'x' is there twice"):
        read_benchmark(folder)


@pytest.mark.parametrize("file", ["mixed_corpus.jsonl", "qrels/qrels.tsv"])
def test_missing_files_are_named(tmp_path: Path, file: str) -> None:
    folder = mixbench(tmp_path / "MSCOCO")
    (folder / file).unlink()
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(BenchmarkError, match="has no"):
        read_benchmark(folder)


def test_pictures_stay_inside(tmp_path: Path) -> None:
    folder = mixbench(tmp_path / "MSCOCO")
    solid("red").save(tmp_path / "secret.png")
    for name in ("../secret.png", "../../secret.png", str(tmp_path / "secret.png")):
        lines(folder / "queries.jsonl", [{"query_id": "0", "image": name}])
        (folder / "qrels" / "qrels.tsv").write_text("query_id\tcorpus_id\tscore\n0\t0\t1\n")
        benchmark = read_benchmark(folder)
        with pytest.raises(BenchmarkError, match=r"1 of 13 pictures .*(outside|does not exist)"):
            evaluate_benchmarks(ToyEncoder(), [benchmark], options=FAST)


def test_pictures_that_break_late_are_left_out_and_told(tmp_path: Path) -> None:
    benchmark = read_benchmark(mixbench(tmp_path / "MSCOCO"))
    sets = [benchmark.queries, benchmark.documents]
    without = replace(  # the document 1 stays wanted
        benchmark,
        queries=tuple(record for record in sets[0] if record.id != "query:0"),
        documents=tuple(record for record in sets[1] if record.id != "doc:1"),
    )
    expected = evaluate_benchmarks(Leaning(), [without], options=FAST)
    for name in ("red0.png", "red1.png"):  # of the query 0 and of the document 1
        file = tmp_path / "MSCOCO" / "images" / name
        file.write_bytes(file.read_bytes()[:-25])
    found = evaluate_benchmarks(Leaning(), [benchmark], against=ToyEncoder(), options=FAST)
    assert [task.measures for task in found.encoder.tasks] == [
        task.measures for task in expected.encoder.tasks
    ]
    assert [Path(one.name).name for one in found.data.skipped] == ["red0.png", "red1.png"]
    assert found.data.images == expected.data.images
    broken = replace(benchmark, queries=benchmark.queries[:1])
    with pytest.raises(BenchmarkError, match=r"MSCOCO: no picture of its queries .*red0.png"):
        evaluate_benchmarks(Leaning(), [broken], options=FAST)


def texts_alone(folder: Path) -> Path:
    """A folder as BEIR's are: graded judgements of two splits; queries that are documents."""
    (folder / "qrels").mkdir(parents=True)
    words = [f"{one} {two}" for one in COLOURS for two in COLOURS if one != two]
    lines(folder / "corpus.jsonl", [{"_id": f"d{n}", "text": text} for n, text in enumerate(words)])
    queries = [{"_id": f"d{n}", "text": text} for n, text in enumerate(words[:12])]
    lines(folder / "queries.jsonl", [*queries, {"_id": "q", "text": "red"}])
    rows = ["query-id\tcorpus-id\tscore", "q\td0\t0"]
    for n, text in enumerate(words[:12]):
        first = text.split()[0]
        rows += [
            f"d{n}\td{m}\t{1 + other.startswith(first)}"
            for m, other in enumerate(words)
            if m != n and first in other
        ]
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "qrels" / "dev.tsv").write_text("\n".join([*rows[:1], "q\td1\t1"]), encoding="utf-8")
    return folder


@pytest.mark.parametrize("ignore", [False, True])
def test_texts_alone_equal_trec_eval(tmp_path: Path, ignore: bool) -> None:
    """All figures that MTEB has, from a run of all documents that trec_eval reads."""
    folder = texts_alone(tmp_path / "ArguAna")
    benchmark = read_benchmark(folder, ignore_identical_ids=ignore)
    assert (benchmark.split, benchmark.unanswered) == ("test", 1)
    encoder = Leaning()
    report = evaluate_benchmarks(encoder, [benchmark], options=FAST)
    assert (report.encoder.geometry, report.encoder.projection) == (None, None)
    assert "ArguAna" in report.as_html()
    assert report.as_json()["encoder"]["centroid_distance"] is None
    ours = report.encoder.tasks[0].mteb
    for name, value in by_trec_eval(benchmark, encoder, ignore=ignore).items():
        assert ours[name] == pytest.approx(value), name
    assert len(ours) == 6 * len(CUTOFFS)
    assert (ours["hit_rate_at_1"] > 0) is ignore  # each query finds itself first, unless hidden


def answered(benchmark: Benchmark, encoder: ToyEncoder) -> Answers:
    """A benchmark's first task, asked."""
    texts = [*benchmark.documents, *benchmark.queries]
    return Answers.of(task_of(benchmark), Embeddings.of(encoder, texts, []))


def by_trec_eval(benchmark: Benchmark, encoder: ToyEncoder, *, ignore: bool) -> dict[str, float]:
    """MTEB's means of what trec_eval says of each query, by a run of all documents that are."""
    qrels = {
        query: {document: int(gain) for document, gain in wanted.items()}
        for query, wanted in benchmark.relevant.items()
    }
    documents = encoder.encode_texts([record.text or "" for record in benchmark.documents])
    run = {}
    for record in benchmark.queries:
        scores = documents @ encoder.encode_texts([record.text or ""], "query")[0]
        own = f"doc:{record.id.partition(':')[2]}"
        run[record.id] = {
            other.id: float(score)
            for other, score in zip(benchmark.documents, scores, strict=True)
            if not (ignore and other.id == own)
        }
    cutoffs = ",".join(map(str, CUTOFFS))
    wanted = {f"{name}.{cutoffs}" for name in ("ndcg_cut", "map_cut", "recall", "P", "success")}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, wanted | {"recip_rank"}).evaluate(run)
    names = {"ndcg": "ndcg_cut", "map": "map_cut", "precision": "P", "hit_rate": "success"}
    means = {}
    for measure, k in product(("ndcg", "map", "recall", "precision", "mrr", "hit_rate"), CUTOFFS):
        values = [
            one["recip_rank"] * (one["recip_rank"] >= 1 / k)
            if measure == "mrr"
            else one[f"{names.get(measure, measure)}_{k}"]
            for one in theirs.values()
        ]
        means[f"{measure}_at_{k}"] = float(np.mean(values))
    return means


def test_splits(tmp_path: Path) -> None:
    folder = texts_alone(tmp_path / "ArguAna")
    dev = read_benchmark(folder, split="dev")
    assert (dev.split, list(dev.relevant)) == ("dev", ["query:q"])
    assert dev.digest != read_benchmark(folder).digest
    for split in ("train", "../test", "", ".."):
        with pytest.raises(BenchmarkError, match=r"splits: dev, test|is no name of a split"):
            read_benchmark(folder, split=split)
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(BenchmarkError, match="name one of its splits: dev"):
        read_benchmark(folder)


def test_ones_own_document_cannot_be_wanted_and_ignored(tmp_path: Path) -> None:
    folder = texts_alone(tmp_path / "ArguAna")
    with (folder / "qrels" / "test.tsv").open("a", encoding="utf-8") as file:
        file.write("\nd1\td1\t1")
    line = len((folder / "qrels" / "test.tsv").read_text("utf-8").splitlines())
    assert read_benchmark(folder).relevant["query:d1"]["doc:d1"] == 1
    with pytest.raises(BenchmarkError, match=rf"test.tsv:{line}: the query 'd1' wants"):
        read_benchmark(folder, ignore_identical_ids=True)


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.readers.tables._LONGEST", 1000)
    folder = texts_alone(tmp_path / "ArguAna")
    with (folder / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "long", "text": "x" * 5000}) + "\n")
    with pytest.raises(BenchmarkError, match=r"corpus.jsonl:31: has more than 1,000 characters"):
        read_benchmark(folder)
