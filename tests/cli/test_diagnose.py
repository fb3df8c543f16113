"""``unisem diagnose``: findings, files, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.main import get_command

from tests.cli.conftest import Run
from tests.docs.pages import DOCS
from unisem import Record, SemanticSpace
from unisem.cli.app import application


@pytest.fixture
def larger(built: Path) -> Path:
    """The space of cards, with notes."""
    with SemanticSpace.open(built) as space:
        space.add(Record(id=f"n{n}", text=f"a note on card{n}") for n in range(20))
    return built


def test_findings_and_files(run: Run, larger: Path) -> None:
    Path("q.txt").write_text("a red card\n" * 30, encoding="utf-8")
    result = run(
        "diagnose", larger, "--queries", "q.txt", "--report", "page.html", "--json", "found.json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(Path("found.json").read_text("utf-8"))
    problems = [one for one in found["findings"] if one["is_problem"]]
    assert result.stdout.count("problem  ") == len(problems) > 0
    assert result.stdout.count("in order  ") == len(found["findings"]) - len(problems)
    assert result.stdout.count("what to do: ") == sum(bool(f["remedy"]) for f in found["findings"])
    assert found["places"][-1]["queries"] == 30
    assert "UniSem diagnosis" in Path("page.html").read_text("utf-8")
    assert result.stderr.splitlines()[-2:] == ["wrote found.json", "wrote page.html"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.unisem"], "no space at none.unisem"),
        (["SPACE", "--queries", "none.txt"], "none.txt: No such file"),
        (["SPACE", "--queries", "empty.txt"], "empty.txt holds no query"),
        (["SPACE", "--report", "no/page.html"], "there is no folder no"),
    ],
)
def test_errors_are_one_line(run: Run, larger: Path, arguments: list[str], message: str) -> None:
    Path("empty.txt").write_text("", encoding="utf-8")
    result = run("diagnose", *(larger if one == "SPACE" else one for one in arguments))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_a_small_space_is_refused(run: Run, built: Path) -> None:
    result = run("diagnose", built)
    assert result.exit_code == 1
    assert "a diagnosis needs 12 at least" in result.stderr


def test_every_option_is_described() -> None:
    command = get_command(application()).commands["diagnose"]  # type: ignore[attr-defined]
    page = (DOCS / "guides" / "diagnose.md").read_text(encoding="utf-8")
    options = [option for parameter in command.params for option in parameter.opts]
    for option in options:
        if option.startswith("--"):
            assert f"`{option}" in page or f" {option}" in page, option
