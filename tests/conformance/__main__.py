"""``python -m tests.conformance --source CHECKOUT``."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.conformance.comparison import Comparison, compare
from tests.conformance.differences import EXPECTED, Difference
from tests.conformance.outcomes import ConformanceError, Store, core_of, outcomes

FILES = (
    "tests/vector_stores",
    "tests/indices/vector_store",
    "tests/indices/multi_modal",
    "tests/indices/query/test_compose_vector.py",
    "tests/indices/test_loading.py",
    "tests/indices/test_loading_graph.py",
    "tests/ingestion",
    "tests/storage/test_storage_context.py",
)
OURS: tuple[Store, ...] = ("shipped", "docstore")


def main(
    arguments: Sequence[str] | None = None,
    *,
    files: Sequence[str] = FILES,
    differences: Sequence[Difference] = EXPECTED,
    stores: Sequence[Store] = OURS,
) -> int:
    """Run upstream's tests with LlamaIndex's own store and with ours, and compare.

    Returns:
        0 if all is as expected, 1 if not, 2 if the tests could not be run.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="Run LlamaIndex's own tests with its own vector store and with ours.",
    )
    parser.add_argument(
        "--source", type=Path, required=True, help="a checkout of run-llama/llama_index"
    )
    parser.add_argument("--timeout", type=int, default=60, help="seconds that a test may take")
    chosen = parser.parse_args(arguments)
    try:
        core = core_of(chosen.source)
        print(f"tests of {_version(core)}, run with llama-index-core {version('llama-index-core')}")
        stock = outcomes(core, files, "stock", timeout=chosen.timeout)
        comparisons = [
            compare(store, stock, outcomes(core, files, store, timeout=chosen.timeout), differences)
            for store in stores
        ]
    except ConformanceError as error:
        print(error, file=sys.stderr)
        return 2
    for comparison in comparisons:
        _show(comparison)
    return 0 if all(comparison.is_as_expected for comparison in comparisons) else 1


def _version(core: Path) -> str:
    settings = core / "pyproject.toml"
    text = settings.read_text(encoding="utf-8") if settings.exists() else ""
    found = re.search(r'^version = "(.*)"', text, re.MULTILINE)
    return f"llama-index-core {found[1]}" if found else "an unknown version"


def _show(comparison: Comparison) -> None:
    passed = len(comparison.agreed) + len(comparison.ahead)
    print(f"\n== {comparison.store}: {passed} passed, {comparison.used} of them use the store")
    print(f"   {len(comparison.ahead)} of them fail with LlamaIndex's own store")
    for difference, count in Counter(difference for _, difference in comparison.expected).items():
        cases = f" ({count} cases)" if count > 1 else ""
        print(f"   expected  {difference.test}{cases}: {difference.reason}")
    for outcome in comparison.failing_anyway:
        print(f"   neither   {outcome.test}: {outcome.message}")
    for outcome in comparison.unexpected:
        print(f"   FAILED    {outcome.test}: {outcome.message}")
    for difference in comparison.vanished:
        print(f"   VANISHED  {difference.test} passes; take it off the list of differences")
    if not comparison.used:
        print("   FAILED    no test that passed used the store")


if __name__ == "__main__":
    sys.exit(main())
