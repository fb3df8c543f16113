"""A whole space in Milvus: pictures, the frameworks' doors, the command line, exports, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from tests.stores.contract.items import item, query
from tests.stores.milvus.conftest import opened
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.app import application
from unisem.errors import (
    CorruptStoreError,
    EncoderMismatchError,
    ImageError,
    StoreError,
    VectorError,
)
from unisem.exchange import export_space, import_space
from unisem.filters import Field
from unisem.stores.milvus import MilvusKind, MilvusStore
from unisem.stores.milvus.address import Address
from unisem.stores.milvus.server import Server

BLOBS = "memory://pictures/photos"


@pytest.fixture(autouse=True)
def bucket() -> Any:
    MemoryFileSystem.store.clear()
    yield
    MemoryFileSystem.store.clear()


def space_at(place: str, **settings: Any) -> SemanticSpace:
    return SemanticSpace.open(place, encoder=ToyEncoder(), **settings)


def fill(space: SemanticSpace) -> None:
    space.add(
        [
            Record(id="red", text="a red card", image=encoded(solid("red")), source_id="deck"),
            Record(id="old", text="an old tiger", metadata={"year": 1990}),
            Record(id="new", text="a new tiger", metadata={"year": 2020}),
        ]
    )


def test_a_space(place: str) -> None:
    with space_at(place, store=MilvusKind(blobs=BLOBS)) as space:
        fill(space)
    with SemanticSpace.open(f"{place}?blobs={BLOBS}", encoder=ToyEncoder()) as space:
        assert isinstance(space.store, MilvusStore)
        (hit,) = space.search("red", modality="image")
        assert hit.record.image is not None
        assert hit.record.image.open().getpixel((0, 0)) == (220, 30, 30)
        assert hit.record.image.path is None
        found = space.search("tiger", filter=Field("year") > 2000, k=5)
        assert [hit.record.id for hit in found] == ["new"]
        for mode in ("keyword", "hybrid"):
            assert {h.record.id for h in space.search("tiger", k=2, mode=mode)} == {"new", "old"}  # type: ignore[arg-type]
        assert space.search("tiger", diversity=0.5, k=2)
        space.update({"old": {"year": 2021}})
        assert space.delete(filter=Field("year") > 2000) == 2
        with pytest.raises(StoreError, match="export"):
            space.backup("copy")
    with pytest.raises(EncoderMismatchError):
        SemanticSpace.open(place, encoder=ToyEncoder(dimension=9))


def test_pictures_without_a_place_are_refused(place: str, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    picture.write_bytes(encoded(solid("red")))
    with space_at(place, image_roots=[tmp_path]) as space:
        with pytest.raises(StoreError, match="blobs="):
            fill(space)
        assert len(space) == 0
        space.add([Record(id="a", image=picture)])
        (hit,) = space.search(image=picture, k=1)
        assert hit.record.image is not None
        assert hit.record.image.read_verified() == picture.read_bytes()


def test_only_the_picture_that_was_stored_is_given(place: str) -> None:
    kind = MilvusKind(blobs=BLOBS)
    with space_at(place, store=kind) as space:
        fill(space)
        (name,) = [path for path in MemoryFileSystem.store if path.endswith(".png")]
        other = encoded(solid("blue"))
        with MemoryFileSystem().open(name, "wb") as file:
            file.write(other)
        image = space.get(["red"])[0].image  # type: ignore[union-attr]
        assert image is not None
        with pytest.raises(ImageError, match="has changed"):
            image.read_bytes()
        MemoryFileSystem().rm(name)
        with pytest.raises(ImageError, match="does not exist"):
            image.open()
        for bad in ("../../etc/passwd", f"ab/{'0' * 64}.png", "x"):
            facts = {"sha256": "1" * 64, "mime_type": "image/png", "width": 1, "height": 1}
            with pytest.raises(ValueError, match="no picture's name"):
                space.image_library.from_json(json.dumps({"blob": bad, **facts}))


def test_a_damaged_object_is_written_anew(place: str) -> None:
    with space_at(place, store=MilvusKind(blobs=BLOBS)) as space:
        fill(space)
        (name,) = [path for path in MemoryFileSystem.store if path.endswith(".png")]
        data = MemoryFileSystem().cat_file(name)
        MemoryFileSystem().pipe_file(name, data[:-1] + b"?")
        fill(space)
        assert MemoryFileSystem().cat_file(name) == data


def test_pictures_of_a_space_that_is_opened_without_their_place(place: str) -> None:
    with space_at(place, store=MilvusKind(blobs=BLOBS)) as space:
        fill(space)
    with space_at(place) as space:
        image = space.get(["red"])[0].image  # type: ignore[union-attr]
        assert image is not None
        with pytest.raises(ImageError, match=r"\?blobs="):
            image.read_bytes()


def test_an_object_store_that_cannot_be_used(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):
        """As botocore has it."""

    def refused(*_: Any, **__: Any) -> Any:
        raise NoCredentialsError("Unable to locate credentials")

    with space_at(place, store=MilvusKind(blobs=BLOBS)) as space:
        fill(space)
        image = space.get(["red"])[0].image  # type: ignore[union-attr]
        assert image is not None
        for name in ("exists", "size"):
            monkeypatch.setattr(MemoryFileSystem, name, refused)
        with pytest.raises(StoreError, match=r"cannot be used .*Unable to locate credentials"):
            image.read_bytes()
        with pytest.raises(StoreError, match=r"cannot be used .*Unable to locate credentials"):
            fill(space)


def test_a_folder_for_pictures(place: str, tmp_path: Path) -> None:
    with space_at(place, store=MilvusKind(blobs=str(tmp_path / "shared"))) as space:
        fill(space)
        image = space.get(["red"])[0].image  # type: ignore[union-attr]
        assert image is not None
        assert image.path is not None
        assert image.path.is_relative_to(tmp_path / "shared" / "blobs")


def test_exported_and_imported_both_ways(place: str, tmp_path: Path) -> None:
    with space_at(place, store=MilvusKind(blobs=BLOBS)) as space:
        fill(space)
        report = export_space(space, tmp_path / "out")
        assert (report.records, report.vectors, report.images) == (3, 4, 1)
        kept = {one.record.id: one for one in space.store.embedded()}
    assert export_space(f"{place}?blobs={BLOBS}", tmp_path / "again").images == 1
    with space_at(str(tmp_path / "f.unisem")) as there:
        assert import_space(tmp_path / "out", there).records == 3
        export_space(there, tmp_path / "back")
    with space_at(f"{place}_back", store=MilvusKind(blobs=f"{BLOBS}/back")) as back:
        assert import_space(tmp_path / "back", back).records == 3
        for one in back.store.embedded():
            for kind, row in one.vectors.items():
                assert row.tobytes() == kept[one.record.id].vectors[kind].tobytes()
        image = back.get(["red"])[0].image  # type: ignore[union-attr]
        assert image is not None
        assert image.read_verified() == encoded(solid("red"))


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(application(str(arguments[0])), [str(it) for it in arguments])
    assert result.exit_code == code, result.output
    return result


def test_the_command_line(place: str, cards: Path, tmp_path: Path, encoder: ToyEncoder) -> None:
    place = f"{place}?blobs={BLOBS}"
    run("search", place, "a card", code=1)
    assert "7 records" in run("index", cards, "--into", place).stdout
    assert "7 records" in run("index", cards, "--into", place).stdout
    assert "red" in run("search", place, "a red card", "-k", "1").stdout
    stats = json.loads(run("store", "stats", place, "--json").stdout)
    assert stats["store"] == "milvus"
    assert sum(stats["records"].values()) == 7
    assert run("store", "check", place, "--images").stdout == "no problems\n"
    assert "Milvus compacts" in run("store", "compact", place).stdout
    assert "keeps the index" in run("store", "compact", place, "--index", "hnsw", code=2).stderr
    assert "export" in run("store", "backup", place, tmp_path / "copy", code=1).stderr
    assert "exported 7" in run("store", "export", place, tmp_path / "out").stdout
    into = ("--into", place.replace("?", "_new?"))
    assert "imported 7" in run("store", "import", tmp_path / "out", *into).stdout


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("milvus://root:Milvus@host:19530/photos", "UNISEM_MILVUS_TOKEN"),
        ("milvus://host:19530", "names no space"),
        ("milvus://host:19530/pho-tos", "names no space"),
        ("milvus://host:19530/a/b/c", "too many parts"),
        ("milvus://host:19530/photos?secure=1", "only tls=1"),
        ("milvus://host:19530/photos?token=root:Milvus@", "only tls=1"),
        ("milvus:///tmp/photos", r"\*\.db"),
        ("milvus://host:19530/photos_vectors", "another name"),
        ("milvus://host:19530/photos_calibrated_old", "another name"),
    ],
)
def test_addresses_that_are_none(uri: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        SemanticSpace.open(uri)
    assert "Milvus@" not in str(caught.value)


def test_addresses() -> None:
    address = Address.of("milvus://host:443/team/photos?tls=1&blobs=s3://bucket/p")
    assert (address.endpoint, address.database, address.space, address.blobs) == (
        "https://host:443",
        "team",
        "photos",
        "s3://bucket/p",
    )
    assert not address.is_lite
    lite = Address.of("milvus:///a%20b/c.db/photos")
    assert lite.endpoint == "/a b/c.db"
    assert lite.is_lite
    server = Address.of("milvus://my.db/photos")
    assert server.endpoint == "http://my.db:19530"  # pymilvus takes what ends in .db for a file
    assert not server.is_lite


def test_no_server_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.stores.milvus.server._CONNECTING", 0.2)
    with pytest.raises(StoreError, match=r"did not connect .*docs/guides/milvus.md"):
        SemanticSpace.open("milvus://127.0.0.1:9/photos")


def test_an_old_server_and_a_wrong_token(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(Address.of(place))
    error = server._module.MilvusException(1800, "auth check failure, please check api key")
    assert "set UNISEM_MILVUS_TOKEN" in server._said("connect", error)
    server.close()
    monkeypatch.setattr(Address, "is_lite", False)
    monkeypatch.setattr("pymilvus.MilvusClient.get_server_version", lambda *_, **__: "v2.4.9-dev")
    with pytest.raises(StoreError, match=r"2\.4\.9.*needs 2\.5"):
        Server(Address.of(place))


def test_another_programs_collection_is_not_touched(place: str) -> None:
    server = Server(Address.of(place))
    name = server.address.space
    for taken in (name, f"{name}b_vectors"):
        server._client.create_collection(taken, dimension=3)
        server._client.insert(taken, [{"id": 1, "vector": [1.0, 0.0, 0.0]}])
    with pytest.raises(StoreError, match="another program's"):
        opened(place)
    store = opened(f"{place}b")
    with pytest.raises(StoreError, match="another program's"):
        store.add([item("a", 1)])
    store.close()
    for taken in (name, f"{name}b_vectors"):
        assert len(server._client.get(taken, [1])) == 1
    server.close()


def test_another_spaces_collections_are_not_touched(place: str) -> None:
    server = Server(Address.of(place))
    name = server.address.space
    others = [f"{name}_vectors", f"{name}_calibrated_old", f"{name}_calibrated_{'0' * 12}"]
    for other in others:  # as records are kept
        server.create_records(other)
    store = opened(place)
    with pytest.raises(StoreError, match="another space's"):
        store.add([item("a", 1)])
    store.close()
    server._client.drop_collection(others[0])
    server.create_vectors(f"{name}_calibrated_{'1' * 12}", 3, "FLAT", {})
    store = opened(place)
    store.add([item("a", 1)])
    store.calibrate(None)
    assert server.named(f"{name}_calibrated_") == sorted(others[1:])
    store.close()
    server.close()


def test_whoever_writes_reads_all_that_is_there(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(place, MilvusKind(consistency="Eventually"))
    client, levels = store._space.server._client, set()
    for name in ("query", "query_iterator", "search"):
        real = getattr(client, name)

        def watched(*given: Any, real: Any = real, **named: Any) -> Any:
            levels.add(named["consistency_level"])
            return real(*given, **named)

        monkeypatch.setattr(client, name, watched)
    store.add([item("a", 1), item("b", 2)])
    store.add([item("a", 3)])
    store.delete(_only("b"))
    store.calibrate(None)
    store.tidy()
    assert levels == {"Strong"}
    levels.clear()
    assert store.get(["a"]) == [item("a", 3).record]
    assert levels == {"Eventually"}
    store.close()


def test_another_process_begins_with_another_dimension(store: MilvusStore, place: str) -> None:
    other = opened(place)
    store.add([item("a", 1)])
    assert other.dimension == 8
    assert store.delete(_only("a")) == 1
    short = query(0)[:4] / _norm(query(0)[:4])
    store.add([_embedded(Record(id="b", text="x"), [short])])
    assert [hit.record.id for hit in other.search(short[None], 3)[0]] == ["b"]
    assert store.delete(_only("b")) == 1
    store.add([item("c", 1)])
    other.add([item("d", 2)])
    assert len(store) == 2
    other.close()


def test_vectors_are_read_in_parts(store: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [item(f"r{n}", n, picture=n % 2 == 0) for n in range(9)]
    store.add(many)
    ids = [one.record.id for one in many]
    expected = store.vectors(ids)
    monkeypatch.setattr("unisem.stores.milvus.store._VECTORS", 3)
    asked: list[int] = []
    real = store._space.server.among

    def among(collection: str, field: str, values: Any, *given: Any) -> Any:
        if field == "record":
            asked.append(len(values))
        return real(collection, field, values, *given)

    monkeypatch.setattr(store._space.server, "among", among)
    found = store.vectors(ids)
    assert sum(asked) == 9
    assert max(asked) <= 3
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        assert other is not None
        assert {kind: row.tobytes() for kind, row in one.items()} == {
            kind: row.tobytes() for kind, row in other.items()
        }


def test_a_store_is_somewhere() -> None:
    for where in (None, Path("photos.unisem")):
        with pytest.raises(StoreError, match="URI"):
            SemanticSpace.open(where, store="milvus", encoder=ToyEncoder())
    with pytest.raises(StoreError, match="no index 'tree'"):
        SemanticSpace.open("milvus:///tmp/x.db/y", index="tree", encoder=ToyEncoder())


def test_of_any_length(store: MilvusStore) -> None:
    long = Record(
        id="x" * 100_000 + "\"'\\",
        text="word " * 40_000 + "zebra",
        metadata={"large": "é" * 70_000},
        payload={"more": list(range(30_000))},
    )
    many = [query(n) for n in range(300)]
    store.add([item("a", 1), _embedded(long, many)])
    assert store.get([long.id]) == [long]
    assert [hit.record.id for hit in store.search_words("zebra", 3)] == [long.id]
    found = store.vectors([long.id])[0]
    assert found is not None
    assert found["text"].shape == (300, 8)
    assert store.delete(_only(long.id)) == 1
    assert store.tidy() == 0
    assert len(store) == 1


def test_words_without_case_and_diacritics_and_spaces(store: MilvusStore) -> None:
    texts = {"a": "Äpfel und Straße", "b": "黒猫が東京都にいる", "c": "京東", "d": "a\0zebra"}
    store.add([_embedded(Record(id=name, text=text), [query(0)]) for name, text in texts.items()])
    for words, expected in {
        "apfel": "a",
        "ÄPFEL": "a",
        "strasse": "a",
        "猫": "b",
        "東京": "b",
        "京都": "b",
        "京東": "c",
        "zebra": "d",
        "apf": "",
    }.items():
        assert "".join(hit.record.id for hit in store.search_words(words, 5)) == expected, words


def test_more_than_milvus_gives_at_once(
    store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([item(f"r{n}", n, picture=n % 2 == 0) for n in range(60)])
    expected = store.search(query(1)[None], 60)
    monkeypatch.setattr("unisem.stores.milvus.finding.MOST", 8)
    assert store.search(query(1)[None], 60) == expected
    assert store.search(query(1)[None], 3)[0] == expected[0][:3]


@pytest.mark.parametrize(
    "index",
    [
        "hnsw",
        *(pytest.param(it, marks=pytest.mark.slow) for it in ("ivf_flat", "ivf_sq8", "autoindex")),
    ],
)
def test_every_index(place: str, index: str) -> None:
    exact, other = opened(place), opened(f"{place}_i", MilvusKind(index=index, effort=1024))
    items = [item(f"r{n}", n, picture=n % 3 == 0) for n in range(80)]
    for store in (exact, other):
        store.add(items)
    for n in range(4):
        found, expected = other.search(query(n)[None], 5)[0], exact.search(query(n)[None], 5)[0]
        assert [(hit.record.id, hit.score) for hit in found] == [
            (hit.record.id, hit.score) for hit in expected
        ]
    exact.close()
    other.close()


def test_an_empty_store_takes_another_dimension(store: MilvusStore) -> None:
    store.add([item("a", 1)])
    other = _embedded(Record(id="b", text="x"), [query(0)[:4] / _norm(query(0)[:4])])
    with pytest.raises(VectorError, match="dimension 4"):
        store.add([other])
    assert store.delete(_only("a")) == 1
    assert store.dimension is None
    store.add([other])
    assert store.dimension == 4


def test_a_damaged_record_is_told(store: MilvusStore, place: str) -> None:
    store.add([item("a", 1), item("b", 2)])
    space = store._space
    head = space.server.rows(space.records, '(role == "record")', ("pk",))[0]["pk"]
    fields = ("pk", "key", "role", "pieces", "texts", "images", "facts", "ordered", "words")
    (row,) = space.server.rows(space.records, f'pk == "{head}"', fields)
    for body in ("[" * 5000, "{"):
        space.server.insert(space.records, [{**row, "body": body}], replace=True)
        with pytest.raises(CorruptStoreError):
            list(store.select())
    assert [finding.area for finding in store.maintenance().check()] == ["records"]
    with store.maintenance().salvage() as salvage:
        assert len(list(salvage)) == salvage.read == salvage.lost == 1


def _embedded(record: Record, rows: list[Any]) -> Any:
    import numpy as np

    from unisem.records import EmbeddedRecord

    return EmbeddedRecord(record, {"text": np.stack(rows)})


def _only(record_id: str) -> Any:
    from unisem.stores.selection import Selection

    return Selection(ids=(record_id,))


def _norm(row: Any) -> float:
    return float((row**2).sum() ** 0.5)
