"""`RdfFile`: triples and taxonomies from RDF, by rdflib, of this file alone.

Nothing is fetched: not the contexts of JSON-LD, not what an ontology imports. N-Triples are read
line by line, whatever their number; the other formats in one piece, so their size is bounded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from unisem.common.lazy import require
from unisem.errors import GraphError
from unisem.graph.sources.base import GraphSource, opened
from unisem.graph.sources.rdf_terms import (
    Literal,
    Names,
    Triple,
    is_label,
    local_name,
    statements_of,
)
from unisem.stores.graph import MOST_ALIASES, Entity, Mention, Relation, is_name

FORMATS = {
    ".nt": "nt",
    ".ttl": "turtle",
    ".jsonld": "json-ld",
    ".rdf": "xml",
    ".owl": "xml",
    ".skos": "xml",
}
"""What rdflib calls the formats, by suffix."""
RECORDS = "urn:unisem:record:"
"""What the IRI of a record begins with."""

_LARGEST = 32 << 20  # bytes of a file that is read at once; 20 times as much in memory
_LONGEST = 1 << 20  # bytes of a line of N-Triples
_DEEPEST = 100  # of JSON, nested


class RdfFile(GraphSource):
    """A file in N-Triples, Turtle, JSON-LD or RDF/XML; SKOS and RDFS as what they mean.

    ``skos:broader``, ``rdfs:subClassOf`` and ``rdf:type`` say what is broader, ``skos:narrower``
    the reverse. ``skos:prefLabel`` and ``rdfs:label`` give the name, in ``language`` if it is
    there, and with ``skos:altLabel``, in every language, the aliases; an entity without one is
    called by the end of its IRI. Labels that no name can be are left out and counted, and so
    are triples of such an IRI. Any other
    triple between two IRIs is a relation whose type is the end of the predicate's IRI. Numbers,
    other texts and blank nodes are left out.

    Args:
        path: The file; its suffix says what it is in: ``.nt``, ``.ttl``, ``.jsonld``, ``.rdf``.
        language: Of the names, as in ``"en"``.
        records: What the IRIs of records begin with: ``<urn:unisem:record:a> dcterms:subject
            <…banjo>`` says that the record ``a`` is about a banjo.

    Raises:
        GraphError: The suffix is another one; later, if the file is broken, or would have
            something fetched.
        MissingImportError: rdflib is not installed; ``pip install "unisem[graph]"``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, language: str = "en", records: str = RECORDS
    ) -> None:
        require("unisem.graph.sources.RdfFile", "rdflib", "unisem[graph]")
        self._path = Path(path)
        self._language = language.casefold()
        self._records = records
        self._unusable = 0
        suffix = self._path.suffix.casefold()
        if suffix not in FORMATS:
            raise GraphError(f"{path} must end with one of {', '.join(FORMATS)}, not {suffix!r}")
        self._format = FORMATS[suffix]

    def entities(self) -> Iterator[Entity]:
        """Everything that has a label or stands in a relation; all names are held in memory."""
        known: dict[str, Names | None] = {}
        self._unusable = left_out = 0
        for triple in self._triples():
            if isinstance(triple.object, Literal):
                if is_label(triple.predicate):
                    if not is_name(triple.subject):
                        left_out += 1
                        continue
                    names = known.get(triple.subject) or Names()
                    known[triple.subject] = names
                    names.hear(triple.predicate, triple.object, self._language)
                continue
            try:
                found = list(statements_of(triple, self._records))
            except GraphError:  # an IRI that is too long
                left_out += 1
                continue
            for said in found:
                ends = (
                    (said.entity_id,) if isinstance(said, Mention) else (said.subject, said.object)
                )
                for end in ends:
                    known.setdefault(end, None)
        self._unusable = left_out + sum(heard.unusable for heard in known.values() if heard)
        for iri, heard in known.items():
            if not iri.startswith(self._records):
                yield self._entity(iri, heard or Names())

    @property
    def unusable(self) -> int:
        """Labels and triples that `entities` left out: over 1,000 characters, or not to keep."""
        return self._unusable

    def relations(self) -> Iterator[Relation]:
        """Triples between entities."""
        for one in self._statements():
            if isinstance(one, Relation):
                yield one

    def mentions(self) -> Iterator[Mention]:
        """Triples between a record and an entity, either way round."""
        for one in self._statements():
            if isinstance(one, Mention):
                yield one

    def _statements(self) -> Iterator[Relation | Mention]:
        for triple in self._triples():
            if not isinstance(triple.object, Literal):
                with suppress(GraphError):  # which `entities` counts
                    yield from list(statements_of(triple, self._records))

    def _entity(self, iri: str, names: Names) -> Entity:
        name = names.best[2] if names.best else next(iter(names.others), local_name(iri))
        return Entity(iri, name, tuple(one for one in names.others if one != name)[:MOST_ALIASES])

    def _triples(self) -> Iterator[Triple]:
        if self._format == "nt":
            with opened(self._path) as file:
                yield from self._lines(file)
            return
        with opened(self._path, largest=_LARGEST) as file:
            data = file.read(_LARGEST + 1)
        yield from self._parsed(data)

    def _lines(self, file: BinaryIO) -> Iterator[Triple]:
        from rdflib.exceptions import ParserError
        from rdflib.plugins.parsers.ntriples import W3CNTriplesParser

        sink = _Sink()
        parser = W3CNTriplesParser(sink)  # type: ignore[arg-type]
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            where = f"{self._path}:{number}"
            if len(line) == _LONGEST:
                raise GraphError(f"{where}: is longer than {_LONGEST:,} bytes; it is no triple")
            try:
                parser.parsestring(line.decode())
            except (ParserError, ValueError) as error:  # UTF-8 as well, and escapes of no character
                raise GraphError(
                    f"{where}: is no triple ({str(error)[:200]}); nothing of the file is added"
                ) from None
            yield from sink.taken()

    def _parsed(self, data: bytes) -> list[Triple]:
        from rdflib import Graph

        checks: dict[str, Callable[[bytes], None]] = {"json-ld": _check_json, "xml": _check_xml}
        check, graph, sink = checks.get(self._format), Graph(), _Sink()
        try:
            if check is not None:
                check(data)
            graph.parse(data=data, format=self._format, publicID="urn:unisem:file:")
        except GraphError as error:
            raise GraphError(f"{self._path}: {error}") from None
        except Exception as error:  # noqa: BLE001 - rdflib's parsers raise what they meet
            told = " ".join(str(error).split())[:300]
            raise GraphError(
                f"{self._path} cannot be read as {self._format} ({told}); nothing of it is added"
            ) from None
        for one in graph:
            sink.triple(*one)
        return sorted(sink.taken(), key=repr)  # rdflib's order changes from run to run


