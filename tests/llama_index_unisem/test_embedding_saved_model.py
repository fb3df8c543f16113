"""A model loaded by name: one tiny CLIP on disk through the whole loading code."""

from __future__ import annotations

import copy
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from llama_index_unisem import UniSemEmbedding
from tests.support.checkpoints import save_clip
from tests.support.pictures import solid
from unisem import load_encoder
from unisem.errors import EncoderMismatchError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


def test_from_dict_pickle_and_deepcopy_rebuild_the_model(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedding = UniSemEmbedding(str(checkpoint), device="cpu", embed_batch_size=3)
    text = embedding.get_text_embedding("a tiger")
    picture = embedding.get_image_embedding(solid("red"))
    assert len(text) == len(picture) == 24
    caplog.clear()
    for rebuilt in (
        UniSemEmbedding.from_dict(embedding.to_dict()),
        pickle.loads(pickle.dumps(embedding)),
        copy.deepcopy(embedding),
    ):
        assert rebuilt.to_dict() == embedding.to_dict()
        assert rebuilt.device == "cpu"
        np.testing.assert_allclose(rebuilt.get_text_embedding("a tiger"), text, atol=1e-6)
        np.testing.assert_allclose(rebuilt.get_image_embedding(solid("red")), picture, atol=1e-6)
    assert not [record for record in caplog.records if "unpickleable" in record.message]
    assert len(pickle.dumps(embedding)) < 10_000, "weights stay behind"


def test_options_are_saved_with_the_model(checkpoint: Path) -> None:
    asked = UniSemEmbedding(str(checkpoint), device="cpu", dimension=8, query_instruction="red ")
    encoder = load_encoder(str(checkpoint), device="cpu", dimension=8, query_instruction="red ")
    wanted = encoder.encode_texts(["a tiger"], "query")[0]
    for one in (
        asked,
        UniSemEmbedding.from_dict(asked.to_dict()),
        UniSemEmbedding(encoder=encoder),
    ):
        np.testing.assert_allclose(one.get_query_embedding("a tiger"), wanted, atol=1e-6)
        assert (one.dimension, one.query_instruction) == (8, "red ")
    with pytest.raises(ValueError, match="loaded already, and not with dimension=9"):
        UniSemEmbedding(encoder=encoder, dimension=9)


def test_a_given_encoder_that_cannot_be_pickled_is_found_again_by_name(checkpoint: Path) -> None:
    embedding = UniSemEmbedding(encoder=load_encoder(str(checkpoint)))
    rebuilt = pickle.loads(pickle.dumps(embedding))
    assert rebuilt.to_dict() == embedding.to_dict()
    assert rebuilt.encoder is not embedding.encoder


def test_from_dict_refuses_other_weights_under_the_same_name(
    checkpoint: Path, tmp_path: Path
) -> None:
    import shutil

    mine = tmp_path / "model"
    shutil.copytree(checkpoint, mine)
    data = UniSemEmbedding(str(mine)).to_dict()
    weights = mine / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(EncoderMismatchError, match="cannot be compared"):
        UniSemEmbedding.from_dict(data)


def test_a_real_model_fetches_no_text_that_looks_like_a_url(checkpoint: Path) -> None:
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/x.png"
        embedding = UniSemEmbedding(str(checkpoint))
        found = embedding.get_text_embedding(url)
        assert embedding.get_text_embedding_batch([url, "a tiger"])[0] == pytest.approx(
            found, abs=1e-5
        )
        embedding.get_query_embedding(url)
    finally:
        server.shutdown()
        server.server_close()
    assert requests == []
