"""The program as a whole: start-up, version, pipes, and text that is made harmless."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Run
from tests.support.pictures import solid
from unisem import __version__
from unisem.cli.app import application
from unisem.cli.filtering import parse_filter
from unisem.cli.terminal import amount
from unisem.common.printable import plain, shortened
from unisem.errors import FilterError
from unisem.filters import matches

ROOT = Path(__file__).parents[2]
_TOY = """
import unisem.space_parts
from tests.support.toy import ToyEncoder
unisem.space_parts.load_encoder = lambda name, **options: ToyEncoder()
from unisem.cli import main
main()
"""


def start(*arguments: object, code: str = _TOY, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def bidirectional(character: str) -> bool:
    """Whether Unicode lists a character as Bidi_Control (PropList.txt)."""
    return character in "\u061c\u200e\u200f" or unicodedata.bidirectional(character) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip


def test_index_and_search_in_processes_of_their_own(cards: Path, tmp_path: Path) -> None:
    index = start("index", cards, "--into", "s.unisem", cwd=tmp_path)
    output, errors = index.communicate(timeout=60)
    assert (index.returncode, errors) == (0, "")
    assert "s.unisem holds 7 records" in output
    search = start("search", "s.unisem", "red", "-k", 1, cwd=tmp_path)
    output, errors = search.communicate(timeout=60)
    assert (search.returncode, errors) == (0, "")
    assert "cards/red.png" in output


_STUCK = """
import threading, time
import unisem.space_parts
from tests.support.toy import ToyEncoder

class Stuck(ToyEncoder):
    def prepare_image(self, image):
        print("begun", flush=True)
        time.sleep(300)  # as long as a large model takes to load

unisem.space_parts.load_encoder = lambda name, **options: Stuck()
from unisem.cli import main
main()
"""


def test_ctrl_c_does_not_wait_for_a_thread_that_is_busy(cards: Path, tmp_path: Path) -> None:
    (cards / "about.txt").unlink()  # a text needs no picture, and may be stored by then
    index = start("index", cards, "--into", "s.unisem", cwd=tmp_path, code=_STUCK)
    assert index.stdout is not None
    assert index.stdout.readline().startswith("begun")
    index.send_signal(signal.SIGINT)
    try:
        _, errors = index.communicate(timeout=60)
    finally:
        index.kill()
    assert index.returncode == 130
    assert "What is done is kept: 0 records in s.unisem." in errors
    assert "Traceback" not in errors


def test_ctrl_c_is_not_lost_where_a_library_swallows_it(cards: Path, tmp_path: Path) -> None:
    swallowing = """
import sqlite3
def call():
    while True:
        time.sleep(0.01)
def swallow():
    database = sqlite3.connect(":memory:")
    database.create_function("wait", 0, call)
    try:
        database.execute("SELECT wait()")
    except sqlite3.OperationalError:
        pass
class Swallowing(Stuck):
    def encode_texts(self, texts, *arguments, **options):
        print("begun", flush=True)
        swallow()
        return super().encode_texts(texts, *arguments, **options)
unisem.space_parts.load_encoder = lambda name, **options: Swallowing()
"""
    code = _STUCK.replace(
        "from unisem.cli import main\n", swallowing + "from unisem.cli import main\n"
    )
    index = start("index", cards, "--into", "s.unisem", cwd=tmp_path, code=code)
    assert index.stdout is not None
    assert index.stdout.readline().startswith("begun")
    time.sleep(1)  # until the main thread is in the text's encoding
    index.send_signal(signal.SIGINT)
    try:
        _, errors = index.communicate(timeout=60)
    finally:
        index.kill()
    assert index.returncode == 130
    assert "Traceback" not in errors


def test_ctrl_c_ends_an_import_that_embeds(cards: Path, tmp_path: Path) -> None:
    start("index", cards, "--into", "s.unisem", cwd=tmp_path).communicate(timeout=60)
    start("store", "export", "s.unisem", "out", cwd=tmp_path).communicate(timeout=60)
    code = _STUCK.replace(
        "import unisem.space_parts", "import unisem.space_parts, unisem.encoders"
    ).replace(
        "unisem.space_parts.load_encoder =",
        "unisem.space_parts.load_encoder = unisem.encoders.load_encoder =",
    )
    into = ("--into", "new.unisem", "--vectors", "renew")
    importing = start("store", "import", "out", *into, cwd=tmp_path, code=code)
    assert importing.stdout is not None
    assert importing.stdout.readline().startswith("begun")
    importing.send_signal(signal.SIGINT)
    try:
        _, errors = importing.communicate(timeout=60)
    finally:
        importing.kill()
    assert importing.returncode == 130
    assert "Traceback" not in errors


def test_ctrl_c_while_libraries_are_loading_is_quiet(tmp_path: Path) -> None:
    code = """
