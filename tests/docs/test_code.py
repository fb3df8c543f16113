"""Every block of Python of every page runs, from the top of its page to the bottom."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain.chat_models import init_chat_model
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import ImageNode, NodeWithScore, QueryBundle
from llama_index.llms.openai import OpenAI

from tests.docs.pages import DOCS, PAGES, ROOT, blocks_of, name_of, python_of
from tests.support.chat_server import ChatServer
from tests.support.pictures import solid
from tests.training.support import coloured_pairs
from unisem import ImageRef

BY_COMMANDS = {DOCS / "guides" / "your_pictures.md"}  # of which `test_your_pictures` runs all
RUN = [page for page in PAGES if python_of(page) and page not in BY_COMMANDS]


class OtherRetriever(BaseRetriever):
    """Finds a picture by LlamaIndex's own node."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        node = ImageNode(id_="n", text="a red card", image_path="photos/red.png")
        return [NodeWithScore(node=node, score=1.0)]


def run(page: Path, names: dict[str, Any]) -> None:
    """Run a page's code as a notebook does, with ``await`` and a model ``llm`` of the reader's."""
    for block in python_of(page):
        if "from langchain_unisem" in block.code:
            names["llm"] = init_chat_model("openai:scripted")
        elif "from llama_index_unisem" in block.code:
            names["llm"] = OpenAI(model="gpt-4o")
        code = compile(
            "\n" * block.line + block.code, name_of(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        if code.co_flags & 0x80:  # a coroutine
            asyncio.run(eval(code, names))
        else:
            exec(code, names)


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, workplace: Path, server: ChatServer) -> None:
    if name_of(page) == "README.md":
        Path("tiger.jpg").rename("photos/tiger.jpg")
    if name_of(page) == "docs/guides/training.md":
        for pair in coloured_pairs(Path("photos"), 30):
            assert pair.image.path is not None
            pair.image.path.with_suffix(".txt").write_text(pair.caption, encoding="utf-8")
        rows = [f"question {n}\tanswer {n}\tno answer {n}" for n in range(9)]
        Path("questions.tsv").write_text("\n".join(["anchor\tpositive\tnegative", *rows]))
    names: dict[str, Any] = {"__name__": "page", "other_retriever": OtherRetriever()}
    run(page, names)
    if check := CHECKS.get(name_of(page)):
        check(names, server)
    for value in names.values():
        if hasattr(value, "close") and not isinstance(value, type):
            value.close()


def shows_the_red_card(request: int, server: ChatServer) -> None:
    np.testing.assert_array_equal(np.asarray(server.images(request)[0]), np.asarray(solid("red")))


def readme(names: dict[str, Any], server: ChatServer) -> None:
    assert len(server.requests) == 2
    assert server.images(0)
    assert server.images(1)


def langchain_rag(names: dict[str, Any], server: ChatServer) -> None:
    shows_the_red_card(0, server)
    assert server.images(1)[-1].size == (20, 20)  # the asker's own picture
    assert names["documents"][0].page_content == "a red card"
    assert names["messages"].to_messages()[0].content.endswith("Answer in French.")


def langchain_vector_store(names: dict[str, Any], server: ChatServer) -> None:
    assert len(names["vector"]) == len(names["vectors"][0]) == 384
    assert names["found"]
    assert names["pictures"]


def llama_index_rag(names: dict[str, Any], server: ChatServer) -> None:
    shows_the_red_card(0, server)
    assert names["nodes"][0].node.get_content() == "a red card"
    assert [node.node_id for node in names["manual"].retrieve("press the buttons")] == ["1", "2"]
    assert str(names["engine"].query("Which?")) == "Number [1]."
    shows_the_red_card(-1, server)


def llama_index_agents(names: dict[str, Any], server: ChatServer) -> None:
    blocks = names["tool"](query="a red card", top_k=1).blocks
    assert [block.block_type for block in blocks] == ["text", "text", "image"]
    assert str(names["answer"]) == "Number [1]."


def llama_index_stores(names: dict[str, Any], server: ChatServer) -> None:
    found = names["index"].as_retriever(similarity_top_k=1).retrieve("a red card")
    assert [node.node_id for node in found] == ["photos/red.png"]


def llama_index_ingestion(names: dict[str, Any], server: ChatServer) -> None:
    assert len(names["pipeline"].vector_store.client) == 7
    assert len(names["nodes"]) == 7


def rerankers(names: dict[str, Any], server: ChatServer) -> None:
    found = names["hits"]
    scores = names["reranker"].score("a red card", None, [hit.record for hit in found])
    np.testing.assert_allclose([hit.score for hit in found], np.sort(scores)[::-1], 1e-5)
    assert (
        len(names["in_time"])
        == len(names["wider"])
        == len(names["like_this"])
        == len(names["but_red"])
        == 3
    )
    everything = names["space"].search("a", k=7)
    picture = ImageRef.of(Path("query.jpg"))
    scores = names["seeing"].score("the same in red", picture, [h.record for h in everything])
    best = {everything[place].record.id for place in np.argsort(-scores)[:3]}
    assert {hit.record.id for hit in names["but_red"]} == best
    assert len(names["recent"]) == len(names["documents"]) == 3
    assert "Which card is like this one?" in str(names["messages"])
    assert len(names["answer"].source_nodes) == 3


def evaluation(names: dict[str, Any], server: ChatServer) -> None:
    assert names["first"].task == "text to image"
    assert names["first"].measures["hit@10"].value == 1
    assert Path("report.html").is_file()
    ndcg = names["Answers"].of(names["task"], names["vectors"]).ranking.ndcg(10)
    assert ndcg.tolist() == [1.0]  # the red card before the blue one
    described = (DOCS / "guides" / "evaluation.md").read_text(encoding="utf-8")
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert {field for field in _fields(report) if f"`{field}" not in described} == set()


def _fields(value: Any, inside: str = "") -> set[str]:
    """The names of a report's fields, but not those of tasks, measures and packages."""
    if isinstance(value, list):
        return set().union(*(_fields(item, inside) for item in value))
    if not isinstance(value, dict):
        return set()
    named = inside in ("tasks", "measures", "packages", "found", "present")
    found = set() if named else set(value)
    return found.union(*(_fields(item, "" if named else name) for name, item in value.items()))


def contributing(names: dict[str, Any], server: ChatServer) -> None:
    found = {record.id: record.text for record in names["space"].store.select()}
    assert found == {"linked/red.png": "a red card", "linked/blue.png": None}
    broken, outside = names["report"].skipped
    assert (broken.name[-12:], "not UTF-8" in broken.reason) == ("/links.csv:4", True)
    assert (outside.name[-12:], "outside" in outside.reason) == ("../query.jpg", True)


def adversarial(names: dict[str, Any], server: ChatServer) -> None:
    assert list(names["parts"]) == ["base", "discriminator"]


def training(names: dict[str, Any], server: ChatServer) -> None:
    assert names["checked"].report.usable == 36
    assert names["report"].change(10) is not None
    assert Path("start", "modules.json").is_file()


CHECKS: dict[str, Callable[[dict[str, Any], ChatServer], None]] = {
    "README.md": readme,
    "CONTRIBUTING.md": contributing,
    "docs/guides/evaluation.md": evaluation,
    "docs/guides/langchain_rag.md": langchain_rag,
    "docs/guides/langchain_vector_store.md": langchain_vector_store,
    "docs/guides/llama_index_agents.md": llama_index_agents,
    "docs/guides/llama_index_ingestion.md": llama_index_ingestion,
    "docs/guides/llama_index_rag.md": llama_index_rag,
    "docs/guides/llama_index_stores.md": llama_index_stores,
    "docs/guides/rerankers.md": rerankers,
    "docs/guides/training.md": training,
    "docs/measured/adversarial.md": adversarial,
}


def test_what_is_checked_is_run() -> None:
    assert {ROOT / name for name in CHECKS} <= set(RUN)


def test_what_is_not_run_says_why() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
    assert sum(block.reason is not None for block in blocks) <= 13
    assert all(block.reason != "" for block in blocks)
