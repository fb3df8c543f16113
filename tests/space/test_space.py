"""The front door: opening, adding, folders, searching, moving."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from langchain_unisem import UniSemRetriever, UniSemVectorStore
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.errors import (
    CorruptStoreError,
    EncoderError,
    EncoderMismatchError,
    ImageError,
    RecordError,
    StoreError,
)
from unisem.filters import Field
from unisem.stores.faiss.kind import FaissKind
from unisem.stores.selection import Selection


def test_readme_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    solid("red").save("tiger.png")
    space = SemanticSpace.open("photos.unisem", encoder=ToyEncoder())
    record = Record(id="a", text="a tiger", image="tiger.png", metadata={"year": 2024})
    assert space.add([record]) == ["a"]
    hits = space.search(text="a red card", k=5)
    assert hits[0].record.text == "a tiger"
    assert hits[0].record.image is not None
    assert hits[0].record.image.path == tmp_path / "tiger.png"
    assert isinstance(hits[0].score, float)
    assert space.get(["a", "b"]) == [hits[0].record, None]
    assert len(space) == 1
    assert space.delete(["a", "b"]) == 1
    assert len(space) == 0
    space.close()


def test_folder_then_text_picture_and_composed_queries(card_space: SemanticSpace) -> None:
    assert len(card_space) == 7
    assert card_space.search(text="red", k=1)[0].record.id == "cards/red.png"
    hit = card_space.search(image=solid("blue"), k=1, match="image")[0]
    assert (hit.record.id, hit.matched) == ("cards/blue.png", "image")
    found = card_space.search(text="red", image=solid("blue"), k=2, match="image")
    assert {hit.record.id for hit in found} == {"cards/red.png", "cards/blue.png"}
    only_text = card_space.search(text="red", image=solid("blue"), k=1, text_weight=1.0)
    assert only_text[0].record.id == "cards/red.png"
    about = card_space.search(text="paper", k=1, modality="text")[0]
    assert (about.record.id, about.matched) == ("cards/about.txt", "text")
    assert all(hit.record.image for hit in card_space.search(text="paper", k=9, modality="image"))


def test_filter_is_inside_the_search(card_space: SemanticSpace) -> None:
    hits = card_space.search(text="red", k=3, filter=Field("file_name") == "white.png")
    assert [hit.record.id for hit in hits] == ["cards/white.png"]


def test_query_by_vector(card_space: SemanticSpace) -> None:
    vector = card_space.embed_query(Query(text="green"))
    by_vector = card_space.search_query(Query(vector=3 * vector, k=2))
    by_text = card_space.search(text="green", k=2)
    assert [hit.record for hit in by_vector] == [hit.record for hit in by_text]
    assert [hit.score for hit in by_vector] == pytest.approx([hit.score for hit in by_text])


def test_a_picture_has_two_vectors_and_is_one_hit(space: SemanticSpace) -> None:
    space.add([Record(id="x", text="blue", image=solid("red"))])
    for text, matched in (("blue", "text"), ("red", "image")):
        hits = space.search(text=text, k=5)
        assert [(hit.record.id, hit.matched) for hit in hits] == [("x", matched)]
        assert hits[0].score > 0.9


def test_an_id_given_twice_keeps_the_last_record_and_only_its_vectors(
    space: SemanticSpace,
) -> None:
    space.add([Record(id="a", text="blue"), Record(id="a", image=solid("red"))])
    hits = space.search(text="blue", k=5)
    assert [(hit.record.id, hit.matched, hit.score < 0.9) for hit in hits] == [("a", "image", True)]


def test_adding_is_all_or_nothing_and_names_the_picture(
    space: SemanticSpace, tmp_path: Path
) -> None:
    solid("red").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(encoded(noise(0))[:300])
    with pytest.raises(ImageError, match=r"bad\.png"):
        space.add([Record(image=tmp_path / "good.png"), Record(image=tmp_path / "bad.png")])
    assert len(space) == 0
    with pytest.raises(TypeError, match=r"unisem\.Record"):
        space.add([{"text": "x"}])  # type: ignore[list-item]
    with pytest.raises(RecordError):
        space.add(Record(id=str(n), text="x" if n < 3 else None) for n in range(5))
    assert len(space) == 0


def test_bytes_become_blobs_once(space: SemanticSpace, tmp_path: Path) -> None:
    data = encoded(noise(0), "JPEG")
    space.add([Record(id="a", image=data), Record(id="b", image=data)])
    blobs = [path for path in (tmp_path / "toy.unisem" / "blobs").rglob("*") if path.is_file()]
    assert [path.suffix for path in blobs] == [".jpg"]
    record = space.get(["b"])[0]
    assert record is not None
    assert record.image is not None
    assert record.image.read_bytes() == data
    assert record.image.mime_type == "image/jpeg"


def test_space_in_memory_keeps_pictures_too(encoder: ToyEncoder) -> None:
    with SemanticSpace.open(None, encoder=encoder) as space:
        space.add([Record(id="a", image=solid("red"))])
        record = space.search(text="red", k=1)[0].record
        assert record.image is not None
        assert record.image.open().getpixel((0, 0)) == (220, 30, 30)


def test_pictures_outside_the_allowed_folders_are_refused(
    tmp_path: Path, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "home" / "cwd")
    outside = tmp_path / "elsewhere.png"
    solid("red").save(outside)
    (tmp_path / "home" / "link.png").symlink_to(outside)
    with SemanticSpace.open(tmp_path / "home" / "s.unisem", encoder=encoder) as space:
        for path in (outside, "../../elsewhere.png", tmp_path / "home" / "link.png"):
            with pytest.raises(ImageError, match="outside the allowed folders"):
                space.add([Record(image=path)])
    with SemanticSpace.open(
        tmp_path / "home" / "s.unisem", encoder=encoder, image_roots=[tmp_path]
    ) as space:
        assert space.add([Record(id="a", image=outside)]) == ["a"]
    with SemanticSpace.open(
        tmp_path / "home" / "s.unisem", encoder=encoder, image_roots=[tmp_path / "home"]
    ) as space:
        record = space.get(["a"])[0]
        assert record is not None
        assert record.image is not None
        with pytest.raises(ImageError, match="outside the allowed folder") as caught:
            record.image.open()
        assert str(tmp_path) not in caught.value.summary
        with pytest.raises(ImageError, match="outside the allowed folders"):
            space.add_folder(tmp_path)


def test_a_picture_stays_confined_to_the_folder_it_was_added_from(
    card_space: SemanticSpace, tmp_path: Path
) -> None:
    solid("red").save(tmp_path / "secret.png")
    record = card_space.get(["cards/red.png"])[0]
    assert record is not None
    assert record.image is not None
    assert record.image.root == tmp_path / "cards"
    (tmp_path / "cards" / "red.png").unlink()
    (tmp_path / "cards" / "red.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ImageError, match="outside"):
        record.image.open()


def test_space_and_pictures_move_together(cards: Path, tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(cards)
    new_home = tmp_path / "new" / "home"
    new_home.mkdir(parents=True)
    shutil.move(cards, new_home / "cards")
    shutil.move(tmp_path / "s.unisem", new_home / "s.unisem")
    encoder = ToyEncoder()
    with SemanticSpace.open(new_home / "s.unisem", encoder=encoder) as space:
        record = space.search(text="red", k=1)[0].record
        assert record.image is not None
        assert record.image.path == new_home / "cards" / "red.png"
        assert record.image.open().size == (40, 30)
        report = space.add_folder(new_home / "cards")
        assert (report.added, report.unchanged) == (0, 7)
        assert encoder.images_encoded == 0


def test_folder_again_encodes_only_what_changed(cards: Path, tmp_path: Path) -> None:
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        seen: list[tuple[int, int]] = []
        report = space.add_folder(cards, progress=lambda done, total: seen.append((done, total)))
        assert (report.added, report.unchanged, report.skipped) == (7, 0, ())
        assert seen[-1][0] <= seen[-1][1]
        encoder.images_encoded = encoder.texts_encoded = 0
        noise(1).save(cards / "red.png")  # other pixels under the same name and caption
        (cards / "blue.txt").write_text("a navy card")
        solid("green").save(cards / "new.png")
        report = space.add_folder(cards)
        assert (report.added, report.unchanged) == (3, 5)
        assert (encoder.images_encoded, encoder.texts_encoded) == (1, 2)  # the new one is a copy
        record = space.get(["cards/blue.png"])[0]
        assert record is not None
        assert record.text == "a navy card"


def test_chunks_that_a_text_no_longer_has_are_removed(cards: Path, space: SemanticSpace) -> None:
    (cards / "long.txt").write_text("\n\n".join(f"{n} " + "word " * 150 for n in range(4)))
    space.add_folder(cards)
    assert len(space) == 7 + 4
    (cards / "long.txt").write_text("short now")
    report = space.add_folder(cards)
    assert (report.added, report.removed) == (1, 4)
    assert len(space) == 7 + 1
    (record,) = [r for r in space.store.select() if r.id.startswith("cards/long")]
    assert (record.id, record.text) == ("cards/long.txt", "short now")


def test_one_bad_picture_among_many_is_skipped_and_reported(
    tmp_path: Path, space: SemanticSpace
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(100):
        noise(n, (8, 8)).save(folder / f"{n:03}.png")
    (folder / "050.png").write_bytes(encoded(noise(0))[:200])
    (folder / "051.png").write_bytes(b"")
    (folder / "052.png").write_text("<html>")
    report = space.add_folder(folder)
    assert report.added == 97
    reasons = {Path(skipped.name).name: skipped.reason for skipped in report.skipped}
    assert set(reasons) == {"050.png", "051.png", "052.png"}
    assert "truncated" in reasons["050.png"]
    assert "empty" in reasons["051.png"]
    assert "not a picture" in reasons["052.png"]


def test_interrupted_folder_keeps_what_was_done_and_resumes(
    tmp_path: Path, encoder: ToyEncoder
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(150):
        noise(n, (8, 8)).save(folder / f"{n:03}.png")

    def interrupt(done: int, total: int) -> None:
        if done >= 96:
            raise KeyboardInterrupt

    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        with pytest.raises(KeyboardInterrupt):
            space.add_folder(folder, progress=interrupt)
        kept = len(space)
        assert 0 < kept < 150
    encoder.images_encoded = 0
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        report = space.add_folder(folder)
        assert (report.added, report.unchanged) == (150 - kept, kept)
        assert encoder.images_encoded == 150 - kept


def test_same_names_in_two_folders_do_not_overwrite_each_other(
    tmp_path: Path, space: SemanticSpace
) -> None:
    for place, colour in (("x", "red"), ("y", "blue")):
        (tmp_path / place / "photos").mkdir(parents=True)
        solid(colour).save(tmp_path / place / "photos" / "1.png")
    assert space.add_folder(tmp_path / "x" / "photos").added == 1
    report = space.add_folder(tmp_path / "y" / "photos")
    assert report.added == 0
    assert "photos/1.png' belongs to x/photos/1.png" in report.skipped[0].reason
    shutil.rmtree(tmp_path / "x")  # moved away: now the id is free for its successor
    assert space.add_folder(tmp_path / "y" / "photos").added == 1


def test_another_encoder_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    SemanticSpace.open(path, encoder=ToyEncoder(seed=0)).close()
    with pytest.raises(EncoderMismatchError, match=r"built with the encoder 'toy-0'.*'toy-1'"):
        SemanticSpace.open(path, encoder=ToyEncoder(seed=1))
    SemanticSpace.open(path, encoder=ToyEncoder(seed=0)).close()
    with pytest.raises(EncoderMismatchError, match="has changed since"):
        SemanticSpace.open(path, encoder=ToyEncoder(dimension=9))


def test_a_hub_model_that_only_a_file_names_is_not_fetched(tmp_path: Path) -> None:
    path = tmp_path / "from_a_stranger.unisem"
    SemanticSpace.open(path, encoder=ToyEncoder()).close()
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("toy-0", "stranger/model"))
    with pytest.raises(EncoderError, match=r"not in the local cache; name it yourself"):
        SemanticSpace.open(path)


def test_opening_what_is_no_space_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file"):
        SemanticSpace.open(tmp_path / "file", encoder=ToyEncoder())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").touch()
    with pytest.raises(CorruptStoreError, match="folder of other things"):
        SemanticSpace.open(tmp_path / "folder", encoder=ToyEncoder())
    with SemanticSpace.open(tmp_path / "s", encoder=ToyEncoder()) as space:
        space.add([Record(id="a", text="a")])
    (tmp_path / "s" / "manifest.json").write_text(
        '{"format": 99, "encoder": "x", "fingerprint": "y"}'
    )
    with pytest.raises(CorruptStoreError, match="format 99"):
        SemanticSpace.open(tmp_path / "s", encoder=ToyEncoder())
    (tmp_path / "s" / "manifest.json").write_text("{")
    with pytest.raises(CorruptStoreError, match="cannot be read"):
        SemanticSpace.open(tmp_path / "s", encoder=ToyEncoder())
    (tmp_path / "s" / "manifest.json").unlink()
    with pytest.raises(CorruptStoreError, match="is missing"):
        SemanticSpace.open(tmp_path / "s", encoder=ToyEncoder())


def test_manifest_says_what_the_space_is(tmp_path: Path) -> None:
    SemanticSpace.open(tmp_path / "s", encoder=ToyEncoder()).close()
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["encoder"] == "toy-0"
    assert manifest["format"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs text, image, or both"),
        ({"text": "x", "k": -1}, "k must be"),
        ({"text": "x", "k": 2.5}, "k must be"),
        ({"text": "x", "modality": "video"}, "modality must be"),
        ({"text": "\ud800"}, "not valid Unicode"),
        ({"text": "x", "match": "caption"}, "match must be"),
        ({"text": "x", "image": b"x", "text_weight": 2}, "text_weight"),
    ],
)
def test_bad_queries(space: SemanticSpace, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space.search(**arguments)  # type: ignore[arg-type]


def test_bad_query_types(space: SemanticSpace) -> None:
    with pytest.raises(TypeError, match="filter must be"):
        space.search(text="x", filter={"year": 2024})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text must be"):
        space.search(text=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list of ids"):
        space.delete("a")
    with pytest.raises(ImageError, match="fetches nothing"):
        space.search(image="http://127.0.0.1/a.png")
    with pytest.raises(TypeError, match=r"list of ids, for example \[.abc.\]"):
        Selection(ids="abc")  # type: ignore[arg-type]


def test_k_of_zero_and_empty_space(space: SemanticSpace, card_space: SemanticSpace) -> None:
    assert card_space.search(text="red", k=0) == []
    with SemanticSpace.open(None, encoder=ToyEncoder()) as empty:
        assert empty.search(text="red") == []
        assert empty.add([]) == []


def test_closed_space_says_so(space: SemanticSpace) -> None:
    space.close()
    space.close()
    for action in (
        lambda: space.add([Record(text="x")]),
        lambda: space.search(text="x"),
        lambda: space.get(["x"]),
        lambda: len(space),
        lambda: space.delete(["x"]),
    ):
        with pytest.raises(StoreError, match="closed"):
            action()


def test_a_copy_is_the_space_and_no_pickle_holds_it(space: SemanticSpace) -> None:
    retriever = UniSemRetriever(space=space, k=1)
    assert copy.deepcopy(retriever).space is copy.deepcopy(space) is space
    documents = UniSemVectorStore(space=space).as_retriever(search_kwargs={"k": 1})
    assert copy.deepcopy(documents).invoke("red") == documents.invoke("red")
    with pytest.raises(TypeError, match="cannot be pickled; pass its place"):
        pickle.dumps(retriever)


def test_threads_share_a_space(space: SemanticSpace) -> None:
    failures: list[BaseException] = []

    def write(start: int) -> None:
        try:
            for n in range(start, start + 20):
                space.add([Record(id=f"r{n}", text=f"word{n}")])
                assert space.search(text=f"word{n}", k=1)[0].record.id == f"r{n}"
                if n % 3 == 0:
                    space.delete([f"r{n}"])
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(space) == 4 * 20 - sum(
        n % 3 == 0 for s in range(4) for n in range(100 * s, 100 * s + 20)
    )


def test_scores_equal_cosine(card_space: SemanticSpace) -> None:
    encoder = card_space.encoder
    query = encoder.encode_texts(["red"], role="query")[0]
    for hit in card_space.search(text="red", k=7):
        vectors = []
        if hit.record.text is not None:
            vectors.append(encoder.encode_texts([hit.record.text])[0])
        if hit.record.image is not None:
            vectors.append(encoder.encode_images([hit.record.image])[0])
        assert hit.score == pytest.approx(max(float(np.dot(query, v)) for v in vectors), abs=1e-6)


def test_a_class_in_place_of_a_kind_of_store_is_named(encoder: ToyEncoder) -> None:
    with pytest.raises(TypeError, match=r"FaissKind\(\)"):
        SemanticSpace.open(None, encoder=encoder, store=FaissKind)  # type: ignore[arg-type]


@pytest.mark.parametrize("format", [True, 1.0, "1", None])
def test_a_format_that_is_no_whole_number_is_refused(
    format: object, tmp_path: Path, encoder: ToyEncoder
) -> None:
    SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder).close()
    manifest = tmp_path / "s.unisem" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": format}))
    with pytest.raises(CorruptStoreError, match=f"format {format!r}"):
        SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder)
