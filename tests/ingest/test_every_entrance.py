"""Whoever takes a picture in opens, hashes and decodes it once, ahead of the encoder."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents.base import Blob
from llama_index.core.schema import ImageNode
from PIL import Image

from langchain_unisem import ImageBlobParser, ImageFolderLoader
from langchain_unisem import UniSemVectorStore as LangChainStore
from llama_index_unisem import UniSemImageReader
from llama_index_unisem import UniSemVectorStore as LlamaIndexStore
from tests.rerank.cross_modal.support import save_random
from tests.support.checkpoints import save_two_towers
from tests.support.pictures import encoded, noise
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace, load_encoder
from unisem.encoders import Encoder
from unisem.exchange import export_space, import_space
from unisem.images import decoding, reference
from unisem.ingest import intake
from unisem.ingest.token_making import TokenReport
from unisem.records import EmbeddedRecord, Vector
from unisem.rerank.cross_modal import CrossModalReranker

COUNT = 5
Run = Callable[[], object]


class Counts:
    """How often each picture was opened, hashed and decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: Counter[str] = Counter()
        self.hashed: Counter[bytes] = Counter()
        self.decoded: Counter[bytes] = Counter()
        self.prepared = 0
        opener, sha256, decode = (
            reference._open_without_blocking,
            hashlib.sha256,
            decoding.decode_image,
        )

        def counted_open(path: str, flags: int) -> int:
            if os.fspath(path).endswith(".png"):  # captions lie beside them
                self.opened[os.path.basename(path)] += 1
            return opener(path, flags)

        def counted_sha256(data: bytes = b"", **options: Any) -> Any:
            self.hashed[bytes(data)] += 1
            return sha256(data, **options)

        def counted_decode(data: bytes, name: str, **options: Any) -> Image.Image:
            self.decoded[data] += 1
            return decode(data, name, **options)

        monkeypatch.setattr(reference, "_open_without_blocking", counted_open)
        monkeypatch.setattr(hashlib, "sha256", counted_sha256)
        for module in (reference, intake):
            monkeypatch.setattr(module, "decode_image", counted_decode)

    def of(self, data: list[bytes]) -> tuple[list[int], list[int], list[int]]:
        """Opens by file, hashes and decodes by content."""
        hashed, decoded = ([counter[it] for it in data] for counter in (self.hashed, self.decoded))
        return sorted(self.opened.values()), hashed, decoded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "photos"
    found.mkdir()
    for number in range(COUNT):
        noise(number).save(found / f"{number}.png")
        (found / f"{number}.txt").write_text(f"picture number {number}")
    return found


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def vector(space: SemanticSpace) -> Vector:
    return space.encoder.encode_texts(["any"])[0]


def add(space: SemanticSpace, folder: Path) -> Run:
    records = [Record(id=path.name, image=path, text="some") for path in paths(folder)]
    return lambda: space.add(records)


def add_folder(space: SemanticSpace, folder: Path) -> Run:
    return lambda: space.add_folder(folder)


def langchain_images(space: SemanticSpace, folder: Path) -> Run:
    store = LangChainStore(space=space)
    return lambda: store.add_images(paths(folder))


def langchain_documents(space: SemanticSpace, folder: Path) -> Run:
    store, documents = LangChainStore(space=space), ImageFolderLoader(folder).load()
    return lambda: store.add_documents(documents)


def langchain_loader(space: SemanticSpace, folder: Path) -> Run:
    return ImageFolderLoader(folder).load


def langchain_blobs(space: SemanticSpace, folder: Path) -> Run:
    parser = ImageBlobParser(space=space)
    blobs = [Blob.from_path(path) for path in paths(folder)]
    return lambda: [parser.parse(blob) for blob in blobs]


def llama_index_reader(space: SemanticSpace, folder: Path) -> Run:
    return UniSemImageReader(folder).load_data


def import_and_embed(space: SemanticSpace, folder: Path) -> Run:
    return imported(space, folder, copied=False, vectors="renew")


def import_copies_and_embed(space: SemanticSpace, folder: Path) -> Run:
    return imported(space, folder, copied=True, vectors="renew")