import sys

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Slow())
from unisem.cli import main
main()
"""
    program = start("search", "s.unisem", "red", cwd=tmp_path, code=code)
    _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (130, "")


def test_a_closed_pipe_is_quiet(cards: Path, tmp_path: Path) -> None:
    start("index", cards, "--into", "s.unisem", cwd=tmp_path).communicate(timeout=60)
    for option in ("--match=any", "--json"):
        search = start("search", "s.unisem", "red", option, cwd=tmp_path)
        assert search.stdout is not None
        assert search.stderr is not None
        search.stdout.close()
        assert search.stderr.read() == ""
        search.stderr.close()
        assert search.wait(timeout=60) == 1


def test_starting_up_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom unisem.cli.app import application\napplication()\n"
        "heavy = {'torch', 'faiss', 'sentence_transformers', 'jinja2', 'numpy', 'PIL',"
        " 'langchain_core', 'llama_index'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    output, errors = start(code=code).communicate(timeout=60)
    assert (output, errors) == ("[]\n", "")


MARKS = "\u200e1\u200f\u061c2\u202e\u2066\x1b[31m"


def test_no_place_of_the_program_prints_marks_that_turn_the_line(run: Run, tmp_path: Path) -> None:
    cards = tmp_path / f"cards{MARKS}"
    cards.mkdir()
    solid("red").save(cards / f"red{MARKS}.png")
    (cards / f"red{MARKS}.txt").write_text(f"red {MARKS}card", encoding="utf-8")
    (cards / f"bad{MARKS}.png").write_bytes(b"no picture")
    space, out = f"s{MARKS}.unisem", f"out{MARKS}"
    printed = ""
    for arguments in (
        ("index", cards, "--into", space),
        ("search", space, "red"),
        ("search", space, "red", "--html", f"{MARKS}.html"),
        ("search", space, "red", "--image", f"absent{MARKS}.png"),
        ("search", f"absent{MARKS}.unisem", "red"),
        ("search", space, "red", f"--nothing{MARKS}"),
        ("search", space, "red", "--filter", f"{MARKS}"),
        ("search", space, "red", f"another{MARKS}"),
        (f"nothing{MARKS}",),
        (f"--nothing{MARKS}",),
        ("store", "stats", space),
        ("store", "check", space, "--images"),
        ("store", "compact", space),
        ("store", "export", space, out),
        ("store", "import", out, "--into", f"new{MARKS}.unisem"),
        ("store", "import", f"absent{MARKS}", "--into", f"new{MARKS}.unisem"),
        ("evaluate", f"absent{MARKS}"),
        ("train", f"absent{MARKS}", "--output", f"model{MARKS}"),
    ):
        result = run(*arguments)
        assert isinstance(result.exception, SystemExit | None), arguments
        printed += result.output
    printed += Path(f"{MARKS}.html").read_text(encoding="utf-8")
    assert "card" in printed
    assert {c for c in printed if bidirectional(c) or c == "\x1b"} == set()


def test_version_and_help(run: Run) -> None:
    assert run("--version").output == f"unisem {__version__}\n"
    for arguments in (["--help"], ["index", "-h"], ["search", "--help"], ["demo", "-h"]):
        result = run(*arguments)
        assert result.exit_code == 0
        assert "Usage: " in result.output
    assert run("nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\r\n\tc", "a b c"),
        ("\x1b]0;title\x07x\x9b2J\x7f", "]0;titlex2J"),
        ("\u202eabc\u2066", "abc"),
        ("".join(c for c in map(chr, range(0x110000)) if bidirectional(c)) + "x", "x"),
        ("na\u00efve 日本 👩‍🚀", "na\u00efve 日本 👩‍🚀"),
        ("\udcff", "\ufffd"),
        ("", ""),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_shortened_and_amount() -> None:
    assert shortened("one two three", 13) == "one two three"
    assert shortened("one two, three", 10) == "one two…"
    assert shortened("x" * 20, 10) == "x" * 9 + "…"
    assert [amount(n, "record") for n in (0, 1, 1204)] == ["0 records", "1 record", "1,204 records"]


@pytest.mark.parametrize(
    ("text", "metadata", "expected"),
    [
        ("a b >= 1.5", {"a b": 2}, True),
        ("day>=2024-01-01", {"day": "2024-02-01"}, True),
        ("x=null", {"x": None}, True),
        ("x=NaN", {"x": "NaN"}, True),
        ("x=[1]", {"x": "[1]"}, True),
        ('x="true"', {"x": True}, False),
        ("x==true", {"x": True}, True),
        ("x!=1", {}, True),
        ("x~OR", {"x": "colour for"}, True),
        ("x~3", {"x": [3, 4]}, True),
        ("x~3", {"x": ["3"]}, True),
        ('x~"3"', {"x": [3]}, False),
        ("x~null", {"x": "Nullarbor"}, True),
    ],
)
def test_parse_filter(text: str, metadata: dict[str, object], expected: bool) -> None:
    assert matches(parse_filter(text), metadata) is expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("x=>3", "write >="), ("x =< 3", "write <="), ("x=!3", "write !="), ("x =~ a", "write ~")],
)
def test_an_operator_that_is_turned_round_is_no_value(text: str, remedy: str) -> None:
    with pytest.raises(FilterError, match=remedy):
        parse_filter(text)
    for meant in ('x = ">3"', "x = >3"):  # with a space, or in quotes, it is the text
        assert matches(parse_filter(meant), {"x": ">3"})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_by_the_documented_command(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = CliRunner().invoke(application(), ["--install-completion", shell], prog_name="unisem")
    assert done.exit_code == 0
    scripts = [path for path in tmp_path.rglob("*unisem*") if path.is_file()]
    assert len(scripts) == 1
    assert f"_UNISEM_COMPLETE=complete_{shell}" in scripts[0].read_text()
    asked = {"bash": "COMP_WORDS", "zsh": "_TYPER_COMPLETE_ARGS", "fish": "_TYPER_COMPLETE_ARGS"}
    told = CliRunner().invoke(
        application(),
        [],
        prog_name="unisem",
        env={
            "_UNISEM_COMPLETE": f"complete_{shell}",
            asked[shell]: "unisem index --pru",
            "COMP_CWORD": "2",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    )
    assert "--prune" in told.output
