"""`model_kind`: what a saved model is made for, from its configuration, before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from unisem.errors import EncoderError, UniSemError

Kind = Literal[
    "SentenceTransformer",
    "CrossEncoder",
    "SparseEncoder",
    "MultiVectorEncoder",
    "ImageTextMatching",
    "unisem-cross-modal",
]

_PACKAGES: dict[str, Kind] = {
    "cross_encoder": "CrossEncoder",
    "sparse_encoder": "SparseEncoder",
    "multi_vector_encoder": "MultiVectorEncoder",
    "pylate": "MultiVectorEncoder",
}
_REFUSED = {
    "CrossEncoder": "a cross encoder, which scores pairs and embeds nothing; "
    "unisem.load_reranker loads it",
    "SparseEncoder": "a sparse encoder, whose vectors are as long as a vocabulary; pass an encoder "
    "of dense vectors",
    "MultiVectorEncoder": "a late-interaction model, which gives a vector for every token; "
    "unisem.load_reranker loads it",
    "unisem-cross-modal": "a reranker of UniSem's own; unisem.load_reranker loads it",
    "ImageTextMatching": "a model that matches a text with a picture, and embeds nothing; "
    "unisem.load_reranker loads it",
}


def model_kind(directory: Path, what: str, failure: type[UniSemError]) -> str | None:
    """What a saved model is made for, mostly by sentence-transformers' names of kinds.

    ``None`` for a bare network.

    Args:
        directory: Its files.
        what: What to call it in an error, for example ``the encoder 'mini'``.
        failure: The error to raise where a configuration is damaged.
    """
    if (directory / "modules.json").is_file():
        ours = read_config(directory / "config_sentence_transformers.json", what, failure)
        kind = ours.get("model_type")
        if kind is None:
            modules = (directory / "modules.json").read_text(encoding="utf-8", errors="replace")
            named = (kind for package, kind in _PACKAGES.items() if package in modules)
            return next(named, "SentenceTransformer")
        return "MultiVectorEncoder" if kind == "ColBERT" else str(kind)
    if read_config(directory / "config.json", what, failure).get("kind") == "unisem-cross-modal":
        return "unisem-cross-modal"
    for architecture in architectures(directory, what, failure):
        if architecture.endswith("ForRetrieval") or architecture == "HF_ColBERT":
            return "MultiVectorEncoder"
        if architecture.endswith("ForImageTextRetrieval"):
            return "ImageTextMatching"
        if architecture.endswith("ForSequenceClassification"):
            return "CrossEncoder"
    return None


def refuse_other_kinds(name: str, directory: Path) -> None:
    """Refuse to load as an encoder what does not give one dense vector for an input.

    Raises:
        EncoderError: It is a cross encoder, a sparse or a late-interaction model.
    """
    kind = model_kind(directory, f"the encoder {name!r}", EncoderError)
    if kind not in (None, "SentenceTransformer"):
        raise EncoderError(f"{name!r} is {_REFUSED.get(str(kind), f'a {kind}, no encoder')}")


def architectures(directory: Path, what: str, failure: type[UniSemError]) -> list[str]:
    """The classes that a network's configuration names."""
    named = read_config(directory / "config.json", what, failure).get("architectures")
    return [str(one) for one in named] if isinstance(named, list) else []


def read_config(path: Path, what: str, failure: type[UniSemError]) -> dict[str, Any]:
    """A JSON file's object; empty if there is no such file.

    Raises:
        UniSemError: The file is damaged; of the kind ``failure``.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise failure(f"{what} has a damaged {path.name}: {error}") from error
    return content if isinstance(content, dict) else {}
