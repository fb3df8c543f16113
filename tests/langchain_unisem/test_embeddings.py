"""`UniSemEmbeddings` against the encoder that it wraps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import ValidationError

from langchain_unisem import UniSemEmbeddings
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import load_encoder
from unisem.encoders import EncoderOptions, Role
from unisem.errors import EncoderError, ImageError
from unisem.records import Vector


class RoleEncoder(ToyEncoder):
    """Embeds queries otherwise than documents, as e5 and its kin do."""

    def encode_texts(self, texts: Any, role: Role = "document", **options: Any) -> Vector:
        return super().encode_texts([f"{role} {text}" for text in texts], role, **options)


@pytest.fixture
def embeddings(encoder: ToyEncoder) -> UniSemEmbeddings:
    return UniSemEmbeddings(encoder=encoder)


@pytest.fixture
def web_server() -> Iterator[tuple[str, list[str]]]:
    """A loopback server and the requests it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            body = encoded(solid("red"))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_texts_are_the_encoders(encoder: ToyEncoder, embeddings: UniSemEmbeddings) -> None:
    texts = ["a red card", "", "a blue card"]
    rows = embeddings.embed_documents(texts)
    assert np.array_equal(np.array(rows, np.float32), encoder.encode_texts(texts))
    assert {type(number) for row in rows for number in row} == {float}


def test_roles() -> None:
    encoder = RoleEncoder()
    embeddings = UniSemEmbeddings(encoder=encoder)
    query = encoder.encode_texts(["red"], "query")[0]
    document = encoder.encode_texts(["red"], "document")[0]
    assert np.array_equal(np.float32(embeddings.embed_query("red")), query)
    assert np.array_equal(np.float32(embeddings.embed_documents(["red"])[0]), document)
    assert not np.array_equal(query, document)


def test_pictures_of_every_kind(tmp_path: Path, embeddings: UniSemEmbeddings) -> None:
    path = tmp_path / "red.png"
    solid("red").save(path)
    rows = embeddings.embed_images([path, str(path), path.read_bytes(), solid("red")])
    assert all(row == rows[0] for row in rows)
    assert {type(number) for number in rows[0]} == {float}
    assert embeddings.embed_image([str(path), str(path)]) == rows[:2]
    red, blue = embeddings.embed_query("red"), embeddings.embed_query("blue")
    assert np.dot(rows[0], red) > 0.9 > np.dot(rows[0], blue)


def test_nothing_gives_nothing(encoder: ToyEncoder, embeddings: UniSemEmbeddings) -> None:
    assert embeddings.embed_documents([]) == []
    assert embeddings.embed_images([]) == []
    assert embeddings.embed_image([]) == []
    assert encoder.texts_encoded == encoder.images_encoded == 0


async def test_async_twins(tmp_path: Path, embeddings: UniSemEmbeddings) -> None:
    path = str(tmp_path / "red.png")
    solid("red").save(path)
    assert await embeddings.aembed_query("red") == embeddings.embed_query("red")
    assert await embeddings.aembed_documents(["a", "b"]) == embeddings.embed_documents(["a", "b"])
    assert await embeddings.aembed_images([path]) == embeddings.embed_images([path])
    assert await embeddings.aembed_image([path]) == embeddings.embed_image([path])
    assert await embeddings.aembed_documents([]) == await embeddings.aembed_images([]) == []


async def test_async_leaves_the_loop_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, embeddings: UniSemEmbeddings
) -> None:
    path = str(tmp_path / "red.png")
    solid("red").save(path)
    loop_turns = threading.Event()

    def waiting(original: Callable[..., Vector]) -> Callable[..., Vector]:
        def encode(*args: Any, **options: Any) -> Vector:
            assert loop_turns.wait(60), "the event loop stood still"
            return original(*args, **options)

        return encode

    for name in ("encode_texts", "encode_images"):
        monkeypatch.setattr(ToyEncoder, name, waiting(getattr(ToyEncoder, name)))
    for call in (
        embeddings.aembed_query("a"),
        embeddings.aembed_documents(["a"]),
        embeddings.aembed_images([path]),
        embeddings.aembed_image([path]),
    ):
        loop_turns.clear()
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0.05)
        assert not task.done()
        loop_turns.set()
        assert await task


