"""`convert_open_clip`: a directory of open_clip's files to one that `load_encoder` loads.

Source of the names and of what they compute: open_clip (https://github.com/mlfoundations/open_clip),
``model.py`` and ``transformer.py``; transformers' ``CLIPModel`` and ``SiglipModel``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from unisem._version import __version__
from unisem.common.lazy import needs_torch
from unisem.encoders.open_clip.description import Description
from unisem.encoders.open_clip.settings import configuration, network
from unisem.encoders.open_clip.tensors import renamed
from unisem.encoders.open_clip.towers import FastVitTower
from unisem.errors import EncoderError
from unisem.models.finding import fingerprint_model
from unisem.models.loading import in_short, loading_errors

_WEIGHTS = ("open_clip_model.safetensors", "model.safetensors")
_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")
_TOKENIZER = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written.

    Attributes:
        directory: The model.
        fingerprint: What spaces will know it by.
        kind: ``"clip"``, ``"siglip"`` or ``"mobile_clip"``.
        dimension: Of its vectors.
    """

    directory: Path
    fingerprint: str
    kind: str
    dimension: int


def convert_open_clip(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    tokenizer: str | os.PathLike[str] | None = None,
) -> Conversion:
    """Write open_clip's checkpoint as a transformers model; the vectors are the same.

    CLIPs whose towers are open_clip's own ViT and Transformer, and SigLIPs, whose weights keep
    their type; and MobileCLIPs, of whose picture towers branches and norms are summed. The new
    directory appears whole or not at all.

    Args:
        source: Has ``open_clip_config.json`` and ``open_clip_model.safetensors``.
        output: The directory to make.
        tokenizer: A directory with the tokenizer's files, if ``source`` has none.

    Raises:
        EncoderError: Files are missing, are pickles or do not belong together; or transformers has
            no such model; or ``output`` exists.
        OSError: Nothing can be written there.
    """
    if words := needs_torch("a conversion"):
        raise EncoderError(words)
    source, output = Path(source), Path(output)
    if output.exists():
        raise EncoderError(f"{output} exists; name a directory that is to be made")
    described = Description.read(source)
    weights = _weights(source)
    words_from = _tokenizer_directory(source, tokenizer)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as place:
        made = Path(place) / "model"
        made.mkdir()
        try:
            _write(made, source, described, weights, words_from)
            _try(made, source)
        except EncoderError:
            raise
        except loading_errors() as error:
            raise EncoderError(f"{source} cannot be converted: {in_short(error)}") from error
        _write_card(made, source, weights, described)
        made.rename(output)
    return Conversion(output, fingerprint_model(output), described.kind, described.dimension)


def _weights(source: Path) -> Path:
    for name in _WEIGHTS:
        if (source / name).is_file():
            return source / name
    pickled = [path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in source.glob(pattern)]
    if pickled:
        raise EncoderError(
            f"{source} has its weights as a pickle only ({pickled[0]}), which can run code when it "
            f"is read; fetch {_WEIGHTS[0]}, which most models have beside it, or let their author "
            "write it (open_clip.push_to_hf_hub does)"
        )
    raise EncoderError(f"{source} has no {_WEIGHTS[0]}; name a directory with open_clip's files")


def _tokenizer_directory(source: Path, given: str | os.PathLike[str] | None) -> Path:
    directory = source if given is None else Path(given)
    if not any((directory / name).is_file() for name in _TOKENIZER):
        raise EncoderError(
            f"{directory} has no tokenizer ({', '.join(_TOKENIZER)}); name a directory that has "
            "it: for a CLIP that of openai/clip-vit-base-patch32, for a SigLIP what text_cfg calls "
            "hf_tokenizer_name"
        )
    return directory


