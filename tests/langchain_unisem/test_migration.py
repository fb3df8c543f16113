"""From LangChain's FAISS store to ours: the two scripts in ``examples/``."""

from __future__ import annotations

import ast
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langchain_unisem import UniSemVectorStore
from tests.support.text_embeddings import WordEmbeddings

EXAMPLES = Path(__file__).parents[2] / "examples"
WORDS = "tests.support.text_embeddings:WordEmbeddings"
TEXTS = [f"{colour} {thing}" for colour in ("red", "green", "blue") for thing in ("cat", "hat")]
METADATAS: list[dict[str, Any]] = [{"number": n, "tags": ["a", n]} for n in range(len(TEXTS))]
IDS = [f"id-{n}" for n in range(len(TEXTS))]

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs an example as a program; what it printed."""

    def run_example(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """What step 1 writes; `test_export_from_the_old_store` holds it to that."""
    folder = tmp_path / "exported"
    folder.mkdir()
    write(folder, TEXTS, METADATAS, IDS)
    return folder


def write(folder: Path, texts: list[str], metadatas: list[dict[str, Any]], ids: list[str]) -> None:
    lines = [
        {"id": name, "text": text, "metadata": metadata}
        for name, text, metadata in zip(ids, texts, metadatas, strict=True)
    ]
    (folder / "documents.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    vectors = np.array(WordEmbeddings().embed_documents(texts), "<f4")
    np.save(folder / "vectors.npy", vectors, allow_pickle=False)


def check(path: Path) -> None:
    """The store holds everything, under the same ids and with the same vectors."""
    with UniSemVectorStore(embedding=WordEmbeddings(), path=path) as store:
        assert len(store) == len(TEXTS)
        for text, metadata, name in zip(TEXTS, METADATAS, IDS, strict=True):
            ((document, score),) = store.similarity_search_with_score(text, k=1)
            assert (document.id, document.page_content, document.metadata) == (name, text, metadata)
            assert score == pytest.approx(1, abs=1e-6)
        found = store.similarity_search("blue", k=9, filter={"number": {"$lt": 2}})
        assert {document.id for document in found} == {"id-0", "id-1"}


def test_import(run: Run, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[str] = []
    original = WordEmbeddings.embed_query

    def counting(self: WordEmbeddings, text: str) -> list[float]:
        embedded.append(text)
        return original(self, text)

    monkeypatch.setattr(WordEmbeddings, "embed_query", counting)
    path = tmp_path / "new.unisem"
    for _ in range(2):  # again replaces
        embedded.clear()
        out = run(
            "langchain_migrate_from_faiss.py", exported, path, "--embeddings", WORDS, "--check", 2
        )
        assert out.splitlines() == ["6 of 6", f"{path} holds 6 documents"]
        assert embedded == [TEXTS[0], TEXTS[-1], "dimension"]  # the vectors are not made again
    check(path)


def other_embeddings() -> WordEmbeddings:
    return WordEmbeddings(size=25)


class BackwardsEmbeddings(WordEmbeddings):
    def embed_query(self, text: str) -> list[float]:
        return super().embed_query(text)[::-1]


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ("other_embeddings", "the old vectors have 24 dimensions, those of WordEmbeddings have 25"),
        ("BackwardsEmbeddings", r"'id-0' has another vector with BackwardsEmbeddings \(cosine -?0"),
    ],
)
def test_other_embeddings(
    run: Run, exported: Path, tmp_path: Path, embeddings: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        run(
            "langchain_migrate_from_faiss.py",
            exported,
            tmp_path / "new.unisem",
            "--embeddings",
            f"{__name__}:{embeddings}",
        )
    assert not (tmp_path / "new.unisem").exists()  # so that the right ones can be given


def test_files_that_do_not_belong_together(run: Run, exported: Path, tmp_path: Path) -> None:
    np.save(exported / "vectors.npy", np.ones((7, 24), "<f4"))
    with pytest.raises(SystemExit, match="has 6 documents and 7 vectors"):
        run(
            "langchain_migrate_from_faiss.py",
            exported,
            tmp_path / "new.unisem",
            "--embeddings",
            WORDS,
            "--check",
            0,
        )


def test_a_pickle_in_the_place_of_vectors(run: Run, exported: Path, tmp_path: Path) -> None:
    np.save(exported / "vectors.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"allow_pickle|pickled|object"):
        run(
            "langchain_migrate_from_faiss.py",
            exported,
            tmp_path / "new.unisem",
            "--embeddings",
            WORDS,
        )


@pytest.mark.parametrize("name", ["langchain_export_faiss.py", "langchain_migrate_from_faiss.py"])
def test_neither_script_unpickles(name: str) -> None:
    """Only `FAISS.load_local` does, and only with the user's flag."""
    tree = ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) for node in nodes}
    modules |= {alias.name for node in nodes for alias in node.names}
    assert "pickle" not in modules
    foreign = "langchain_community" if "migrate" in name else "unisem"  # the other step's place
    assert not {module for module in modules if module and foreign in module}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestExport:
    """Step 1, with the retiring store."""

    @pytest.fixture
    def old_store(self) -> Any:
        from langchain_community.vectorstores import FAISS

        return FAISS

    def test_export_from_the_old_store(
        self, old_store: Any, run: Run, exported: Path, tmp_path: Path
    ) -> None:
        old = old_store.from_texts(TEXTS, WordEmbeddings(), METADATAS, ids=IDS)
        old.save_local(str(tmp_path / "old"))
        flag = "--allow-dangerous-deserialization"
        out = run("langchain_export_faiss.py", tmp_path / "old", tmp_path / "out", flag)
        assert out == "6 documents with vectors of 24 dimensions\n"
        for name in ("documents.jsonl", "vectors.npy"):
            assert (tmp_path / "out" / name).read_bytes() == (exported / name).read_bytes()
        path = tmp_path / "new.unisem"
        run("langchain_migrate_from_faiss.py", tmp_path / "out", path, "--embeddings", WORDS)
        check(path)
        with pytest.raises(FileExistsError):
            run("langchain_export_faiss.py", tmp_path / "old", tmp_path / "out", flag)

    def test_nothing_is_read_without_the_flag(
        self,
        old_store: Any,
        run: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(old_store, "load_local", lambda *_, **__: pytest.fail("was read"))
        with pytest.raises(SystemExit):
            run("langchain_export_faiss.py", tmp_path / "old", tmp_path / "out")
        said = " ".join(capsys.readouterr().err.split())
        assert "runs whatever code is in it" in said
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("kind", ["HNSW8,Flat", "IVF2,Flat", "SQ8"])
    def test_other_kinds_of_index(
        self, old_store: Any, run: Run, exported: Path, tmp_path: Path, kind: str
    ) -> None:
        import faiss
        from langchain_community.docstore.in_memory import InMemoryDocstore

        vectors = np.array(WordEmbeddings().embed_documents(TEXTS), np.float32)
        index = faiss.index_factory(24, kind)
        index.train(vectors)
        old = old_store(WordEmbeddings(), index, InMemoryDocstore(), {})
        old.add_embeddings(list(zip(TEXTS, vectors, strict=True)), METADATAS, ids=IDS)
        old.save_local(str(tmp_path / "old"), "mine")
        run(
            "langchain_export_faiss.py",
            tmp_path / "old",
            tmp_path / "out",
            "--index-name",
            "mine",
            "--allow-dangerous-deserialization",
        )
        got = np.load(tmp_path / "out" / "vectors.npy")
        assert np.allclose(got, vectors, atol=0.05 if kind == "SQ8" else 0)

    def test_metadata_that_are_not_json(self, old_store: Any, run: Run, tmp_path: Path) -> None:
        from datetime import date

        metadata = {"day": date(2024, 5, 1), "n": np.int64(3), "nan": float("nan"), 7: (1, {2})}
        old = old_store.from_texts(TEXTS[:2], WordEmbeddings(), [metadata, {"a": 1}], ids=IDS[:2])
        old.save_local(str(tmp_path / "old"))
        flag = "--allow-dangerous-deserialization"
        out = run("langchain_export_faiss.py", tmp_path / "old", tmp_path / "out", flag)
        assert out.splitlines()[1].startswith("1 had metadata that are not JSON")
        lines = (tmp_path / "out" / "documents.jsonl").read_text().splitlines()
        assert json.loads(lines[0])["metadata"] == {
            "day": "2024-05-01",
            "n": 3,
            "nan": None,
            "7": [1, [2]],
        }