class _Sink:
    """What rdflib's parser gives triples to."""

    def __init__(self) -> None:
        self._found: list[Triple] = []

    def triple(self, subject: Any, predicate: Any, target: Any) -> None:
        """Keep a triple, if it is one of IRIs or ends with a text."""
        from rdflib.term import Literal as Text
        from rdflib.term import URIRef

        if not isinstance(subject, URIRef):
            return
        if isinstance(target, Text):
            said = Literal(str(target), (target.language or "").casefold())
            self._found.append(Triple(str(subject), str(predicate), said))
        elif isinstance(target, URIRef):
            self._found.append(Triple(str(subject), str(predicate), str(target)))

    def taken(self) -> list[Triple]:
        """What was kept since the last time."""
        found, self._found = self._found, []
        return found


def _check_json(data: bytes) -> None:
    """Refuse JSON-LD that would be completed from elsewhere, or is too deep to be walked."""
    try:
        read = json.loads(data)
    except RecursionError:
        raise GraphError(f"is nested deeper than {_DEEPEST}; flatten it") from None
    except ValueError as error:
        raise GraphError(f"is not JSON ({error}); nothing of it is added") from None
    waiting: list[tuple[Any, int]] = [(read, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise GraphError(f"is nested deeper than {_DEEPEST}; flatten it")
        if isinstance(value, dict):
            contexts = value.get("@context", [])
            listed = contexts if isinstance(contexts, list) else [contexts]
            outside = [one for one in (*listed, value.get("@import")) if isinstance(one, str)]
            if outside:
                raise GraphError(
                    f"its context is at {outside[0]!r:.200}, and nothing is fetched; put the "
                    "context itself in its place, or convert the file to N-Triples"
                )
            waiting += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]


def _check_xml(data: bytes) -> None:
    """Refuse entities of XML, which can grow without end or name other files."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise GraphError("is not UTF-8; save it as UTF-8")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise GraphError(
            "has a document type, by which XML defines entities; convert the file to Turtle or "
            "N-Triples (rapper -o ntriples)"
        )
