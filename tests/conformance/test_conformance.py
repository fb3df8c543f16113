"""The runner, on a checkout of a few lines: what it finds, and that it fails when it must."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance import __main__ as program
from tests.conformance.comparison import compare
from tests.conformance.differences import EXPECTED, Difference
from tests.conformance.outcomes import ConformanceError, Outcome, Store, core_of, outcomes

FILES = ("tests/vector_stores",)
UPSTREAM = """
    import time
    import pytest
    import llama_index.core.vector_stores
    from llama_index.core.schema import TextNode
    from llama_index.core.storage.storage_context import StorageContext
    from llama_index.core.vector_stores.simple import SimpleVectorStore
    from llama_index.core.vector_stores.types import VectorStoreQuery

    def test_query():
        store = SimpleVectorStore()
        store.add([TextNode(id_="a", embedding=[1.0, 0.0])])
        store.add([TextNode(id_="b", embedding=[0.0, 1.0])])
        found = store.query(VectorStoreQuery(query_embedding=[0.0, 1.0], similarity_top_k=1))
        assert found.ids == ["b"]
        assert store.get("a") == [1.0, 0.0]

    async def test_one_class_everywhere():
        assert llama_index.core.vector_stores.SimpleVectorStore is SimpleVectorStore
        assert type(StorageContext.from_defaults().vector_store) is SimpleVectorStore

    @pytest.mark.parametrize("inside", ["_fs", "_store"])
    def test_internals(inside):
        assert inside != "_fs" or SimpleVectorStore()._fs

    def test_ahead():
        store = SimpleVectorStore()
        store.add([TextNode(id_="a", embedding=[1.0], metadata={"n": 1})])
        assert [node.node_id for node in store.get_nodes(["a"])] == ["a"]

    def test_broken_anyway():
        raise ValueError("broken for everybody")

    def test_hangs():
        time.sleep(30)

    @pytest.mark.skip(reason="later")
    def test_skipped():
        raise AssertionError
"""
INSIDE = "tests/vector_stores/test_upstream.py::"
KNOWN = Difference(f"{INSIDE}test_internals", "looks inside")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("checkout")
    folder = source / "llama-index-core" / "tests" / "vector_stores"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "test_upstream.py").write_text(textwrap.dedent(UPSTREAM), encoding="utf-8")
    (folder / "test_uncollected.py").write_text("import no_such_module", encoding="utf-8")
    (source / "llama-index-core" / "pyproject.toml").write_text('version = "0.14.99"\n')
    return source


@pytest.fixture(scope="module")
def ran(checkout: Path) -> Mapping[Store, dict[str, Outcome]]:
    stores: tuple[Store, ...] = ("stock", "shipped")
    with ThreadPoolExecutor() as pool:  # of both, most of the time goes into waiting
        found = pool.map(lambda it: outcomes(core_of(checkout), FILES, it, timeout=5), stores)
        return dict(zip(stores, found, strict=True))


def test_what_each_test_did(ran: Mapping[Store, dict[str, Outcome]]) -> None:
    def named(store: Store, outcome: str) -> set[str]:
        found = [one.test for one in ran[store].values() if one.outcome == outcome]
        return {test.rpartition("/")[2].rpartition("::")[2] for test in found}

    broken = {"test_broken_anyway", "test_hangs", "test_uncollected.py"}
    both = {"test_query", "test_one_class_everywhere", "test_internals[_store]"}
    assert named("stock", "failed") == broken | {"test_ahead"}
    assert named("shipped", "failed") == broken | {"test_internals[_fs]"}
    assert named("stock", "passed") == both | {"test_internals[_fs]"}
    assert named("shipped", "passed") == both | {"test_ahead"}
    assert named("stock", "skipped") == named("shipped", "skipped") == {"test_skipped"}
    ours = ran["shipped"]
    assert {test for test, one in ours.items() if one.used} == {
        f"{INSIDE}test_query",
        f"{INSIDE}test_ahead",
    }
    assert "longer than 5 s" in ours[f"{INSIDE}test_hangs"].message
    assert "no_such_module" in ours["tests/vector_stores/test_uncollected.py"].message


def test_comparison(ran: Mapping[Store, dict[str, Outcome]]) -> None:
    found = compare("shipped", ran["stock"], ran["shipped"], [KNOWN])
    assert found.is_as_expected
    assert [one.test for one in found.ahead] == [f"{INSIDE}test_ahead"]
    assert [(one.test, difference) for one, difference in found.expected] == [
        (f"{INSIDE}test_internals[_fs]", KNOWN)
    ]
    assert len(found.failing_anyway) == 3
    assert (len(found.agreed), found.used) == (3, 2)


@pytest.mark.parametrize(
    ("differences", "code", "words"),
    [
        ([KNOWN], 0, "test_internals: looks inside"),
        ([], 1, "FAILED    tests/vector_stores/test_upstream.py::test_internals[_fs]: Attribute"),
        ([KNOWN, Difference(f"{INSIDE}test_query", "?")], 1, "VANISHED  .*test_query passes"),
        ([KNOWN, Difference(f"{INSIDE}test_of_another_version", "?")], 0, "4 passed"),
        ([Difference(KNOWN.test, "?", ("docstore",))], 1, "FAILED"),
    ],
)
def test_exit_code_and_report(
    ran: Mapping[Store, dict[str, Outcome]],
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    differences: list[Difference],
    code: int,
    words: str,
) -> None:
    monkeypatch.setattr(program, "outcomes", lambda core, files, store, timeout: ran[store])
    found = program.main(
        ["--source", str(checkout)], files=FILES, differences=differences, stores=["shipped"]
    )
    assert found == code
    shown = capsys.readouterr().out
    assert "tests of llama-index-core 0.14.99" in shown
    first, _, rest = words.partition(".*")
    assert first in shown
    assert rest in shown


def test_a_run_that_never_used_the_store_or_lost_a_test_is_no_success(
    ran: Mapping[Store, dict[str, Outcome]],
) -> None:
    """So that a substitution that stopped working does not look like conformance."""
    unused = {test: Outcome(test, "passed", "", used=False) for test in ("a", "b")}
    assert not compare("shipped", unused, unused, []).is_as_expected
    lost = {test: one for test, one in ran["shipped"].items() if "test_query" not in test}
    found = compare("shipped", ran["stock"], lost, [KNOWN])
    assert [one.message for one in found.unexpected] == ["did not run with our store"]
    assert not found.is_as_expected


def test_what_cannot_be_run_is_said(
    tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--source", str(tmp_path)]) == 2
    assert "give a checkout of" in capsys.readouterr().err
    with pytest.raises(ConformanceError, match="has none of tests/elsewhere"):
        outcomes(core_of(checkout), ["tests/elsewhere"], "stock")


def test_the_list_of_differences_has_no_double_and_a_reason_each() -> None:
    assert len({difference.test for difference in EXPECTED}) == len(EXPECTED)
    assert all(difference.reason and difference.stores for difference in EXPECTED)
