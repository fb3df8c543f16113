"""`Outcome`, and `outcomes`: what upstream's tests say about one store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Store = Literal["stock", "shipped", "docstore"]
"""LlamaIndex's `SimpleVectorStore`; ours; ours in an index that keeps the texts itself."""

_PLUGIN = Path(__file__).parent / "plugin"
_ROOT = Path(__file__).resolve().parents[2]
_INTERNAL_ERROR = 3  # pytest's exit codes from here on say that it did not run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one test did.

    Attributes:
        test: Its id, or a file's that could not be collected.
        outcome: ``"passed"``, ``"failed"`` or ``"skipped"``.
        message: Why.
        used: Whether it added to our store or searched it.
    """

    test: str
    outcome: str
    message: str
    used: bool


class ConformanceError(Exception):
    """The tests cannot be run at all."""


def core_of(source: Path) -> Path:
    """The folder of LlamaIndex's core in a checkout.

    Raises:
        ConformanceError: There are no tests in it.
    """
    for folder in (source / "llama-index-core", source):
        if (folder / "tests" / "vector_stores").is_dir():
            return folder.resolve()
    raise ConformanceError(
        f"{source} has no llama-index-core/tests/vector_stores; give a checkout of "
        "github.com/run-llama/llama_index (the packages on PyPI have no tests)"
    )


def outcomes(
    core: Path, files: Sequence[str], store: Store, *, timeout: int = 60
) -> dict[str, Outcome]:
    """Run the tests of some files in a process of their own.

    Args:
        core: As from `core_of`.
        files: Relative to it; those it lacks are left out.
        store: What stands where the tests expect `SimpleVectorStore`.
        timeout: Seconds that one test may take.

    Raises:
        ConformanceError: None of the files is there, or pytest could not run.
    """
    present = [file for file in files if (core / file).exists()]
    if not present:
        raise ConformanceError(f"{core} has none of {', '.join(files)}")
    with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
        log, settings = Path(scratch, "log.jsonl"), Path(scratch, "pytest.ini")
        settings.write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors"]
        command += [
            "-c",
            str(settings),
            f"--rootdir={core}",
            "-p",
            "no:cacheprovider",
            "-p",
            "unisem_conformance",
        ]
        command += [f"--conformance-store={store}", f"--conformance-log={log}"]
        command += [f"--conformance-timeout={timeout}", *present]
        paths = [str(_PLUGIN), str(core), str(_ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            command, cwd=core, env=environment, capture_output=True, text=True, check=False
        )
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    if not lines or done.returncode >= _INTERNAL_ERROR or done.returncode < 0:
        raise ConformanceError(
            f"pytest did not run (exit {done.returncode}):\n{(done.stdout + done.stderr)[-3000:]}"
        )
    found: dict[str, Outcome] = {}
    for line in lines:
        outcome = Outcome(**json.loads(line))
        if found.get(outcome.test, outcome).outcome != "failed" or outcome.outcome == "failed":
            found[outcome.test] = outcome  # a failing teardown counts after a passing call
    return found
