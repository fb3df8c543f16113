"""What is loaded as a reranker, and what is refused before anything of it runs."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkpoints import (
    save_chat_cross_encoder,
    save_clip,
    save_picture_cross_encoder,
    save_text_cross_encoder,
    save_two_towers,
)
from tests.support.networks import without_weights
from unisem import Record, load_encoder
from unisem.errors import EncoderError, RerankerError
from unisem.rerank import load_reranker
from unisem.rerank.cross_modal import CrossModalReranker


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return save_text_cross_encoder(tmp_path / "model")


def test_a_reranker_of_our_own_is_known_by_its_directory(tmp_path: Path) -> None:
    from tests.rerank.cross_modal.support import picture, save_random

    model = save_random(tmp_path / "own", load_encoder("mini"))
    reranker = load_reranker(model, batch_size=2)
    assert isinstance(reranker, CrossModalReranker)
    records = [Record(id=str(n), image=picture("red", n)) for n in range(3)]
    expected = CrossModalReranker(str(model), model).score("red", None, records)
    np.testing.assert_allclose(reranker.score("red", None, records), expected, atol=1e-5)
    assert load_reranker(model, encoder=load_encoder("mini"))
    with pytest.raises(EncoderError, match=r"of UniSem's own.*load_reranker"):
        load_encoder(str(model))
    with pytest.raises(ValueError, match="has no activation and no max_length"):
        load_reranker(model, activation="sigmoid", max_length=8)


class _Payload:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def test_pickled_weights_are_refused_unread(directory: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(_Payload(trace)))
    with pytest.raises(RerankerError, match=r"only pytorch_model\.bin.*save_pretrained"):
        load_reranker(directory)
    assert not trace.exists()


def test_a_pickled_part_beside_safe_ones_is_refused(directory: Path, tmp_path: Path) -> None:
    part = directory / "1_Dense"
    part.mkdir()
    (part / "pytorch_model.bin").write_bytes(pickle.dumps(_Payload(tmp_path / "it ran")))
    with pytest.raises(RerankerError, match=r"parts without.*1_Dense/pytorch_model\.bin"):
        load_reranker(directory)
    (part / "pytorch_model.bin").unlink()
    (directory / "training_args.bin").write_bytes(b"a trainer leaves these beside the weights")
    assert np.isfinite(load_reranker(directory).score("a", None, [Record(text="red")])).all()


def test_an_encoder_is_no_reranker(tmp_path: Path) -> None:
    with pytest.raises(RerankerError, match=r"is a SentenceTransformer.*load_encoder"):
        load_reranker(save_two_towers(tmp_path / "towers"))
    (tmp_path / "clip").mkdir()
    with pytest.raises(RerankerError, match=r"no head that scores a pair.*CLIPModel"):
        load_reranker(save_clip(tmp_path / "clip"))


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("text", "classifier"),
        ("text", "bert.pooler"),
        ("chat", "lm_head"),
        ("picture", "model.multi_modal_projector"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(tmp_path: Path, kind: str, start: str) -> None:
    save = {
        "text": save_text_cross_encoder,
        "chat": save_chat_cross_encoder,
        "picture": save_picture_cross_encoder,
    }[kind]
    model = save(tmp_path)
    from safetensors import safe_open

    with safe_open(model / "model.safetensors", framework="numpy") as file:
        names = [name for name in file.keys() if start.split(".")[-1] in name]  # noqa: SIM118
    without_weights(model, names[0].rpartition(".")[0])
    with pytest.raises(RerankerError, match="is not whole: its files lack"):
        load_reranker(model).score("a", None, [Record(text="red")])


def test_a_classifier_of_several_labels_is_no_reranker(tmp_path: Path) -> None:
    reranker = load_reranker(save_text_cross_encoder(tmp_path, labels=3))
    with pytest.raises(RerankerError, match="gives 3 labels"):
        reranker.score("a", None, [Record(text="red")])


def test_a_model_with_code_of_its_own_is_refused(directory: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    (directory / "mine.py").write_text(f"import os; os.mkdir({str(trace)!r})\n")
    config = (directory / "config.json").read_text()
    own = '{"auto_map": {"AutoConfig": "mine.C", "AutoModelForSequenceClassification": "mine.M"},'
    config = config.replace("{", own, 1).replace('"model_type": "bert"', '"model_type": "mine"')
    (directory / "config.json").write_text(config)
    with pytest.raises(RerankerError, match="needs code of its own"):
        load_reranker(directory).score("a", None, [Record(text="red")])
    assert not trace.exists()


def test_damaged_files(directory: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(directory, tmp_path / "broken"))
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(RerankerError, match="does not load"):
        load_reranker(broken).score("a", None, [Record(text="red")])
    (directory / "config.json").write_text("{")
    with pytest.raises(RerankerError, match=r"damaged config\.json"):
        load_reranker(directory)


@pytest.mark.parametrize("name", ["mini", "./nowhere", "a/b/c"])
def test_no_such_model(name: str) -> None:
    with pytest.raises(RerankerError, match=r"no reranker .*pass an existing directory"):
        load_reranker(name)


def test_a_hub_model_is_not_fetched_if_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(RerankerError, match="not in the local cache"):
        load_reranker("nobody-of-that-name/no-such-reranker", local_only=True)


def test_naming_a_reranker_imports_no_torch(directory: Path) -> None:
    program = (
        "import sys; from unisem.rerank import load_reranker\n"
        f"load_reranker({str(directory)!r})\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
