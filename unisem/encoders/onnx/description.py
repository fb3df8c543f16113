"""`Description`: what a model's graphs take, beside the graphs in a file of its own.

A model directory with graphs is one without them and a folder more::

    mine/onnx/unisem_onnx.json   this description
    mine/onnx/text.onnx          the text side, its weights left out
    mine/onnx/image.onnx         the image side, its weights left out

What is left out is named after its place, ``text_0_Transformer/model.safetensors:encoder.…``: the
weights lie there once, for torch and for onnxruntime. The quantised numbers of an int8 export are
inside the graphs, and there is no safetensors file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from unisem.encoders.onnx.pixels import Pixels
from unisem.errors import EncoderError
from unisem.models.finding import GRAPHS
from unisem.records import Modality

_FORMAT = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How texts become tokens.

    Attributes:
        tokenizer: A ``tokenizer.json``, relative to the model's directory.
        length: Tokens of a text that are read, at most.
        fill: Whether every text is filled up to that length, as SigLIP was trained on.
        pad: The token to fill up with.
        special: Names that texts must not command by, see `unisem.models.special_tokens`.
        query: What goes before a query.
        document: What goes before any other text.
    """

    tokenizer: str
    length: int
    fill: bool
    pad: int
    special: tuple[str, ...]
    query: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a model's graphs take and give.

    Attributes:
        dimension: Numbers in a vector.
        words: How texts become tokens; ``None`` if there is no text side.
        pixels: How pictures become numbers; ``None`` if there is no image side.
        int8: Whether weights were quantised, so that the vectors are others.
        preparation: The versions of what is done to inputs; see `unisem.models.preparation`.
    """

    dimension: int
    words: Words | None
    pixels: Pixels | None
    int8: bool = False
    preparation: Mapping[str, int] = field(default_factory=dict)

    def graph(self, directory: Path, modality: Modality) -> Path:
        """Where one side's graph is."""
        return (directory / GRAPHS).with_name(f"{modality}.onnx")

    def write(self, directory: Path) -> None:
        """Write the description into a model's directory."""
        path = directory / GRAPHS
        content = {"format": _FORMAT, **asdict(self)}
        if not self.preparation:
            del content["preparation"]  # as before there were any
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Description:
        """Read a model's description.

        Raises:
            EncoderError: It is damaged, or of another format.
        """
        path = directory / GRAPHS
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["format"] != _FORMAT:
                raise EncoderError(
                    f"{path} has format {known['format']!r}, and this version of UniSem reads "
                    f"{_FORMAT}; export the model anew"
                )
            described = cls(
                dimension=_number(known, "dimension"),
                words=_of(known["words"], _words),
                pixels=_of(known["pixels"], Pixels.from_json),
                int8=bool(known["int8"]),
                preparation={
                    str(name): _number(known["preparation"], name)
                    for name in known.get("preparation", {})
                },
            )
            if described.words is None and described.pixels is None:
                raise ValueError("it has neither a text side nor an image side")
        except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            raise EncoderError(
                f"{path} is damaged ({type(error).__name__}: {error}); export the model anew"
            ) from error
        return described


def holds_graphs(directory: Path) -> bool:
    """Whether a model's directory has graphs for onnxruntime.

    What a hub has of an exported model comes without them: ONNX files are not fetched.
    """
    described = directory / GRAPHS
    sides = get_args(Modality)
    return described.is_file() and any(
        described.with_name(f"{side}.onnx").is_file() for side in sides
    )


def _of(value: Any, read: Callable[[Mapping[str, Any]], T]) -> T | None:
    return None if value is None else read(value)


def _words(known: Mapping[str, Any]) -> Words:
    return Words(
        tokenizer=str(known["tokenizer"]),
        length=_number(known, "length"),
        fill=bool(known["fill"]),
        pad=_number(known, "pad", least=0),
        special=tuple(str(name) for name in known["special"]),
        query=str(known["query"]),
        document=str(known["document"]),
    )


def _number(known: Mapping[str, Any], name: str, least: int = 1) -> int:
    value = known[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 1 << 20:
        raise ValueError(f"{name} is {value!r}")
    return value
