"""A graph goes with an export, and a damaged one is refused whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.list_store import ListKind
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.app import application
from unisem.errors import ExchangeError
from unisem.exchange import export_space, import_space
from unisem.graph import Entity, Mention, Relation


@pytest.fixture
def exported(tmp_path: Path, space: SemanticSpace) -> Path:
    space.add([Record(id="a", text="a man plays")])
    space.graph.add(
        [Entity("banjo", "Banjo", ("five-string",), "thing", {"strings": 5})],
        [
            Relation("banjo", "broader", "instrument", 0.5),
            Relation("man", "plays", "banjo", record_id="a", properties={"page": 3}),
        ],
        [Mention("a", "banjo", 0.25)],
    )
    export_space(space, tmp_path / "out")
    return tmp_path / "out"


def test_there_and_back(exported: Path, space: SemanticSpace, encoder: ToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder) as other:
        report = import_space(exported, other)
        assert report.graph is not None
        assert (report.graph.relations, report.graph.homeless) == (2, 0)
        for one, copy in ((space, other),):
            assert list(copy.graph.entities()) == list(one.graph.entities())
            with one.store.graph.reading() as here, copy.store.graph.reading() as there:
                assert list(there.every_relation()) == list(here.every_relation())
                assert list(there.every_mention()) == list(here.every_mention())


def test_what_linking_found_is_known_for_that_after_an_import(
    tmp_path: Path, exported: Path, space: SemanticSpace, encoder: ToyEncoder
) -> None:
    del exported
    assert space.graph.link_records().mentions == 1
    export_space(space, tmp_path / "linked")
    with SemanticSpace.open(None, encoder=encoder) as other:
        import_space(tmp_path / "linked", other)
        assert {it.entity.id for it in other.graph.mentioned_by("a")} == {"banjo", "man"}
        other.add([Record(id="a", text="a red car")])
        assert {it.entity.id for it in other.graph.mentioned_by("a")} == {"banjo"}


def test_importing_says_that_names_have_no_vectors(
    tmp_path: Path, exported: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.encoders.load_encoder", lambda *_, **__: encoder)
    asked = ["store", "import", str(exported), "--into", str(tmp_path / "new.unisem")]
    result = CliRunner().invoke(application(), asked)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "the graph's names have no vectors here" in said
    assert "--images` makes them" in said


def test_a_store_without_a_graph_takes_the_records(exported: Path, encoder: ToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder, store=ListKind()) as other:
        report = import_space(exported, other)
        assert (report.records, report.graph) == (1, None)
        assert "keeps no knowledge graph" in report.skipped[0].reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines, '{"record": {}}'], "line 7: an entity, a relation or a mention"),
        (lambda lines: [*lines, lines[0]], "line 7: an entity, a relation or a mention"),
        (lambda lines: ['{"entity": {"id": "x"}}', *lines], "line 1: .*name"),
        (lambda lines: ['{"entity": {"id": "x", "name": 3}}', *lines], "must be a string"),
        (lambda lines: ['{"entity": ["x"]}', *lines], "line 1: "),
    ],
)
def test_a_line_that_is_none_is_named_and_nothing_is_added(
    exported: Path, encoder: ToyEncoder, change: Callable[[list[str]], list[str]], message: str
) -> None:
    path = exported / "graph.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    path.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    info = json.loads((exported / "export.json").read_text(encoding="utf-8"))
    data = path.read_bytes()
    info["files"]["graph.jsonl"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (exported / "export.json").write_text(json.dumps(info), encoding="utf-8")
    with SemanticSpace.open(None, encoder=encoder) as other:
        with pytest.raises(ExchangeError, match=message):
            import_space(exported, other)
        assert len(other.graph) == 0
