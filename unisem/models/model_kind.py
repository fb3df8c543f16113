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
_KNOWN_MODULES = ("sentence_transformers.", "pylate.")
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


def refuse_foreign_code(directory: Path, what: str, failure: type[UniSemError]) -> None:
    """Refuse a model that comes with code of its own, before anything of it is imported.

    That is a module which is not sentence-transformers', or a network that transformers does not
    know and whose configuration says where its code is (``auto_map``).

    Raises:
        UniSemError: Names the code; of the kind ``failure``.
    """
    from transformers import CONFIG_MAPPING

    listed = _read_json(directory / "modules.json", what, failure)
    modules = listed if isinstance(listed, list) else []
    kinds = [str(module.get("type")) for module in modules if isinstance(module, dict)]
    foreign = [kind for kind in kinds if not kind.startswith(_KNOWN_MODULES)]
    for path in sorted({directory / "config.json", *directory.glob("*/config.json")}):
        config = read_config(path, what, failure)
        code, kind = config.get("auto_map"), config.get("model_type")
        if isinstance(code, dict) and code and kind is not None and kind not in CONFIG_MAPPING:
            foreign += sorted(map(str, code.values()))[:1]
    if foreign:
        raise failure(
            f"{what} needs code of its own ({foreign[0]}), and code that comes with a model is "
            "never run here; take a model of a kind that transformers has built in, such as a "
            "CLIP or a SigLIP 2, or ask its makers for such a conversion"
        )


def architectures(directory: Path, what: str, failure: type[UniSemError]) -> list[str]:
    """The classes that a network's configuration names."""
    named = read_config(directory / "config.json", what, failure).get("architectures")
    return [str(one) for one in named] if isinstance(named, list) else []


def read_config(path: Path, what: str, failure: type[UniSemError]) -> dict[str, Any]:
    """A JSON file's object; empty if there is no such file.

    Raises:
        UniSemError: The file is damaged; of the kind ``failure``.
    """
    content = _read_json(path, what, failure)
    return content if isinstance(content, dict) else {}


def _read_json(path: Path, what: str, failure: type[UniSemError]) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise failure(f"{what} has a damaged {path.name}: {error}") from error
