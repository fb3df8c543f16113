"""Relations, mentions and entities from CSV."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from unisem.errors import GraphError
from unisem.graph.sources.tables import GraphTable
from unisem.stores.graph import Entity, Mention, Relation


def table(folder: Path, text: str) -> Path:
    path = folder / "graph.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_header_says_what_rows_are(tmp_path: Path) -> None:
    found = GraphTable(
        table(
            tmp_path,
            "subject,type,object,weight,record\n"
            'banjo,broader,"musical instrument",,\n'
            "fork,used with,knife,0.5,a#1\n"
            '"=cmd|\'/c calc\'!A1",is,"; DROP TABLE entities; --",2,\n',
        )
    )
    assert list(found.relations()) == [
        Relation("banjo", "broader", "musical instrument"),
        Relation("fork", "used with", "knife", 0.5, "a#1"),
        Relation("=cmd|'/c calc'!A1", "is", "; DROP TABLE entities; --", 2.0),
    ]
    assert [*found.entities(), *found.mentions()] == []
    assert list(GraphTable(table(tmp_path, "record;entity\na;banjo\n")).mentions()) == [
        Mention("a", "banjo")
    ]
    entities = GraphTable(table(tmp_path, "id,name,aliases,kind\nb,banjo,five-string | ,thing\n"))
    assert list(entities.entities()) == [Entity("b", "banjo", ("five-string",), "thing")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("banjo,broader,,", "object must not be empty"),
        ("banjo,broader,instrument,heavy", "weight must be a number, not 'heavy'"),
        ("banjo,broader,instrument,-1", "weight must be from 1e-06"),
        ("banjo,broader,instrument,nan", "weight must be from 1e-06"),
        ("banjo,broader,instrument,1,2,3", "more cells than the header"),
        ('"banjo,broader,instrument,1', "never closed"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: str, reason: str) -> None:
    path = table(tmp_path, f"subject,type,object,weight\na,b,c,1\n{row}\n")
    with pytest.raises(GraphError, match=f"graph.csv:3: .*{re.escape(reason)}.*nothing"):
        list(GraphTable(path).relations())


def test_what_is_no_table_of_a_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"no column 'subject' or .*subject,type,object; record"):
        GraphTable(table(tmp_path, "from,to\na,b\n"))
    with pytest.raises(GraphError, match="cannot be read"):
        GraphTable(tmp_path / "absent.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(GraphError, match="is no file"):
        GraphTable(tmp_path / "pipe.csv")
