"""RDF: what its terms mean, and what is refused before anything is fetched or grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rdflib")

from unisem.errors import GraphError
from unisem.graph.sources.rdf import RECORDS, RdfFile
from unisem.stores.graph import Entity, Mention, Relation

PREFIXES = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix : <http://example.org/things#> .
"""
TURTLE = (
    PREFIXES
    + """
:banjo a skos:Concept ; skos:prefLabel "banjo"@en, "Banjo"@de ; skos:altLabel "plucker"@en ;
    skos:broader :musical_instrument ; skos:inScheme :scheme ; :weighs 2.5 .
:musical_instrument skos:narrower :lute ; skos:prefLabel "Musikinstrument"@de .
:lute rdfs:label "lute" ; skos:related :banjo ; :played_by :bard .
:Rex a :Dog . :Dog rdfs:subClassOf :Animal .
<urn:unisem:record:a%231> dcterms:subject :banjo .
:lute :shown_in <urn:unisem:record:b> .
[] :played_by :bard .
"""
)
T = "http://example.org/things#"
RELATIONS = {
    Relation(T + "banjo", "broader", T + "musical_instrument"),
    Relation(T + "lute", "broader", T + "musical_instrument"),
    Relation(T + "lute", "related", T + "banjo"),
    Relation(T + "lute", "played by", T + "bard"),
    Relation(T + "Rex", "broader", T + "Dog"),
    Relation(T + "Dog", "broader", T + "Animal"),
}
MENTIONS = {Mention("a#1", T + "banjo"), Mention("b", T + "lute")}
ENTITIES = {
    Entity(T + "banjo", "banjo", ("Banjo", "plucker")),
    Entity(T + "musical_instrument", "Musikinstrument"),
    Entity(T + "lute", "lute"),
    Entity(T + "bard", "bard"),
    Entity(T + "Rex", "Rex"),
    Entity(T + "Dog", "Dog"),
    Entity(T + "Animal", "Animal"),
}


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def contents(path: Path) -> tuple[set[Entity], set[Relation], set[Mention]]:
    found = RdfFile(path)
    return (
        {Entity(e.id, e.name, tuple(sorted(e.aliases))) for e in found.entities()},
        set(found.relations()),
        set(found.mentions()),
    )


@pytest.mark.parametrize("form", ["turtle", "nt", "json-ld", "xml"])
def test_every_format_says_the_same(tmp_path: Path, form: str) -> None:
    from rdflib import Graph

    suffix = {"turtle": "ttl", "nt": "nt", "json-ld": "jsonld", "xml": "rdf"}[form]
    path = tmp_path / f"things.{suffix}"
    Graph().parse(data=TURTLE, format="turtle").serialize(path, format=form)
    assert contents(path) == (ENTITIES, RELATIONS, MENTIONS)


def test_names_are_in_the_language_that_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "things.ttl", TURTLE)
    german = {one.id: one for one in RdfFile(path, language="de").entities()}
    assert german[T + "banjo"].name == "Banjo"
    assert set(german[T + "banjo"].aliases) == {"banjo", "plucker"}
    assert german[T + "lute"].name == "lute"


def test_labels_that_no_name_can_be_are_left_out_and_counted(tmp_path: Path) -> None:
    label = "<http://www.w3.org/2000/01/rdf-schema#label>"
    lines = [f'<urn:x:a> {label} "{said}" .' for said in ("x" * 1001, "a\\u0000b", "lute")]
    lines.append(f'<urn:x:long> {label} "{"y" * 2000}" .')
    source = RdfFile(written(tmp_path / "a.nt", "\n".join(lines) + "\n"))
    assert list(source.entities()) == [Entity("urn:x:a", "lute"), Entity("urn:x:long", "long")]
    assert source.unusable == 3


