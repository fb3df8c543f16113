"""Finding a model's files and making sure that loading them cannot run anybody's code."""

from __future__ import annotations

import hashlib
import re
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from unisem.errors import EncoderError

_SAFE_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")
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


def unsafe_weights(directory: Path) -> str | None:
    """Why a model's weights are not loaded, as words that go on from its name; ``None`` if safe.

    A directory without a model's configuration is not searched: it may be a whole disk. Every part
    must have its own safetensors: of a part that has only ``pytorch_model.bin``,
    sentence-transformers would unpickle that, however safe its neighbours are.
    """
    if not any((directory / name).is_file() for name in _CONFIGURATIONS):
        return f"holds no saved model: it has none of {', '.join(_CONFIGURATIONS)}"
    safe = {path.parent for path in directory.rglob("*.safetensors")}
    alone = [path for path in directory.rglob("pytorch_model*.bin") if path.parent not in safe]
    if safe and not alone:
        return None
    pickled = alone or [path for pattern in _PICKLED for path in directory.rglob(pattern)]
    listed = ", ".join(sorted(path.relative_to(directory).as_posix() for path in pickled)[:3])
    return (
        f"has {'parts without' if safe else 'no'} .safetensors weights "
        f"({f'only {listed}' if pickled else 'no weights at all'}). Pickled weights can run code "
        "and are not loaded; convert them with save_pretrained()"
    )


def fingerprint_model(directory: Path) -> str:
    """Digest the files that decide what vectors a model gives: weights, configs, vocabulary."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in _IDENTITY):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(directory).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def hub_directory(name: str, local_only: bool) -> Path:
    """Return where a hub model's safe files are, fetching what is missing.

    Raises:
        EncoderError: It is not here and could not be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    fetch = partial(
        snapshot_download,
        repository,
        revision=revision or None,
        allow_patterns=list(_SAFE_FILES),
    )
    try:
        return Path(str(fetch(local_files_only=True)))
    except HFValidationError as error:
        raise EncoderError(f"the hub has no model {name!r}: {error}") from error
    except LocalEntryNotFoundError:
        if local_only:
            raise EncoderError(
                f"the hub model {name!r} is not in the local cache; name it yourself "
                f"(encoder={name!r}) to have it fetched"
            ) from None
    try:
        return Path(str(fetch()))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise EncoderError(
            f"the hub model {name!r} is neither in the local cache nor could it be fetched: "
            f"{error}. Without a network use encoder='mini' or a local directory"
        ) from error
