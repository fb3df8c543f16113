"""How often `unisem search` says that a question is in a language that `mini` does not know.

    apt-get download tuxpaint-stamps-default wordnet-base     # Debian 12; dpkg -x each into words
    python -m benchmarks.language_note words/usr/share

English: the gallery's captions, those of Tux Paint's stamps, WordNet's definitions with their
examples, and its terms of several words. Others: people's translations of the stamps' captions,
which also have single words. None was looked at when the words were chosen that the note goes by.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.table import Table

from unisem.cli.advice import unknown_language
from unisem.search.query import Query

if TYPE_CHECKING:
    from unisem.encoders import Encoder

_GALLERY = Path(__file__).parents[1] / "examples" / "gallery" / "metadata.jsonl"
_LANGUAGES = ("de", "fr", "es", "it", "pt", "nl", "ja", "ru")
_TRANSLATED = re.compile(r"(\w+)\.utf8=(.*)")
_SHOWN = 6


class Mini:
    """What the note asks an encoder for."""

    name = "mini"


def main() -> None:
    """Read, ask, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    stamps = captions(folder / "tuxpaint" / "stamps")
    console, table = Console(width=120), Table("English", "texts", "noted", "share", "such as")
    gallery = [json.loads(line)["text"] for line in _GALLERY.read_text("utf-8").splitlines()]
    for name, texts in {
        "captions of the gallery": gallery,
        "captions of Tux Paint": stamps["en"],
        "WordNet's definitions and examples": list(definitions(folder / "wordnet")),
        "WordNet's terms of several words": list(terms(folder / "wordnet")),
    }.items():
        different = list(dict.fromkeys(texts))
        found = [text for text in different if is_noted(text)]
        share = f"{len(found) / len(different):.4%}"
        such = "; ".join(found[:_SHOWN])
        table.add_row(name, f"{len(different):,}", str(len(found)), share, such)
    console.print(table)
    table = Table("language", "captions", "noted", "single words", "noted")
    for language in _LANGUAGES:
        different = list(dict.fromkeys(stamps[language]))
        single = [text for text in different if len(re.findall(r"[^\W\d_]+", text)) == 1]
        share = sum(map(is_noted, different)) / len(different)
        row = [f"{len(different):,}", f"{share:.2f}", f"{len(single):,}"]
        table.add_row(language, *row, str(sum(map(is_noted, single))))
    console.print(table)


def is_noted(text: str) -> bool:
    """Whether a person who asks this is told so."""
    return bool(unknown_language(Query(text=text), cast("Encoder", Mini())))


def captions(folder: Path) -> dict[str, list[str]]:
    """The stamps' captions by language."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*.txt")):
        first, *others = path.read_text("utf-8", "replace").splitlines() or [""]
        if first:
            found["en"].append(first)
        for line in others:
            if (match := _TRANSLATED.match(line)) and match[2]:
                found[match[1]].append(match[2])
    return found


def definitions(folder: Path) -> Iterator[str]:
    """What WordNet's terms mean, and examples, each by itself."""
    for path in sorted(folder.glob("data.*")):
        for line in path.read_text("latin-1").splitlines():
            if not line.startswith("  "):  # the licence
                gloss = line.split(" | ", 1)[1].strip()
                yield gloss.split(";")[0]
                yield from re.findall(r'"([^"]+)"', gloss)


def terms(folder: Path) -> Iterator[str]:
    """Terms of several words."""
    for path in sorted(folder.glob("index.*")):
        if path.name != "index.sense":
            for line in path.read_text("latin-1").splitlines():
                term = line.split(" ", 1)[0]
                if "_" in term:
                    yield term.replace("_", " ")


if __name__ == "__main__":
    main()
