"""The code of the docs page's sections on neighbours, postprocessors, tools and agents runs."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import ImageNode, NodeWithScore, QueryBundle
from llama_index.llms.openai import OpenAI

from llama_index_unisem import UniSemRetriever
from tests.support.chat_rules import broken_rule
from tests.support.chat_server import chat_server
from tests.support.pictures import solid
from unisem import Record, SemanticSpace
from unisem.filters import Field

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "llama_index_rag.md"


def code_of(heading: str) -> str:
    """The first block of Python under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    found = re.search(r"```python\n(.*?)```", section, re.S)
    assert found is not None
    return found[1]


async def run(code: str, names: dict[str, Any]) -> Any:
    """Run code as a notebook does, with ``await``; the value of its last expression."""
    tree = ast.parse(code)
    if isinstance(tree.body[-1], ast.Expr):
        value = tree.body[-1].value
        tree.body[-1] = ast.Assign([ast.Name("last", ast.Store())], value)
        ast.fix_missing_locations(tree)
    compiled = compile(tree, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(compiled, names)
    if inspect.isawaitable(made):
        await made
    return names.get("last")


async def test_the_sections_on_tools_and_postprocessors(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    solid("red").save("photos/red.png")

    class Other(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            node = ImageNode(id_="n", text="a red card", image_path="photos/red.png")
            return [NodeWithScore(node=node, score=1.0)]

    replies = ["[n]", [("search_cards", {"query": "a red card"})], "It is [card]."]
    with chat_server(replies, rule=broken_rule) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        names: dict[str, Any] = {
            "space": space,
            "llm": OpenAI(model="gpt-4o"),
            "other_retriever": Other(),
            "Field": Field,
            "RetrieverQueryEngine": RetrieverQueryEngine,
            "UniSemRetriever": UniSemRetriever,
        }
        code = code_of("### Neighbours")
        assert await run(code, names) == ["1", "2"]
        assert code.rstrip().endswith('# ["1", "2"]')

        await run(code_of("### Pictures of other retrievers"), names)
        assert str(names["engine"].query("Which?")) == "[n]"
        np.testing.assert_array_equal(np.asarray(server.images()[0]), np.asarray(solid("red")))
        await run(code_of("### A cutoff for each modality"), names)

        card = {"published": True, "year": 2024}
        space.add([Record(id="card", text="a red card", image="photos/red.png", metadata=card)])
        blocks = await run(code_of("### A space as a tool"), names)
        assert [block.block_type for block in blocks] == ["text", "text", "image"]
        await run(code_of("### An agent that sees pictures"), names)
        assert str(names["answer"]) == "It is [card]."
        assert len(server.images()) == 1
