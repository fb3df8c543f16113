"""`export_onnx`: a model with graphs for onnxruntime beside its weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unisem.encoders.base import Encoder
from unisem.encoders.onnx.description import Description, Words
from unisem.encoders.onnx.encoder import OnnxEncoder
from unisem.encoders.onnx.pixels import Pixels
from unisem.encoders.onnx.quantizing import quantize
from unisem.encoders.onnx.tracing import trace
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import EncoderError
from unisem.images.reference import ImageSource
from unisem.models.finding import GRAPHS, SAFE_FILES, preparation_of
from unisem.models.special_tokens import special_tokens
from unisem.records import Modality, Vector

_TOKENIZER = "onnx/text_tokenizer.json"  # no name that would change the model's fingerprint
_LONGEST = 32_768  # tokens of a text, for a model that knows no limit
_ALIKE = 0.9999  # least cosine between torch's vector of a probe and onnxruntime's
_LIKE = 0.9  # the same, of int8
_TEXTS = (
    "a tiger in the grass",
    "x",
    "  Grüße aus 東京,\n12.5 % — naïve café 🐯 ",
    "The quick brown fox jumps over the lazy dog. " * 3,
)


@dataclass(frozen=True, slots=True)
class Export:
    """What `export_onnx` wrote.

    Attributes:
        directory: The model, with its graphs.
        cosines: By modality, the least cosine between a vector of torch's and one of onnxruntime's,
            over a handful of inputs.
    """

    directory: Path
    cosines: dict[Modality, float]


def export_onnx(
    encoder: Encoder,
    output: str | os.PathLike[str],
    *,
    int8: bool = False,
    pictures: Sequence[ImageSource] = (),
) -> Export:
    """Write a model that onnxruntime runs, without torch.

    It has the files of the model, so that torch runs it as before, and its fingerprint: spaces that
    were made with the one are opened with the other. With ``int8`` it has neither.

    Args:
        encoder: From `load_encoder`, run by torch or not.
        output: The directory to make.
        int8: Quantise: smaller and faster, and the vectors are others. Measure what that costs
            (`unisem.evaluation.evaluate`) before you index anything large.
        pictures: For ``int8`` of a convolutional tower, such as `mini`'s: a hundred examples of
            what is to be indexed.

    Raises:
        EncoderError: The model cannot be exported, gives other vectors than by torch, or there is
            something at ``output``.
    """
    source = _source(encoder)
    final = Path(output)
    if final.exists():
        raise EncoderError(f"{final} is there already; name a directory that is not")
    partial = final.with_name(f".{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy(source.directory, partial)
        (partial / GRAPHS).parent.mkdir(exist_ok=True)
        _write_graphs(source, partial)
        if int8:
            _quantize(partial, [source.prepare_image(picture) for picture in pictures])
        exported = OnnxEncoder(source.name, partial)
        cosines = _cosines(source, exported, _LIKE if int8 else _ALIKE)
        os.replace(partial, final)
    except OSError as error:
        raise EncoderError(f"the encoder cannot be written to {final}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Export(final, cosines)


def _source(encoder: Encoder) -> SentenceTransformerEncoder:
    """The model on a CPU, in float32, as it is to be traced."""
    if isinstance(encoder, OnnxEncoder):
        encoder = encoder.in_torch()
    if not isinstance(encoder, SentenceTransformerEncoder):
        raise EncoderError(
            f"the encoder {encoder.name!r} is a {type(encoder).__name__}: only models that "
            "sentence-transformers loads can be exported"
        )
    if encoder.options.of_vectors:
        raise EncoderError(
            f"the encoder {encoder.name!r} was loaded with "
            f"{encoder.options.in_words(encoder.options.of_vectors)}; export the plain model, and "
            "load what is written with the same options: its vectors, and its fingerprint, are "
            "these"
        )
    if any(encoder.directory.rglob("adapter_config.json")):
        raise EncoderError(
            f"the encoder {encoder.name!r} is an adapter of another model; merge the two "
            "(merge_and_unload of peft), save that, and export it"
        )
    return SentenceTransformerEncoder(encoder.name, encoder.directory, device="cpu")


def _copy(source: Path, target: Path) -> None:
    """Copy a model's files, nothing that runs and no graphs of before."""
    target.mkdir(parents=True)
    for path in sorted(path for pattern in SAFE_FILES for path in source.rglob(pattern)):
        inside = path.relative_to(source)
        if path.is_file() and inside.parts[0] != Path(GRAPHS).parts[0]:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)