def test_a_url_or_path_given_as_text_is_text(
    tmp_path: Path,
    encoder: ToyEncoder,
    embeddings: UniSemEmbeddings,
    web_server: tuple[str, list[str]],
) -> None:
    url, seen = web_server
    path = tmp_path / "red.png"
    solid("red").save(path)
    for text in (f"{url}/x.png", str(path), "data:image/png;base64,AAAA", f"file://{path}"):
        expected = encoder.encode_texts([text])[0]
        assert np.array_equal(np.float32(embeddings.embed_query(text)), expected)
        assert np.array_equal(np.float32(embeddings.embed_documents([text])[0]), expected)
    assert seen == []
    assert encoder.images_encoded == 0


@pytest.mark.parametrize("method", ["embed_image", "embed_images"])
def test_urls_of_pictures_are_refused(
    embeddings: UniSemEmbeddings, web_server: tuple[str, list[str]], method: str
) -> None:
    url, seen = web_server
    for uri in (
        f"{url}/x.png",
        "HTTPS://example.org/x.png",
        "data:image/png;base64,AA",
        "file:///x",
    ):
        with pytest.raises(ImageError, match="fetches nothing"):
            getattr(embeddings, method)([uri])
    assert seen == []


def test_bad_input(tmp_path: Path, embeddings: UniSemEmbeddings) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    with pytest.raises(ImageError, match=r"bad\.png: is not a picture"):
        embeddings.embed_image([str(bad)])
    with pytest.raises(ImageError, match=r"gone\.png: does not exist"):
        embeddings.embed_images([tmp_path / "gone.png"])
    with pytest.raises(TypeError, match="list of pictures"):
        embeddings.embed_image(str(bad))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list of pictures"):
        embeddings.embed_images(bad)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=r"uris\[0\]: is bytes, not a path; use embed_images"):
        embeddings.embed_image([b"x"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="list of texts"):
        embeddings.embed_documents("abc")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"texts\[1\] must be a string, not int"):
        embeddings.embed_documents(["a", 3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="text must be a string, not NoneType"):
        embeddings.embed_query(None)  # type: ignore[arg-type]


def test_construction(encoder: ToyEncoder) -> None:
    embeddings = UniSemEmbeddings(encoder=encoder, batch_size=8)
    assert embeddings.model == encoder.name
    assert "encoder=" not in repr(embeddings)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        UniSemEmbeddings(encoder=encoder, model_name="x")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="either encoder or model, not both"):
        UniSemEmbeddings(encoder=encoder, model="mini")
    with pytest.raises(ValidationError, match="either encoder or device, dtype, not both"):
        UniSemEmbeddings(encoder=encoder, device="cpu", dtype="float16")
    with pytest.raises(ValidationError, match="instance of Encoder"):
        UniSemEmbeddings(encoder="mini")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        UniSemEmbeddings(encoder=encoder, batch_size=0)
    with pytest.raises(ValidationError, match="float32"):
        UniSemEmbeddings(dtype="int8")  # type: ignore[arg-type]


def test_model_is_loaded_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def load(name: str, *, device: str | None, **options: Any) -> ToyEncoder:
        asked.append((name, device, EncoderOptions(**options)))
        return ToyEncoder()

    monkeypatch.setattr("langchain_unisem.embeddings.unisem.load_encoder", load)
    assert UniSemEmbeddings().model == "mini"
    UniSemEmbeddings(model="some/model", device="cpu", dtype="bfloat16", dimension=64)
    options = EncoderOptions(dtype="bfloat16", dimension=64)
    assert asked == [("mini", None, EncoderOptions()), ("some/model", "cpu", options)]


def test_options_are_the_encoders() -> None:
    asked = UniSemEmbeddings(device="cpu", dimension=16, query_instruction="a picture of ")
    encoder = load_encoder("mini", device="cpu", dimension=16, query_instruction="a picture of ")
    assert asked.embed_query("a tiger") == encoder.encode_texts(["a tiger"], "query")[0].tolist()
    assert UniSemEmbeddings(encoder=encoder).dimension == 16
    with pytest.raises(ValueError, match="either encoder or dimension"):
        UniSemEmbeddings(encoder=encoder, dimension=16)


def test_missing_model_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(EncoderError):
        UniSemEmbeddings(model=str(tmp_path / "none"))


def test_in_another_vector_store(embeddings: UniSemEmbeddings) -> None:
    store = InMemoryVectorStore.from_texts(["a red card", "a blue card"], embeddings)
    assert store.similarity_search("blue", k=1)[0].page_content == "a blue card"
