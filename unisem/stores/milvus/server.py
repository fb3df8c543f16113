"""`Server`: a connection to Milvus; collections of ours, rows in and out, and errors that help."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from unisem.common.lazy import require
from unisem.errors import StoreError
from unisem.records import Vector
from unisem.stores.milvus.address import TOKEN, Address
from unisem.stores.milvus.facts import MOST_FACTS

Row = dict[str, Any]
MOST = 16_384
"""The most rows that Milvus gives for one search."""
MOST_TEXT = 65_535  # bytes of a VARCHAR
OLDEST = (2, 5)
"""Of Milvus; before it there is no search by words."""
_PATIENCE = 60.0  # seconds that a call may take
_CONNECTING = 10.0  # seconds
_SENT = 8 << 20  # bytes of vectors or texts in one request, well under the 64 MiB of a server
_NAMED = 2_000  # primary keys in one request
_PAGE = 256  # rows of a scan that come at a time; each may have 64 KiB
_ANALYZER = {"tokenizer": "standard", "filter": ["lowercase"]}


class Server:
    """One connection, and the collections of one space.

    Args:
        address: Where.
        consistency: Milvus's consistency level of all reads.

    Raises:
        StoreError: It cannot be reached, does not accept the token, or is too old.
    """

    def __init__(self, address: Address, consistency: str = "Strong") -> None:
        require("a space in Milvus", "pymilvus", "unisem[milvus]")
        import pymilvus

        self.address = address
        self._consistency = consistency
        self._within = threading.local()
        self._types = pymilvus.DataType
        self._module = pymilvus
        self._failure: tuple[type[Exception], ...] = (pymilvus.MilvusException,)
        self._client: Any = None
        # What fails is raised here, as one error that says what to do.
        logging.getLogger("pymilvus.decorators").setLevel(logging.CRITICAL)
        with self._asking("connect"):
            self._client = pymilvus.MilvusClient(
                address.endpoint,
                token=address.token(),
                db_name=address.database,
                timeout=_CONNECTING,
                dedicated=True,
            )
            version = str(self._client.get_server_version(timeout=_PATIENCE))
        if address.is_lite:  # which has no moments, of which an iterator would warn each time
            logging.getLogger("pymilvus.client.iterator.query_iterator").setLevel(logging.ERROR)
        elif _numbers(version) < OLDEST:
            raise StoreError(
                f"{address.uri} is Milvus {version}; a space needs {OLDEST[0]}.{OLDEST[1]} or newer"
            )

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def check_open(self) -> None:
        """Refuse to go on after `close`.

        Raises:
            StoreError: It has been closed.
        """
        if self._client is None:
            raise StoreError("this store has been closed; open it again")

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        if what != "connect":
            self.check_open()
        try:
            yield
        except self._failure as error:
            raise StoreError(self._said(what, error)) from error

    def _said(self, what: str, error: Exception) -> str:
        message = str(getattr(error, "message", error))
        remedy = "see the server's log"
        if "auth" in message.lower():
            remedy = f"set {TOKEN} to the server's token, or to user:password"
        elif what == "connect":
            remedy = "start it, or give another address; docs/guides/milvus.md says how"
        elif "not found" in message.lower():
            remedy = "somebody has removed what belongs to the space; import it from an export"
        return f"{self.address.uri}: Milvus did not {what} ({message[:300]}); {remedy}"

    # -- collections ---------------------------------------------------------------------------

    def has_records(self, collection: str) -> bool:
        """Whether there is a collection of records.

        Raises:
            StoreError: It is another program's, or holds something else.
        """
        return self._expected(collection, _RECORDS) is not None

    def dimension_of(self, collection: str) -> int | None:
        """Length of the vectors of a collection of such; ``None`` if there is none.

        Raises:
            StoreError: It is another program's, or holds something else.
        """
        found = self._expected(collection, _VECTORS)
        return None if found is None else int(found["vector"]["dim"])

    def has_vectors(self, collection: str) -> bool:
        """Whether there is a collection of vectors of ours, and not of anything else."""
        return (self._fields(collection) or {}).keys() == _VECTORS.keys()

    def _expected(self, collection: str, expected: dict[str, str]) -> dict[str, Row] | None:
        fields = self._fields(collection)
        if fields is not None and fields.keys() != expected.keys():
            raise StoreError(
                f"{self.address.uri}: the collection {collection} is another program's or another "
                "space's and stays untouched; give the space another name"
            )
        return fields

    def _fields(self, collection: str) -> dict[str, Row] | None:
        """Settings of a collection's fields, by name; ``None`` if there is none."""
        with self._asking(f"describe {collection}"):
            if not self._client.has_collection(collection, timeout=_PATIENCE):
                return None
            found = self._client.describe_collection(collection, timeout=_PATIENCE)["fields"]
        return {field["name"]: field.get("params", {}) for field in found}

    def create_records(self, collection: str) -> None:
        """Make a collection of records, searchable by words."""
        schema = self._schema(_RECORDS)
        bm25 = self._module.FunctionType.BM25
        schema.add_function(self._module.Function("bm25", bm25, ["words"], ["terms"]))
        self._create(collection, schema, "terms", "SPARSE_INVERTED_INDEX", "BM25", {})

    def create_vectors(
        self, collection: str, dimension: int, index: str, settings: dict[str, int]
    ) -> None:
        """Make a collection of vectors, searchable by inner product."""
        schema = self._schema(_VECTORS, dimension)
        self._create(collection, schema, "vector", index, "IP", settings)

    def _schema(self, fields: dict[str, str], dimension: int = 0) -> Any:
        schema = self._module.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        types = self._types
        for name, kind in fields.items():
            match kind:
                case "vector":
                    schema.add_field(name, types.FLOAT_VECTOR, dim=dimension)
                case "terms":
                    schema.add_field(name, types.SPARSE_FLOAT_VECTOR)
                case "number":
                    schema.add_field(name, types.INT64)
                case "order":
                    schema.add_field(name, types.JSON)
                case "facts":
                    schema.add_field(
                        name,
                        types.ARRAY,
                        element_type=types.VARCHAR,
                        max_capacity=MOST_FACTS,
                        max_length=32,
                    )
                case "words":
                    schema.add_field(
                        name,
                        types.VARCHAR,
                        max_length=MOST_TEXT,
                        enable_analyzer=True,
                        analyzer_params=_ANALYZER,
                    )
                case _:
                    length = MOST_TEXT if kind == "text" else 64
                    is_key = kind == "primary"
                    schema.add_field(name, types.VARCHAR, max_length=length, is_primary=is_key)
        return schema

    def _create(
        self,
        collection: str,
        schema: Any,
        field: str,
        index: str,
        metric: str,
        settings: dict[str, int],
    ) -> None:
        indexes = self._module.MilvusClient.prepare_index_params()
        indexes.add_index(field, index_type=index, metric_type=metric, params=settings)
        indexes.add_index("key", index_type="INVERTED")
        if not self.address.is_lite:  # which has no index of arrays
            indexes.add_index("facts", index_type="INVERTED")
        with self._asking(f"make {collection}"):
            self._client.create_collection(
                collection,
                schema=schema,
                consistency_level=self._consistency,
                num_shards=1,
                timeout=_PATIENCE,
            )
            # Loading waits for the indexes; to be told of each would take half a second.
            self._client.create_index(collection, indexes, timeout=_PATIENCE, sync=False)
            self._client.load_collection(collection, timeout=_PATIENCE)

    def drop(self, collection: str) -> None:
        """Remove a collection of vectors.

        Raises:
            StoreError: It is another program's, or holds something else.
        """
        if self.dimension_of(collection) is not None:
            with self._asking(f"remove {collection}"):
                self._client.drop_collection(collection, timeout=_PATIENCE)

    def named(self, prefix: str) -> list[str]:
        """The collections whose names begin so."""
        with self._asking("list collections"):
            found: list[str] = self._client.list_collections(timeout=_PATIENCE)
        return sorted(name for name in found if name.startswith(prefix))

    # -- rows ----------------------------------------------------------------------------------

    def insert(self, collection: str, rows: Sequence[Row], *, replace: bool = False) -> None:
        """Insert rows, in as many requests as their size asks for; or by primary key replace."""
        with self._asking("write"):
            call = self._client.upsert if replace else self._client.insert
            for part in parts_of(rows):
                call(collection, part, timeout=_PATIENCE)

    def remove(self, collection: str, pks: Sequence[str]) -> None:
        """Delete rows by primary key."""
        with self._asking("delete"):
            for start in range(0, len(pks), _NAMED):
                part = list(pks[start : start + _NAMED])
                self._client.delete(collection, ids=part, timeout=_PATIENCE)

    @contextmanager
    def strongly(self) -> Iterator[None]:
        """Within it this thread's reads are ``"Strong"``, as whoever writes must know what is."""
        before = self._within.__dict__.get("strongly", False)
        self._within.strongly = True
        try:
            yield
        finally:
            self._within.strongly = before

    def _level(self) -> str:
        is_strong = self._within.__dict__.get("strongly", False)
        return "Strong" if is_strong else self._consistency

    def count(self, collection: str, expression: str) -> int:
        """How many rows an expression holds for."""
        with self._asking("count"):
            found = self._client.query(
                collection,
                filter=expression,
                output_fields=["count(*)"],
                consistency_level=self._level(),
                timeout=_PATIENCE,
            )
        return int(found[0]["count(*)"])

    def rows(self, collection: str, expression: str, fields: Sequence[str]) -> list[Row]:
        """The rows that an expression holds for, in no order; for few."""
        with self._asking("read"):
            found: list[Row] = self._client.query(
                collection,
                filter=expression,
                output_fields=list(fields),
                consistency_level=self._level(),
                timeout=_PATIENCE,
            )
        return [dict(row) for row in found]

    def among(
        self,
        collection: str,
        field: str,
        values: Sequence[str],
        fields: Sequence[str],
        expression: str = "",
    ) -> Iterator[Row]:
        """The rows that have one of some values, which are digests of ours, in a field.

        Args:
            collection: Which.
            field: Of texts.
            values: Those.
            fields: What of the rows is read.
            expression: What must hold for them besides.
        """
        for start in range(0, len(values), _PAGE):
            part = values[start : start + _PAGE]
            chosen = one_of(field, part)
            chosen = f"{chosen} and {expression}" if expression else chosen
            yield from self.rows(collection, chosen, fields)

    def pages(
        self, collection: str, expression: str, fields: Sequence[str], size: int = _PAGE
    ) -> Iterator[list[Row]]:
        """All rows that an expression holds for, by primary key, some at a time."""
        with self._asking("read"):
            found = self._client.query_iterator(
                collection,
                batch_size=size,
                filter=expression,
                output_fields=list(fields),
                consistency_level=self._level(),
                timeout=_PATIENCE,
            )
        try:
            while True:
                with self._asking("read"):
                    page = [dict(row) for row in found.next()]
                if not page:
                    return
                yield page
        finally:
            found.close()

    def search(
        self,
        collection: str,
        asked: Sequence[Vector] | Sequence[str],
        expression: str,
        limit: int,
        settings: dict[str, int],
        fields: Sequence[str],
    ) -> list[list[Row]]:
        """The best rows of each question, a vector or words; ``score`` is Milvus's."""
        is_words = isinstance(asked[0], str)
        with self._asking("search"):
            found = self._client.search(
                collection,
                data=[it if isinstance(it, str) else it.tolist() for it in asked],
                anns_field="terms" if is_words else "vector",
                filter=expression,
                limit=limit,
                output_fields=list(fields),
                search_params={"metric_type": "BM25" if is_words else "IP", "params": settings},
                consistency_level=self._level(),
                timeout=_PATIENCE,
            )
        # Milvus Lite turns the sign of BM25.
        turn = abs if is_words else float
        return [
            [{**hit["entity"], "score": turn(hit["distance"])} for hit in hits] for hits in found
        ]


_RECORDS = {
    "pk": "primary",
    "key": "name",
    "role": "name",
    "body": "text",
    "pieces": "number",
    "texts": "number",
    "images": "number",
    "facts": "facts",
    "ordered": "order",
    "words": "words",
    "terms": "terms",
}
_VECTORS = {
    "pk": "primary",
    "key": "name",
    "record": "name",
    "kind": "name",
    "facts": "facts",
    "ordered": "order",
    "vector": "vector",
}


def one_of(field: str, values: Sequence[str]) -> str:
    """The expression for rows that have one of some values; none may need quoting."""
    listed = ", ".join(f'"{value}"' for value in values)
    return f"{field} in [{listed}]"


def parts_of(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in parts that are small enough for one request."""
    part: list[Row] = []
    size = 0
    for row in rows:
        bytes_ = 32 * len(row["facts"]) + (
            4 * len(row["vector"]) if "vector" in row else 4 * len(row["body"]) + len(row["words"])
        )
        if part and size + bytes_ > _SENT:
            yield part
            part, size = [], 0
        part.append(row)
        size += bytes_
    if part:
        yield part


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("-")[0].split(".")[:2])
