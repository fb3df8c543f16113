"""`OnnxEncoder` gives torch's vectors without torch."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unisem import Encoder, Record, SemanticSpace, load_encoder
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.onnx import OnnxEncoder
from unisem.errors import EncoderError
from unisem.rerank.cross_modal import PatchFeatures, WordVectors

TEXTS = [
    "a tiger in the grass",
    "x",
    "",
    "   ",
    "  Grüße aus 東京,\n12.5 % — naïve café 🐯 ",
    "a [SEP] b [MASK] c [PAD]",
    "word " * 400,
    "東京" * 500,
    "a" * 100_000,
]


@pytest.fixture(scope="module")
def ours() -> Encoder:
    encoder = load_encoder("mini", device="cpu")
    assert isinstance(encoder, OnnxEncoder)
    return encoder


@pytest.fixture(scope="module")
def theirs() -> Encoder:
    return load_encoder("mini", device="cpu", runtime="torch")


@pytest.mark.parametrize("role", ["query", "document"])
def test_texts_are_torchs(ours: Encoder, theirs: Encoder, role: str) -> None:
    given, wanted = (one.encode_texts(TEXTS, role) for one in (ours, theirs))  # type: ignore[arg-type]
    np.testing.assert_allclose(given, wanted, atol=2e-6)


def test_pictures_are_torchs(ours: Encoder, theirs: Encoder) -> None:
    random = np.random.default_rng(3)
    sizes = [(224, 224), (640, 480), (31, 500), (3000, 40), (1, 1)]
    pictures = [
        Image.fromarray(random.integers(0, 255, (height, width, 3), np.uint8))
        for width, height in sizes
    ]
    given, wanted = (one.encode_images(pictures) for one in (ours, theirs))
    np.testing.assert_allclose(given, wanted, atol=5e-6)


def test_neighbours_in_a_batch_change_nothing(ours: Encoder) -> None:
    """Not a bit, so that a service may embed together what comes at the same time."""
    mixed = [*TEXTS, *(" ".join(["a red tiger"] * n) for n in range(1, 9)), TEXTS[0]]
    alone = np.concatenate([ours.encode_texts([text]) for text in mixed])
    for batch_size in (1, 2, 3, 32):
        together = ours.encode_texts(mixed, batch_size=batch_size)
        assert together.tobytes() == alone.tobytes(), batch_size
    random = np.random.default_rng(4)
    pictures = [
        Image.fromarray(random.integers(0, 255, (40 + 9 * n, 64, 3), np.uint8)) for n in range(6)
    ]
    alone = np.concatenate([ours.encode_images([picture]) for picture in pictures])
    for batch_size in (1, 2, 4, 6):
        together = ours.encode_images(pictures, batch_size=batch_size)
        assert together.tobytes() == alone.tobytes(), batch_size


def test_it_is_the_same_encoder_to_a_space(ours: Encoder, theirs: Encoder, tmp_path: Path) -> None:
    assert (ours.name, ours.fingerprint, ours.dimension) == (
        theirs.name,
        theirs.fingerprint,
        theirs.dimension,
    )
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=theirs) as space:
        space.add([Record(id="1", text="a red square")])
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ours) as space:
        assert space.search("a red square", k=1)[0].score == pytest.approx(1, abs=1e-5)


def test_no_torch_is_imported_by_a_search(tmp_path: Path) -> None:
    program = f"""
import sys
from PIL import Image
from unisem import ImageRef, Record, SemanticSpace
red = Image.new("RGB", (64, 64), "red")
red.save({str(tmp_path / "red.png")!r})
with SemanticSpace.open({str(tmp_path / "s.unisem")!r}) as space:
    space.image_library.allow({str(tmp_path)!r})
    space.add([Record(id="1", text="a square")])
    space.add([Record(id="2", image=ImageRef(path={str(tmp_path / "red.png")!r}))])
    assert space.search("red", k=2) and space.search(image=red, k=2)