def add_embedded(space: SemanticSpace, folder: Path) -> Run:
    row = vector(space)
    items = [
        EmbeddedRecord(Record(id=path.name, image=path), {"image": row}) for path in paths(folder)
    ]
    return lambda: space.add_embedded(items)


def llama_index_store(space: SemanticSpace, folder: Path) -> Run:
    store, row = LlamaIndexStore(space=space), vector(space).tolist()
    nodes = [
        ImageNode(id_=path.name, image_path=str(path), embedding=row) for path in paths(folder)
    ]
    return lambda: store.add(nodes)


def llama_index_store_alone(space: SemanticSpace, folder: Path) -> Run:
    store, row = LlamaIndexStore(), vector(space).tolist()
    nodes = [
        ImageNode(id_=path.name, image_path=str(path), embedding=row) for path in paths(folder)
    ]
    return lambda: store.add(nodes)


def import_with_vectors(space: SemanticSpace, folder: Path) -> Run:
    return imported(space, folder, copied=False, vectors="keep")


def import_copies_with_vectors(space: SemanticSpace, folder: Path) -> Run:
    return imported(space, folder, copied=True, vectors="keep")


def add_folder_again(space: SemanticSpace, folder: Path) -> Run:
    space.add_folder(folder)
    return lambda: space.add_folder(folder)


def imported(space: SemanticSpace, folder: Path, *, copied: bool, vectors: Any) -> Run:
    out = folder.parent / "out"
    with SemanticSpace.open(folder.parent / "old.unisem", encoder=space.encoder) as old:
        old.add_folder(folder)
        export_space(old, out, copy_images=copied)
    return lambda: import_space(out, space, vectors=vectors)


DECODING = [
    add,
    add_folder,
    langchain_images,
    langchain_documents,
    langchain_loader,
    langchain_blobs,
    llama_index_reader,
    import_and_embed,
    import_copies_and_embed,
    import_with_vectors,
    import_copies_with_vectors,
]
NOT_DECODING = [
    add_embedded,
    llama_index_store,
    llama_index_store_alone,
    add_folder_again,
]


@pytest.mark.parametrize("entrance", [*DECODING, *NOT_DECODING])
def test_every_picture_is_opened_hashed_and_decoded_once(
    space: SemanticSpace,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    entrance: Callable[[SemanticSpace, Path], Run],
) -> None:
    monkeypatch.chdir(folder.parent)
    data = [path.read_bytes() for path in paths(folder)]
    run = entrance(space, folder)
    counts = Counts(monkeypatch)
    run()
    once = [1] * COUNT
    assert counts.of(data) == (once, once, once if entrance in DECODING else [0] * COUNT)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_two_towers(tmp_path_factory.mktemp("towers"))))


@pytest.mark.parametrize(
    "entrance",
    [
        add,
        add_folder,
        langchain_images,
        langchain_documents,
        import_and_embed,
        import_copies_and_embed,
        import_with_vectors,
        import_copies_with_vectors,
        add_embedded,
        llama_index_store,
    ],
)
def test_whatever_comes_in_has_its_tokens_if_the_space_was_told(
    tmp_path: Path,
    folder: Path,
    towers: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    entrance: Callable[[SemanticSpace, Path], Run],
) -> None:
    monkeypatch.chdir(tmp_path)
    saved = save_random(tmp_path / "model", towers, side=4, picture_tokens=16)
    judge = CrossModalReranker("m", saved, encoder=towers)
    expected = judge.tokens_of(paths(folder))
    noise(0).save(folder / "copy.png")  # of the same bytes as 0.png
    place = tmp_path / "s.unisem"
    with SemanticSpace.open(place, encoder=towers, tokens_for=str(saved)) as space:
        run = entrance(space, folder)
        made, prepared = watched(monkeypatch, towers)
        run()
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths(folder)]
        kept = judge.stored(place, digests)
        assert len(space) == COUNT + 1
        assert len(kept) == sum(made) == COUNT
        for digest, tokens in zip(digests, expected, strict=False):
            assert kept[digest].tobytes() == tokens.tobytes()
        twins = len(prepared) - COUNT
        # If only tokens are to be made of it, the copy needs none once its twin's are kept.
        tokens_only = entrance in (import_with_vectors, import_copies_with_vectors)
        assert twins in ([0, 1] if tokens_only else [1]), "the reranker takes what is decoded"
        run()
        assert sum(made) == COUNT
        assert space.make_tokens(judge) == TokenReport(present=COUNT)


