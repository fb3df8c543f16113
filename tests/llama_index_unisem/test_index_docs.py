"""The code of the docs page's sections on index, reader and ingestion runs, in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from llama_index.core import Settings
from llama_index.core.llms import MockLLM

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemVectorStore
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "llama_index_rag.md"
SECTIONS = ("## The index", "## Reading a folder", "## Ingestion")


def test_the_sections_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Settings, "_embed_model", None)
    monkeypatch.setattr(
        "llama_index_unisem.embeddings.embedding.load_encoder", lambda *_, **__: ToyEncoder()
    )
    (tmp_path / "photos").mkdir()
    solid("red").save("photos/red.png")
    Path("photos/red.txt").write_text("a red card")
    Path("photos/bad.png").write_text("no picture")
    names = {
        "llm": MockLLM(),
        "UniSemEmbedding": UniSemEmbedding,
        "UniSemVectorStore": UniSemVectorStore,
    }
    page = PAGE.read_text(encoding="utf-8")
    for heading in SECTIONS:
        section = page.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
        blocks = re.findall(r"```python\n(.*?)```", section, re.S)
        assert blocks, heading
        for block in blocks:
            exec(block, names)
    index = names["index"]
    assert type(index) is UniSemIndex
    assert [node.node_id for node in index.vector_store.get_nodes()] == ["photos/red.png"]
    pipeline = names["pipeline"]
    assert len(pipeline.vector_store.client) == 1  # type: ignore[attr-defined]
    assert "bad.png" in capsys.readouterr().out


def test_the_scripts_it_names_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"examples/\w+\.py", text))
    assert {path for path in named if not (PAGE.parents[2] / path).exists()} == set()
    assert "examples/llama_index_migrate_from_faiss.py" in named
