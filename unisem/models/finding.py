"""Finding a model's files and making sure that loading them cannot run anybody's code."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from unisem.errors import EncoderError, UniSemError
from unisem.models.preparation import Preparation

SAFE_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")
"""What is taken of a model's files: weights, configurations, vocabularies; nothing that runs."""

GRAPHS = "onnx/unisem_onnx.json"
"""The file that describes a model's graphs for onnxruntime, where it has such."""
ADAPTER = "unisem_adapter.json"
"""The file that describes an adapter, where training saved what it changed alone."""
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*(@.+)?", re.ASCII)
_CONFIGURATIONS = ("modules.json", "config.json", "adapter_config.json")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.msgpack", "*.h5")
_IDENTITY = (
    "*.safetensors",
    "modules.json",
    "*config*.json",
    "tokenizer.json",
    "vocab.*",
    "merges.txt",
    "*.model",
)


def is_hub_id(name: str) -> bool:
    """Whether a name that is no directory's is looked for on the hub: ``owner/name``.

    >>> [is_hub_id(name) for name in ("openai/clip-vit-base-patch32", "./mine", "mine/", "mini")]
    [True, False, False, False]
    """
    return _HUB_ID.fullmatch(name) is not None


def find_model(
    name: str,
    kind: str,
    failure: type[UniSemError],
    *,
    example: str,
    shipped: dict[str, Path] | None = None,
    local_only: bool,
) -> Path:
    """Return the directory of a model's files.

    Args:
        name: A shipped model's, a local directory, or a hub id (``owner/name``,
            ``owner/name@revision``). A hub id is looked for in the local cache first; what is
            missing is downloaded, safe files only (safetensors, JSON, tokenizer text).
        kind: What it is to be: ``encoder``.
        failure: The error to raise.
        example: A hub id to name in an error.
        shipped: Directories by name.
        local_only: Download nothing.

    Raises:
        UniSemError: Nothing of that name, or weights that are not safetensors; of the kind
            ``failure``.
    """
    shipped = shipped or {}
    if name in shipped:
        directory = shipped[name]
    elif os.path.isdir(name):  # which, unlike `Path.is_dir`, bears any name
        directory = Path(name).resolve()
    elif is_hub_id(name):
        without = " or ".join([*(f"{kind}={known!r}" for known in shipped), "a local directory"])
        directory = _hub_directory(name, kind, failure, without, local_only)
    else:
        listed = ", ".join([*map(repr, shipped), "an existing directory with a saved model"])
        raise failure(f"no {kind} {name!r}: pass {listed}, or a hub id such as {example!r}")
    if fault := unsafe_weights(directory):
        raise failure(f"{name!r} {fault}")
    return directory


def unsafe_weights(directory: Path) -> str | None:
    """Why a model's weights are not loaded, as words that go on from its name; ``None`` if safe.

    A directory without a model's configuration is not searched: it may be a whole disk. Every part
    must have its own safetensors: of a part that has only ``pytorch_model.bin``,
    sentence-transformers would unpickle that, however safe its neighbours are.
    """
    if (directory / ADAPTER).is_file():
        return "is an adapter of another model; make the two one by unisem merge-adapter"
    if not any((directory / name).is_file() for name in _CONFIGURATIONS):
        return f"holds no saved model: it has none of {', '.join(_CONFIGURATIONS)}"
    safe = {path.parent for path in directory.rglob("*.safetensors")}
    alone = [path for path in directory.rglob("pytorch_model*.bin") if path.parent not in safe]
    if safe and not alone:
        return None
    pickled = alone or [path for pattern in _PICKLED for path in directory.rglob(pattern)]
    if not pickled and (directory / GRAPHS).is_file():
        return None  # the graphs hold the weights themselves
    listed = ", ".join(sorted(path.relative_to(directory).as_posix() for path in pickled)[:3])
    return (
        f"has {'parts without' if safe else 'no'} .safetensors weights "
        f"({f'only {listed}' if pickled else 'no weights at all'}). Pickled weights can run code "
        "and are not loaded; convert them with save_pretrained()"
    )


def fingerprint_model(directory: Path) -> str:
    """What tells models apart: their files, and how inputs are prepared for them here.

    Raises:
        EncoderError: It adapts a network that is not here.
    """
    return preparation_of(directory).fingerprint(digest_model(directory))


def preparation_of(directory: Path) -> Preparation:
    """How inputs are prepared for a model, or for an adapter and the network that it adapts.

    Raises:
        EncoderError: It adapts a network that is not here.
    """
    adapters = sorted(directory.rglob("adapter_config.json"))
    return Preparation.of(*map(_adapted, adapters), directory)


def digest_model(directory: Path) -> str:
    """Digest the files that decide what vectors a model gives: weights, configs, vocabulary.

    Of an adapter, those of the network that it adapts as well.

    Raises:
        EncoderError: That network is not here.
    """
    digest = hashlib.sha256()
    for path in _identity(directory):
        digest.update(f"{path.relative_to(directory).as_posix()} {_content(path)}\n".encode())
        if path.name == "adapter_config.json":
            base = _adapted(path)
            for below in _identity(base):
                name = below.relative_to(base).as_posix()
                digest.update(f"adapted {name} {_content(below)}\n".encode())
    return digest.hexdigest()


def _identity(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in _IDENTITY):
            yield path


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _adapted(configuration: Path) -> Path:
    """The directory of the network that an adapter adapts."""
    try:
        known: Any = json.loads(configuration.read_text(encoding="utf-8"))
        name, revision = known["base_model_name_or_path"], known.get("revision")
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise EncoderError(f"{configuration} names no network to adapt: {error}") from error
    if not os.path.isdir(str(name)) and is_hub_id(str(name)) and revision is not None:
        name = f"{name}@{revision}"
    try:
        return find_model(
            str(name),
            "encoder",
            EncoderError,
            example="google-bert/bert-base-uncased",
            local_only=True,
        )
    except EncoderError as error:
        raise EncoderError(
            f"{configuration.parent} adapts a model that is not here: {error}"
        ) from error


def _hub_directory(
    name: str, kind: str, failure: type[UniSemError], without: str, local_only: bool
) -> Path:
    """Return where a hub model's safe files are, fetching what is missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    fetch = partial(
        snapshot_download,
        repository,
        revision=revision or None,
        allow_patterns=list(SAFE_FILES),
    )
    try:
        return Path(str(fetch(local_files_only=True)))
    except HFValidationError as error:
        raise failure(f"the hub has no model {name!r}: {error}") from error
    except LocalEntryNotFoundError:
        if local_only:
            raise failure(
                f"the hub model {name!r} is not in the local cache; name it yourself "
                f"({kind}={name!r}), without local_only=True, to have it fetched"
            ) from None
    try:
        return Path(str(fetch()))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise failure(
            f"the hub model {name!r} is neither in the local cache nor could it be fetched: "
            f"{error}. Without a network use {without}"
        ) from error