print(sorted({{"torch", "transformers", "sentence_transformers", "onnx"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_copy_in_another_process_gives_the_same(ours: Encoder) -> None:
    copy = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(copy.encode_texts(TEXTS[:2]), ours.encode_texts(TEXTS[:2]))


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_child_opens_its_own_session(ours: Encoder) -> None:
    wanted = ours.encode_texts(TEXTS[:2])
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(ours.encode_texts(TEXTS[:2])))
    child.start()
    assert receiver.poll(60)
    np.testing.assert_allclose(receiver.recv(), wanted, atol=1e-6)
    child.join()


def test_threads_share_one() -> None:
    encoder = load_encoder("mini", device="cpu")
    alone = load_encoder("mini", device="cpu").encode_texts(TEXTS[:5])
    with ThreadPoolExecutor(8) as pool:
        for given in pool.map(lambda _: encoder.encode_texts(TEXTS[:5]), range(24)):
            np.testing.assert_allclose(given, alone, atol=1e-6)


def test_a_long_text_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder = load_encoder("mini", device="cpu")
    encoder.encode_texts(["word " * 400])
    encoder.encode_texts(["word " * 400])
    assert caplog.text.count("reads 256 tokens of a text") == 1


def test_an_unpaired_surrogate_is_named(ours: Encoder) -> None:
    with pytest.raises(ValueError, match=r"texts\[1\]"):
        ours.encode_texts(["a", "\ud800"])


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL_DIRECTORY, tmp_path / "model"))


def edited(**changes: object) -> Callable[[Path], None]:
    def edit(model: Path) -> None:
        path = model / "onnx" / "unisem_onnx.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def words(**changes: object) -> Callable[[Path], None]:
    known = json.loads((MODEL_DIRECTORY / "onnx" / "unisem_onnx.json").read_text())
    return edited(words=known["words"] | changes)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "format": (edited(format=2), "format 2"),
    "no side": (edited(words=None, pixels=None), "neither"),
    "dimension": (edited(dimension=-1), "dimension is -1"),
    "length": (words(length="many"), "length is 'many'"),
    "no JSON": (lambda m: (m / "onnx/unisem_onnx.json").write_text("{") and None, "damaged"),
    "tokenizer from outside": (words(tokenizer="../../x.json"), "from outside"),
    "tokenizer that is none": (words(tokenizer="config_sentence_transformers.json"), "damaged"),
    "cut graph": (lambda m: _cut(m / "onnx/text.onnx", 0.5), "damaged"),
    "no graph": (lambda m: (m / "onnx/text.onnx").unlink(), "cannot be read"),
    "no weights": (lambda m: (m / "text_0_Transformer/model.safetensors").unlink(), "not whole"),
    "cut weights": (lambda m: _cut(m / "text_0_Transformer/model.safetensors", 0.5), "not whole"),
    "other weights": (
        lambda m: (
            shutil.copy(m / "image_1_Dense/model.safetensors", m / "text_0_Transformer") and None
        ),
        "lacks",
    ),
}


def _cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_one_error_that_names_the_encoder(copied: Path, kind: str) -> None:
    damage, words = DAMAGE[kind]
    damage(copied)
    with pytest.raises(EncoderError, match=words) as raised:
        load_encoder(str(copied), device="cpu").encode_texts(["a"])
    assert str(copied) in str(raised.value)


def test_what_onnxruntime_cannot_do_is_said() -> None:
    with pytest.raises(EncoderError, match='runtime="torch"'):
        load_encoder("mini", runtime="onnx", device="cuda")
    with pytest.raises(ValueError, match="runtime must be"):
        load_encoder("mini", runtime="tensorrt")  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["text_0_Transformer", "image_1_Dense"])
def test_graphs_make_no_pickle_safe(copied: Path, folder: str) -> None:
    (copied / folder / "model.safetensors").rename(copied / folder / "pytorch_model.bin")
    for runtime in (None, "onnx", "torch"):
        with pytest.raises(EncoderError, match="Pickled weights can run code"):
            load_encoder(str(copied), runtime=runtime)  # type: ignore[arg-type]


def test_a_description_without_graphs_leaves_a_model_to_torch(copied: Path) -> None:
    for path in (copied / "onnx").glob("*.onnx"):
        path.unlink()
    assert not isinstance(load_encoder(str(copied), device="cpu"), OnnxEncoder)


def test_who_looks_into_its_towers_shares_one_model(ours: Encoder) -> None:
    patches, words = PatchFeatures(ours), WordVectors(ours)
    assert patches.encoder is words.encoder
    assert patches.encoder.fingerprint == ours.fingerprint
