"""What the page on the house says of files, nouns and rooms is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.docs.pages import DOCS, ROOT
from tests.test_house_rules import ARROWS

PAGE = (DOCS / "concepts" / "architecture.md").read_text(encoding="utf-8")
DRAWN = (DOCS / "concepts" / "house.mmd").read_text(encoding="utf-8")
NOUNS = re.findall(r"^\| (`[^|]+) \| [^|]+ \| `([\w/.]+)` \|$", PAGE, re.MULTILINE)


def defined_in(path: Path) -> set[str]:
    """Names that a module defines at its top."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_nouns_are_where_it_says() -> None:
    assert len(NOUNS) >= 18
    for nouns, path in NOUNS:
        assert set(re.findall(r"`(\w+)`", nouns)) <= defined_in(ROOT / path), path


def test_files_of_the_walks_are_there() -> None:
    cells = re.findall(r"^\| before: .*\n\|---\|---\|\n\| .* \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(cells) == 4
    for cell in cells:
        for folder, files in re.findall(r"`([\w/]+/)` ([\w, ]+)", cell):
            for name in files.split(", "):
                assert (ROOT / folder / f"{name}.py").is_file(), folder + name


def test_every_room_is_drawn_and_no_other() -> None:
    rooms = set(re.findall(r"^ +(\w+)\[", DRAWN, re.MULTILINE)) - {"lc", "li", "cli"}
    named = set(re.findall(r"\[(langchain_unisem|llama_index_unisem)\]", DRAWN))
    assert rooms | named == {room for room in ARROWS if "." not in room}


def test_drawn_arrows_are_allowed() -> None:
    short = {"lc": "langchain_unisem", "li": "llama_index_unisem"}
    drawn = re.findall(r"^ +(\w+) --> (.*)$", DRAWN, re.MULTILINE)
    assert len(drawn) == DRAWN.count("-->") > 0
    for start, ends in drawn:
        if start != "cli":
            assert set(ends.split(" & ")) <= set(ARROWS[short.get(start, start)].split()), start


def test_the_drawing_is_of_this_plan() -> None:
    drawing = (DOCS / "concepts" / "house.svg").read_text(encoding="utf-8")
    words = re.findall(r"\[([^\]\[]+)\]", DRAWN)
    plain = re.sub(r"<[^>]+>|\s", "", drawing).replace("&#39;", "'")
    assert {text for text in words if re.sub(r"\s", "", text) not in plain} == set()
