"""Benchmarks as MTEB's sets lie on the hub: Parquet, beside the same benchmark as BEIR has it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluation.test_benchmarks import FAST, Leaning, mixbench, texts_alone
from unisem.errors import BenchmarkError
from unisem.evaluation import (
    benchmark_folders,
    benchmarks,
    evaluate_benchmarks,
    mteb_results,
    read_benchmark,
    subsets_of,
    write_mteb,
)
from unisem.evaluation.benchmarks import Benchmark

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Rows = list[dict[str, Any]]


def tables_of(beir: Path) -> dict[str, Rows]:
    """Rows of a folder of BEIR's kind, as MTEB calls their columns."""
    rows: dict[str, Rows] = {"queries": [], "corpus": [], "qrels": []}
    for part, file in (("queries", "queries"), ("corpus", "mixed_corpus"), ("corpus", "corpus")):
        path = beir / f"{file}.jsonl"
        if rows[part] or not path.exists():
            continue
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            name = next(row[key] for key in ("_id", "query_id", "corpus_id") if key in row)
            rows[part].append({"id": str(name), "text": row.get("text")})
            if row.get("image"):
                data = (beir / "images" / row["image"]).read_bytes()
                rows[part][-1]["image"] = {"bytes": data, "path": "elsewhere.png"}
    judged = next(path for path in (beir / "qrels").glob("*.tsv") if path.stem != "dev")
    for line in judged.read_text("utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        rows["qrels"].append({"query-id": query, "corpus-id": document, "score": int(score)})
    return rows


def write(path: Path, rows: Rows, schema: pa.Schema | None = None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if schema is None and any("image" in row for row in rows):
        fields = [("id", pa.string()), ("text", pa.string()), ("image", IMAGE)]
        schema = pa.schema([*fields, ("modality", pa.string())])
        rows = [{**row, "modality": "image,text"} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows, schema), path, **options)


def hub(folder: Path, rows: dict[str, Rows], subset: str = "", split: str = "test") -> Path:
    """As ``push_to_hub`` writes a set: a folder for each part, the corpus in two shards."""
    before = f"{subset}-" if subset else ""
    corpus = rows["corpus"]
    for number, part in enumerate((corpus[: len(corpus) // 2], corpus[len(corpus) // 2 :])):
        write(folder / f"{before}corpus" / f"{split}-{number:05}-of-00002.parquet", part)
    for part in ("queries", "qrels"):
        write(folder / f"{before}{part}" / f"{split}-00000-of-00001.parquet", rows[part])
    return folder


def content(benchmark: Benchmark) -> list[Any]:
    """What a benchmark says, wherever its pictures are."""
    records = (*benchmark.queries, *benchmark.documents)
    told = [
        (record.id, record.text, record.image and record.image.inspected().sha256)
        for record in records
    ]
    return [told, benchmark.relevant, benchmark.split, benchmark.unanswered, benchmark.empty]


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return texts_alone(tmp_path_factory.mktemp("beir") / "Arguments")


@pytest.fixture(scope="module")
def rows(beir: Path) -> dict[str, Rows]:
    return tables_of(beir)


def test_texts_are_the_same_benchmark(tmp_path: Path, beir: Path, rows: dict[str, Rows]) -> None:
    wanted = content(read_benchmark(beir))
    folder = hub(tmp_path / "hub", rows)
    assert benchmark_folders(folder) == benchmark_folders(tmp_path) == [folder]
    assert content(read_benchmark(folder)) == wanted
    ignoring = read_benchmark(folder, ignore_identical_ids=True, split="test")
    assert evaluate_benchmarks(Leaning(), [ignoring], options=FAST).encoder.tasks[0].queries == 12
    # One split each of another name, below `data`, judgements without a folder: MTEB's older sets.
    older = tmp_path / "older"
    write(older / "data" / "test-00000-of-00001-0a1b2c.parquet", rows["qrels"])
    write(older / "data" / "corpus" / "corpus.parquet", rows["corpus"])
    write(older / "queries" / "queries" / "0000.parquet", rows["queries"])
    assert content(read_benchmark(older)) == wanted
    # Numbers as ids, files alone.
    alone = tmp_path / "alone"
    for part, table in rows.items():
        write(alone / f"{part}.parquet", table)
    assert read_benchmark(alone, split="test").split == read_benchmark(alone).split == "test"
    numbered = [{**row, "id": number} for number, row in enumerate(rows["corpus"])]
    write(alone / "corpus.parquet", [{"_id": row["id"], "text": row["text"]} for row in numbered])
    known = {row["id"]: str(number) for number, row in enumerate(rows["corpus"])}
    judged = [{**row, "corpus-id": known[row["corpus-id"]]} for row in rows["qrels"]]
    write(alone / "qrels.parquet", judged)
    assert [it.text for it in read_benchmark(alone).documents] == [
        text for _, text, _ in wanted[0][12:]
    ]


def test_pictures_are_unpacked(tmp_path: Path) -> None:
    mixed = mixbench(tmp_path / "MSCOCO")
    folder = hub(tmp_path / "hub", tables_of(mixed), split="dev")
    with pytest.raises(BenchmarkError, match=r"queries.*:1: pictures are carried .*--cache"):
        read_benchmark(folder)
    found = read_benchmark(folder, unpack_to=tmp_path / "cache")
    assert found.split == "dev"
    assert content(found)[:2] == content(read_benchmark(mixed))[:2]
    assert all(
        it.image is None or it.image.path.is_relative_to(tmp_path / "cache")  # type: ignore[union-attr]
        for it in found.documents
    )
    ours, theirs = (
        evaluate_benchmarks(Leaning(), [it], options=FAST).encoder.tasks
        for it in (found, read_benchmark(mixed))
    )
    assert [it.measures for it in ours] == [it.measures for it in theirs]


def test_subsets_are_one_task_of_mteb(tmp_path: Path, rows: dict[str, Rows]) -> None:
    folder = hub(hub(tmp_path / "Multi", rows, "de"), rows, "zh-TW")
    assert subsets_of(folder) == ["de", "zh-TW"]
    with pytest.raises(BenchmarkError, match="has the subsets de, zh-TW; name one"):
        read_benchmark(folder)
    with pytest.raises(BenchmarkError, match="has the subsets de, zh-TW, not 'fr'"):
        read_benchmark(folder, subset="fr")
    both = [read_benchmark(folder, subset=name) for name in ("de", "zh-TW")]
    report = evaluate_benchmarks(Leaning(), both, options=FAST)
    assert [it.task for it in report.encoder.tasks] == ["Multi, de", "Multi, zh-TW"]
    results = mteb_results(report, both, ["eng-Latn"])
    (path,) = write_mteb(tmp_path / "out", "m", "f" * 64, 48, results)
    written = json.loads(path.read_text("utf-8"))
    assert [one["hf_subset"] for one in written["scores"]["test"]] == ["de", "zh-TW"]
    assert (written["task_name"], len(written["dataset_revision"])) == ("Multi", 64)


def test_splits_and_shards_are_named(tmp_path: Path, rows: dict[str, Rows]) -> None:
    folder = hub(tmp_path / "hub", rows)
    write(folder / "qrels" / "dev.parquet", rows["qrels"][:3])
    assert len(read_benchmark(folder, split="dev").queries) == 1
    with pytest.raises(BenchmarkError, match=r"no split 'train' of qrels; .*: dev, test"):
        read_benchmark(folder, split="train")
    (folder / "corpus" / "test-00001-of-00002.parquet").unlink()
    with pytest.raises(BenchmarkError, match="corpus: 1 of 2 files of 'test' are missing"):
        read_benchmark(folder)
    (folder / "qrels" / "test-00000-of-00001.parquet").unlink()
    (folder / "qrels" / "dev.parquet").unlink()
    with pytest.raises(BenchmarkError, match="no Parquet of qrels"):
        read_benchmark(folder)


def test_tables_that_are_no_files_are_named(tmp_path: Path, rows: dict[str, Rows]) -> None:
    for part, table in rows.items():
        write(tmp_path / f"{part}.parquet", table)
    (path := tmp_path / "corpus.parquet").unlink()
    for make in (os.mkfifo, os.mkdir):
        make(path)
        with pytest.raises(BenchmarkError, match=r"corpus\.parquet is no file"):
            read_benchmark(tmp_path)
        (path.rmdir if path.is_dir() else path.unlink)()


def test_a_text_may_be_the_query_where_there_is_none(tmp_path: Path, rows: dict[str, Rows]) -> None:
    wanted = read_benchmark(hub(tmp_path / "text", rows)).queries
    asked = [{"id": row["id"], "text": None, "query": row["text"]} for row in rows["queries"]]
    found = read_benchmark(hub(tmp_path / "query", {**rows, "queries": asked})).queries
    assert [it.text for it in found] == [it.text for it in wanted]


def many(count: int) -> dict[str, Rows]:
    return {
        "corpus": [{"id": f"d{n}", "text": f"text {n}"} for n in range(count)],
        "queries": [{"id": f"q{n}", "text": f"query {n}"} for n in range(count)],
        "qrels": [{"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(count)],
    }


def test_few_bad_rows_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert benchmarks._TOLERATED == 1000
    monkeypatch.setattr(benchmarks, "_TOLERATED", 10)
    rows = many(10)
    rows["corpus"].append({"id": "", "text": "nobody"})
    rows["queries"].append({"id": "blank", "text": " "})
    rows["qrels"].append({"query-id": "q7", "corpus-id": "gone", "score": 2})
    folder = hub(tmp_path / "hub", rows)
    found = read_benchmark(folder)
    assert [one.reason.split(" as ")[0] for one in found.skipped] == [
        "needs a string or a whole number",
        "the 'query blank' has neither text nor image",
        "there is no 'doc gone'",
    ]
    assert found.relevant["query:q7"] == {"doc:d7": 1.0, "doc:gone": 2.0}
    assert (found.unfindable, len(found.documents), len(found.queries)) == (1, 10, 10)
    report = evaluate_benchmarks(Leaning(), [found], options=FAST)
    assert [one.reason for one in report.data.skipped] == [one.reason for one in found.skipped]
    assert report.encoder.tasks[0].mteb["recall_at_1000"] == pytest.approx(0.95)
    rows["qrels"].append({"query-id": "none", "corpus-id": "d1", "score": 1})
    hub(folder, rows)
    with pytest.raises(BenchmarkError, match=r"no 'doc gone', and 1 more of 14 rows"):
        read_benchmark(folder)


@pytest.mark.parametrize(
    ("part", "bad", "message"),
    [
        ("corpus", [{"name": "x", "text": "y"}], "has no column 'corpus_id' or .*; it has 'name'"),
        ("corpus", [{"id": "x", "sound": "y"}], "has no column 'text' or"),
        ("queries", [{"id": 1.5, "text": "y"}], "needs a string or a whole number"),
        ("queries", [{"id": "x", "text": ["y"]}], "title and text must be strings"),
        ("queries", [{"id": "x", "image": 7}], "image must be a path"),
        ("queries", [{"id": "x", "image": b"no picture"}], "is not a picture"),
        ("qrels", [{"query-id": "d0", "corpus-id": "d1"}], "has no column 'score'"),
        ("qrels", [{"query-id": "d0", "corpus-id": "d1", "score": "much"}], "must be a number"),
    ],
)
def test_wrong_columns_and_types_are_named(
    tmp_path: Path, rows: dict[str, Rows], part: str, bad: Rows, message: str
) -> None:
    folder = hub(tmp_path / "hub", rows)
    for path in (folder / part).iterdir():
        path.unlink()
    pq.write_table(pa.Table.from_pylist(bad), folder / part / "test.parquet")
    with pytest.raises(BenchmarkError, match=rf"{part}/test.parquet.* {message}"):
        read_benchmark(folder, unpack_to=tmp_path / "cache")


def test_files_that_are_none_are_named(tmp_path: Path, rows: dict[str, Rows]) -> None:
    folder = hub(tmp_path / "hub", rows)
    path = folder / "queries" / "test-00000-of-00001.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(BenchmarkError, match=r"queries/test-00000.* is not a Parquet file"):
        read_benchmark(folder)


def test_texts_that_are_none_cost_themselves(tmp_path: Path) -> None:
    rows = many(1001)
    folder = hub(tmp_path / "hub", rows)
    texts = [row["text"].encode() for row in rows["queries"]]
    texts[5] = b"\xff\xfe"
    column = pa.array(texts, pa.binary()).view(pa.string())
    names = pa.array([row["id"] for row in rows["queries"]])
    path = folder / "queries" / "test-00000-of-00001.parquet"
    pq.write_table(pa.table({"id": names, "text": column}), path)
    rows["qrels"].pop(5)
    write(folder / "qrels" / "test-00000-of-00001.parquet", rows["qrels"])
    (bad,) = read_benchmark(folder).skipped
    assert (bad.name, bad.reason) == (f"{path}:6", "is not UTF-8 text")


@pytest.mark.slow
@pytest.mark.parametrize("subset", [None, "de"])
def test_mteb_reads_the_same(tmp_path: Path, rows: dict[str, Rows], subset: str | None) -> None:
    loaders = pytest.importorskip("mteb.abstasks.retrieval_dataset_loaders")
    folder = hub(tmp_path / "Arguments", rows, subset or "")
    before = f"{subset}-" if subset else ""
    configs = "".join(
        f"- config_name: {before}{part}\n  data_files:\n  - split: test\n"
        f"    path: {before}{part}/test-*\n"
        for part in rows
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n", encoding="utf-8")
    loader = loaders.RetrievalDatasetLoader(str(folder), None, split="test", config=subset)
    theirs = loader.load()
    ours = read_benchmark(folder, subset=subset)
    assert [it.id for it in ours.documents] == [f"doc:{name}" for name in theirs["corpus"]["id"]]
    assert [it.text for it in ours.documents] == list(theirs["corpus"]["text"])
    wanted = {
        f"query:{query}": {f"doc:{name}": float(score) for name, score in some.items() if score > 0}
        for query, some in theirs["relevant_docs"].items()
    }
    assert ours.relevant == {query: some for query, some in wanted.items() if some}
    asked = [f"query:{name}" for name in theirs["queries"]["id"]]
    assert [it.id for it in ours.queries] == [name for name in asked if name in ours.relevant]