def _write(
    made: Path, source: Path, described: Description, weights: Path, words_from: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import CLIPProcessor, SiglipProcessor

    tensors = renamed(load_file(weights), described, source)
    is_siglip = described.kind == "siglip"
    tokenizer = _siglip_words(words_from, described) if is_siglip else _clip_words(words_from)
    if len(tokenizer) > tensors["text_model.embeddings.token_embedding.weight"].shape[0]:
        raise EncoderError(
            f"{words_from}'s tokenizer has {len(tokenizer):,} tokens, the model fewer; it is not "
            "this model's"
        )
    tokenizer.model_max_length = tensors["text_model.embeddings.position_embedding.weight"].shape[0]
    settings = configuration(tensors, described)
    for mark in ("bos_token_id", "eos_token_id"):  # of a SigLIP nobody looks at them
        setattr(settings.text_config, mark, None if is_siglip else getattr(tokenizer, mark))
    settings.text_config.pad_token_id = tokenizer.pad_token_id
    with torch.device("meta"):
        empty = network(described)(settings)
    empty.load_state_dict(tensors, strict=True, assign=True)  # names and shapes fit
    settings.save_pretrained(made)
    save_file(tensors, made / "model.safetensors", metadata={"format": "pt"})
    processor = SiglipProcessor if is_siglip else CLIPProcessor
    pictures = _pictures(described, settings.vision_config.image_size)
    processor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(made)


def _clip_words(directory: Path) -> Any:
    from transformers import CLIPTokenizerFast

    tokenizer = CLIPTokenizerFast.from_pretrained(directory, local_files_only=True)
    if tokenizer.eos_token_id != len(tokenizer) - 1:  # open_clip looks for the highest number
        raise EncoderError(
            f"{directory}'s tokenizer ends texts by its token {tokenizer.eos_token_id} of "
            f"{len(tokenizer):,}, where CLIP's is the last one; it is not this model's"
        )
    return tokenizer


def _siglip_words(directory: Path, described: Description) -> Any:
    """The tokenizer, which takes away what open_clip takes away before it."""
    from tokenizers import Regex, normalizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        directory, local_files_only=True, trust_remote_code=False
    )
    tokenizer.model_input_names = ["input_ids"]  # padding is read, too: there is no mask
    if (described.text.get("tokenizer_kwargs") or {}).get("clean") == "canonicalize":
        words = tokenizer.backend_tokenizer
        marks = "[" + "".join(f"\\{mark}" for mark in string.punctuation if mark != "_") + "]"
        words.normalizer = normalizers.Sequence(
            [
                normalizers.Replace("_", " "),
                normalizers.Replace(Regex(marks), ""),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Strip(),
                *([words.normalizer] if words.normalizer is not None else []),
            ]
        )
    return tokenizer


def _pictures(described: Description, side: int) -> Any:
    from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

    square = {"height": side, "width": side}
    pixels: dict[str, Any] = {
        "resample": described.resampling,
        "image_mean": list(described.mean),
        "image_std": list(described.std),
    }
    if described.squash and described.kind == "siglip":
        return SiglipImageProcessorPil(size=square, **pixels)
    if described.squash:
        return CLIPImageProcessorPil(size=square, do_center_crop=False, **pixels)
    return CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square, **pixels)


def _try(made: Path, source: Path) -> None:
    """Whether it embeds, before anybody relies on it."""
    from unisem.encoders.sentence_transformer import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder(f"{source}, converted,", made, device="cpu")
    encoder.encode_texts(["a tiger"])
    encoder.encode_images([Image.new("RGB", (64, 48), (200, 30, 30))])


def _write_card(made: Path, source: Path, weights: Path, described: Description) -> None:
    """The model's own card and licence, and where it is from."""
    for name in _LICENCES:
        if (source / name).is_file():
            shutil.copyfile(source / name, made / name)
    card = source / "README.md"
    said = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    weights_are = "Its weights are unchanged but for their names"
    if isinstance(described.tower, FastVitTower):
        weights_are += ", and the picture tower's, of which branches and norms are summed"
    elif described.tower is not None and described.tower.stem_width:
        weights_are += ", and the stem's, of which the norms are part"
    note = (
        f"# Conversion\n\nConverted by UniSem {__version__} from open_clip's checkpoint "
        f"`{source.resolve().name}/{weights.name}` (SHA-256 `{digest}`). {weights_are}; "
        "its licence is that of the source.\n"
    )
    (made / "README.md").write_text(f"{said.rstrip()}\n\n{note}".lstrip(), encoding="utf-8")