def _write_graphs(source: SentenceTransformerEncoder, directory: Path) -> None:
    has_text, has_image = source.supports("text"), source.supports("image")
    description = Description(
        dimension=source.model_dimension,
        words=_words(source, directory) if has_text else None,
        pixels=_pixels(source) if has_image else None,
        preparation=preparation_of(directory).versions,
    )
    if description.words is not None:
        features = source.preprocess_texts(["a tiger in the grass", "a cat"], "document")
        graph = trace(source, "text", features, directory)
        description.graph(directory, "text").write_bytes(graph)
    if description.pixels is not None:
        features = source.preprocess_images([source.prepare_image(one) for one in _pictures()[:2]])
        graph = trace(source, "image", features, directory)
        description.graph(directory, "image").write_bytes(graph)
    description.write(directory)


def _quantize(directory: Path, pictures: list[Image.Image]) -> None:
    """Make the graphs int8, their weights inside, and take away the files that held these."""
    description = Description.read(directory)
    shown = [] if description.pixels is None else [description.pixels.of([one]) for one in pictures]
    sides: dict[Modality, object] = {"text": description.words, "image": description.pixels}
    for side, present in sides.items():
        if present is not None:
            path = description.graph(directory, side)
            path.write_bytes(quantize(path, directory, shown))
    for path in [*directory.rglob("*.safetensors"), *directory.rglob("*.safetensors.index.json")]:
        path.unlink()
    replace(description, int8=True).write(directory)


def _words(source: SentenceTransformerEncoder, directory: Path) -> Words:
    model = source.model
    tokenizer = getattr(model.tokenizer, "tokenizer", model.tokenizer)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise EncoderError(
            f"the encoder {source.name!r} has a tokenizer written in Python "
            f"({type(tokenizer).__name__}), which cannot be exported"
        )
    length = min(source.text_limit or _LONGEST, _LONGEST)
    short = source.preprocess_texts(["x"], "document")["input_ids"].shape[1]
    return Words(
        tokenizer=_tokenizer(backend, directory),
        length=length,
        fill=short == length,
        pad=tokenizer.pad_token_id or 0,
        special=special_tokens(model),
        query=source.prompt("query"),
        document=source.prompt("document"),
    )


def _tokenizer(backend: Any, directory: Path) -> str:
    """Where the tokenizer lies: in the model's own file, if that says the same."""
    from tokenizers import Tokenizer

    def plain(tokenizer: Any) -> str:
        copy = Tokenizer.from_str(tokenizer.to_str())
        copy.no_padding()
        copy.no_truncation()
        return str(copy.to_str())

    for path in sorted(directory.rglob("tokenizer.json")):
        if plain(Tokenizer.from_file(str(path))) == plain(backend):
            return path.relative_to(directory).as_posix()
    (directory / _TOKENIZER).write_text(plain(backend), encoding="utf-8")
    return _TOKENIZER


def _pixels(source: SentenceTransformerEncoder) -> Pixels:
    processors = source.image_processors
    refusal = EncoderError(
        f"the encoder {source.name!r} prepares pictures in a way that is not known here "
        f"({', '.join(type(one).__name__ for one in processors) or 'no processor'})"
    )
    if len(processors) != 1:
        raise refusal
    pixels = Pixels.from_processor(processors[0])
    for picture in _pictures():
        prepared = [source.prepare_image(picture)]
        features = source.preprocess_images(prepared)
        ours = pixels.of(prepared)
        theirs = np.asarray(features["pixel_values"])
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-4:
            raise refusal
    return pixels


def _pictures() -> list[Image.Image]:
    """Noise in colours, of a handful of sizes."""
    random = np.random.default_rng(0)
    sizes = [(224, 224), (640, 480), (97, 301), (1500, 90)]
    return [
        Image.fromarray(
            random.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        ).resize((width, height))
        for width, height in sizes
    ]


def _cosines(
    source: SentenceTransformerEncoder, exported: OnnxEncoder, least: float
) -> dict[Modality, float]:
    """The least cosine of each side between torch's vectors and onnxruntime's.

    Raises:
        EncoderError: It is too small.
    """
    sides: dict[Modality, Callable[[Encoder], list[Vector]]] = {
        "text": lambda encoder: [
            encoder.encode_texts(_TEXTS, role) for role in ("query", "document")
        ],
        "image": lambda encoder: [encoder.encode_images(_pictures())],
    }
    cosines: dict[Modality, float] = {}
    for side, embed in sides.items():
        if source.supports(side):
            pairs = zip(embed(source), embed(exported), strict=True)
            cosines[side] = min(float((ours * theirs).sum(axis=1).min()) for ours, theirs in pairs)
            if cosines[side] < least:
                raise EncoderError(
                    f"the encoder {source.name!r} gives other {side} vectors by onnxruntime than "
                    f"by torch (cosine {cosines[side]:.4f}); it is not exported"
                )
    return cosines
