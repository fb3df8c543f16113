"""WordNet's nouns, on files of its format; the whole dictionary is the benchmark's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unisem.errors import GraphError
from unisem.graph.sources.wordnet import WordNet
from unisem.stores.graph import Entity, Relation

LICENCE = "  1 This software and database is being provided to you\n"
DATA = (
    LICENCE
    + "00000100 06 n 01 device 0 001 ~ 00000200 n 0000 | an instrumentality  \n"
    + "00000200 06 n 02 musical_instrument 0 instrument 0 002 @ 00000100 n 0000 "
    + '+ 00000900 v 0101 | plays music; "an example"  \n'
    + "00000300 06 n 02 banjo 0 five-string_banjo 0 002 @ 00000200 n 0000 "
    + "#p 00000400 n 0000 | has strings  \n"
    + "00000400 06 n 01 Banjo 0 001 @i 00000100 n 0000 | a band  \n"
)
INDEX = (
    LICENCE
    + "banjo n 2 2 @ #p 2 1 00000300 00000400  \n"
    + "device n 1 1 ~ 1 1 00000100  \n"
    + "five-string_banjo n 1 1 @ 1 0 00000300  \n"
    + "instrument n 1 1 @ 1 0 00000200  \n"
    + "musical_instrument n 1 1 @ 1 0 00000200  \n"
)


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text(DATA)
    (tmp_path / "index.noun").write_text(INDEX)
    return tmp_path


def test_synsets_are_entities_and_hypernyms_broader(dictionary: Path) -> None:
    found = WordNet(dictionary)
    assert list(found.entities()) == [
        Entity("wordnet:n00000100", "device", (), "noun", {"gloss": "an instrumentality"}),
        Entity(
            "wordnet:n00000200",
            "musical instrument",
            ("instrument",),
            "noun",
            {"gloss": 'plays music; "an example"'},
        ),
        Entity(
            "wordnet:n00000300", "banjo", ("five-string banjo",), "noun", {"gloss": "has strings"}
        ),
        Entity("wordnet:n00000400", "Banjo", (), "noun", {"gloss": "a band"}),
    ]
    assert list(found.relations()) == [
        Relation("wordnet:n00000200", "broader", "wordnet:n00000100"),
        Relation("wordnet:n00000300", "broader", "wordnet:n00000200"),
        Relation("wordnet:n00000300", "part_of", "wordnet:n00000400"),
        Relation("wordnet:n00000400", "broader", "wordnet:n00000100"),
    ]
    assert list(found.mentions()) == []


def test_with_one_sense_a_word_names_its_commonest_meaning_only(dictionary: Path) -> None:
    names = {one.id[-3:]: one.name for one in WordNet(dictionary, senses=1).entities()}
    assert names == {
        "100": "device",
        "200": "musical instrument",
        "300": "banjo",
        "400": "Banjo (a band)",
    }


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data.noun", "00000500 06 n zz banjo 0 000 | no count"),
        ("data.noun", "00000500 06 n 01 banjo 0 003 @ 00000100 n 0000 | too few"),
        ("data.noun", "00000500 06 n 00 000 | no word"),
        ("index.noun", "banjo n 4 2 @ #p 2 1 00000300"),
        ("index.noun", "banjo"),
    ],
)
def test_a_broken_line_is_named(dictionary: Path, file: str, line: str) -> None:
    with (dictionary / file).open("a") as opened:
        opened.write(line + "\n")
    number = (dictionary / file).read_text().count("\n")
    with pytest.raises(GraphError, match=re.escape(f"{file}:{number}: ")):
        list(WordNet(dictionary, senses=2).entities())


def test_a_directory_without_the_dictionary_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"data\.noun cannot be read"):
        list(WordNet(tmp_path).relations())
    with pytest.raises(ValueError, match="senses must be at least 1"):
        WordNet(tmp_path, senses=0)