def watched(monkeypatch: pytest.MonkeyPatch, encoder: Encoder) -> tuple[list[int], list[object]]:
    """How many pictures go through the tower for tokens, call by call; and what is decoded."""
    made, prepared = list[int](), list[object]()
    make, prepare = CrossModalReranker.tokens_of_prepared, encoder.prepare_image

    def counted(self: CrossModalReranker, images: Sequence[Image.Image]) -> Any:
        made.append(len(images))
        return make(self, images)

    def seen(image: Any) -> Image.Image:
        prepared.append(image)
        return prepare(image)

    monkeypatch.setattr(CrossModalReranker, "tokens_of_prepared", counted)
    monkeypatch.setattr(encoder, "prepare_image", seen)
    return made, prepared


def test_the_encoder_prepares_every_picture_once(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder("mini")
    prepare, prepared = encoder.prepare_image, list[object]()

    def counted(image: Any) -> Image.Image:
        prepared.append(image)
        return prepare(image)

    monkeypatch.setattr(encoder, "prepare_image", counted)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder)
        assert len(prepared) == COUNT
        space.add(Record(id=path.name, image=path) for path in paths(folder))
        assert len(prepared) == 2 * COUNT
        rows = encoder.encode_images(paths(folder))
        for path, row in zip(paths(folder), rows, strict=True):
            stored = space.store.vectors([path.name])[0]
            assert stored is not None
            assert stored["image"] == pytest.approx(row, abs=1e-5)


class Watched(ToyEncoder):
    """Waits, in its first call, until as many pictures are ready as will be before it is done."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted = wanted
        self.ready = 0
        self.seen: list[int] = []
        self.changed = threading.Condition()

    def prepare_image(self, image: Any) -> Image.Image:
        decoded = super().prepare_image(image)
        with self.changed:
            self.ready += 1
            self.changed.notify_all()
        return decoded

    def encode_prepared(self, images: Sequence[Image.Image]) -> Vector:
        with self.changed:
            if not self.seen:
                assert self.changed.wait_for(lambda: self.ready >= self.wanted, timeout=60)
            self.seen.append(self.ready)
        return super().encode_prepared(images)


@pytest.mark.parametrize(("entrance", "ahead"), [(add, 64), (add_folder, 33)])
def test_pictures_are_decoded_while_the_encoder_works(
    tmp_path: Path, entrance: Callable[[SemanticSpace, Path], Run], ahead: int
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        noise(number, (8, 8)).save(folder / f"{number:03}.png")
    encoder = Watched(ahead)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        entrance(space, folder)()
        assert len(space) == 100
    assert encoder.seen[0] == ahead  # and no more: what is ready waits in memory
    assert encoder.ready == 100


@pytest.mark.parametrize("vectors", ["keep", "renew"])
def test_an_interrupted_import_keeps_what_was_committed(
    space: SemanticSpace, folder: Path, vectors: Any
) -> None:
    run = imported(space, folder, copied=False, vectors=vectors)
    del run

    def interrupt(done: int, total: int) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_space(folder.parent / "out", space, vectors=vectors, progress=interrupt)
    assert 3 <= len(space) < COUNT
    import_space(folder.parent / "out", space, vectors=vectors)
    assert len(space) == COUNT


def test_a_damaged_picture_leaves_nothing_in_the_space(space: SemanticSpace) -> None:
    damaged = encoded(noise(0))[:600]
    with pytest.raises(ValueError, match="damaged or truncated"):
        space.add([Record(id="a", image=damaged)])
    assert space.path is not None
    assert not list(space.path.rglob("*.png"))