def test_triples_of_an_iri_that_is_too_long_are_left_out_and_counted(tmp_path: Path) -> None:
    label, long = "<http://www.w3.org/2000/01/rdf-schema#label>", f"urn:x:{'y' * 1001}"
    lines = (
        f'<{long}> {label} "lute" .',
        f"<urn:x:a> <urn:x:plays> <{long}> .",
        f"<{RECORDS}r> <urn:x:shows> <{long}> .",
        f"<urn:x:a> <{long}> <urn:x:c> .",
        "<urn:x:a> <urn:x:plays> <urn:x:b> .",
    )
    source = RdfFile(written(tmp_path / "a.nt", "\n".join(lines) + "\n"))
    assert [it.id for it in source.entities()] == ["urn:x:a", "urn:x:b"]
    assert source.unusable == 4
    assert list(source.relations()) == [Relation("urn:x:a", "plays", "urn:x:b")]
    assert list(source.mentions()) == []


def test_triples_come_in_the_same_order_every_time(tmp_path: Path) -> None:
    path = written(tmp_path / "things.ttl", TURTLE)
    assert list(RdfFile(path).relations()) == list(RdfFile(path).relations())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('<http://a> <http://b> "open .', "is no triple"),
        ("<http://a> <http://b> .", "is no triple"),
        ("<http://a> <http://b> <http://c> . more", "is no triple"),
        (f"<http://a> <http://b> <http://{'c' * (1 << 20)}> .", "longer than 1,048,576 bytes"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = written(tmp_path / "a.nt", f"<http://a> <http://b> <http://c> .\n# so far\n{line}\n")
    with pytest.raises(GraphError, match=f"a.nt:3: .*{reason}"):
        list(RdfFile(path).relations())


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.nt"
    path.write_bytes(b'<http://a> <http://b> "\xff" .\n')
    with pytest.raises(GraphError, match=r"a\.nt:1: is no triple"):
        list(RdfFile(path).relations())


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"a\.ttl cannot be read as turtle \(.*line 2"):
        list(RdfFile(written(tmp_path / "a.ttl", "<http://a> <http://b>\n :c .")).relations())
    with pytest.raises(GraphError, match=r"a\.jsonld: is not JSON"):
        list(RdfFile(written(tmp_path / "a.jsonld", "{")).relations())
    with pytest.raises(GraphError, match=r"must end with one of \.nt"):
        RdfFile(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "document",
    [
        {"@context": "https://example.org/context.jsonld", "@id": "urn:a"},
        {"@context": [{}, "file:///etc/passwd"], "@id": "urn:a"},
        {"@context": {"@import": "https://example.org/c"}, "@id": "urn:a"},
        {"@context": {"p": {"@id": "urn:p", "@context": "https://example.org/c"}}, "@id": "urn:a"},
        [{"@graph": [{"@context": ["https://example.org/c"], "@id": "urn:a"}]}],
    ],
)
def test_no_context_is_fetched(
    tmp_path: Path, document: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("somebody fetches")

    monkeypatch.setattr("rdflib.plugins.shared.jsonld.context.source_to_json", fetched)
    path = written(tmp_path / "a.jsonld", json.dumps(document))
    with pytest.raises(GraphError, match=r"context is at .* nothing is fetched"):
        list(RdfFile(path).relations())


def test_what_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = written(tmp_path / "deep.jsonld", '{"urn:p":' * 200 + "1" + "}" * 200)
    with pytest.raises(GraphError, match="deeper than 100"):
        list(RdfFile(deep).relations())
    deeper = written(tmp_path / "deeper.jsonld", "[" * 200_000)
    with pytest.raises(GraphError, match=r"nested deeper|is not JSON"):
        list(RdfFile(deeper).relations())
    bomb = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><r>&b;</r>'
    with pytest.raises(GraphError, match="document type"):
        list(RdfFile(written(tmp_path / "bomb.rdf", bomb)).relations())
    monkeypatch.setattr("unisem.graph.sources.rdf._LARGEST", 10)
    with pytest.raises(GraphError, match="more than the 10 that are read at once; convert"):
        list(RdfFile(written(tmp_path / "large.ttl", TURTLE)).relations())
