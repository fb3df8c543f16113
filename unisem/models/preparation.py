"""`Preparation`: what is done to a model's inputs here otherwise than in versions of before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from unisem.errors import EncoderError
from unisem.models.model_kind import read_config

# Each of these is counted up when vectors of its kind become others: a space that was made before
# is then refused, and is to be embedded anew. A kind that is new gets a constant of its own.
_LOWER_CASE = 1  # SigLIP with Gemma's tokenizer: texts in lower case
_SAVED_PIXELS = 1  # settings of pictures that were saved hold, not those of the processor's class
_LONE_IMAGES = 1  # EmbeddingGemma 2: each picture of a batch is an input of its own
_PROMPTS = 1  # which of a model's prompts goes before a text

PROMPTS: dict[Literal["query", "document"], tuple[str, ...]] = {
    "query": ("query", "Retrieval-query", "SearchQuery"),
    "document": ("document", "passage", "corpus", "Retrieval-document", "Document"),
}
"""Names of prompts by role: sentence-transformers' own, then those of EmbeddingGemma."""

_FORMERLY = ("passage", "corpus")  # and the roles' own

_PREFERRED: dict[str, dict[str, Any]] = {
    "siglip2": {"max_num_patches": 256, "patch_size": 16},
    "aya_vision": {"crop_to_patches": True},
    "gemma3": {"do_pan_and_scan": False},
    "internvl": {"crop_to_patches": True},
    "llava_next": {"do_pad": True},
}
"""By a network's kind, what transformers' class of its processor prefers to what was saved."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """The versions of what is done to a model's inputs, as far as they were ever others.

    A model whose inputs are as they have been since the first version has none, and its fingerprint
    is its files' digest.

    Attributes:
        versions: Counted from 1, by the name of what is done.

    >>> Preparation().fingerprint("87fc"), len(Preparation({"prompts": 1}).fingerprint("87fc"))
    ('87fc', 64)
    """

    versions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, *folders: Path) -> Self:
        """What is done to the inputs of a model, from its configurations alone.

        One that is damaged says nothing here, and is refused when the model is loaded.

        Args:
            *folders: Its files, and those of networks that it adapts.
        """
        found: dict[str, int] = {}
        for folder in folders:
            for path in sorted(folder.rglob("config.json")):
                found.update(_of_network(path.parent, str(_config(path).get("model_type"))))
            known = _config(folder / "config_sentence_transformers.json")
            prompts = known.get("prompts")
            if isinstance(prompts, dict) and _chooses(prompts, known.get("default_prompt_name")):
                found["prompts"] = _PROMPTS
        return cls(found)

    @property
    def of_images(self) -> Preparation:
        """What of it a picture's vector depends on."""
        kept = {name: it for name, it in self.versions.items() if name != "lower case"}
        return Preparation(kept)

    def fingerprint(self, digest: str) -> str:
        """The fingerprint of a model whose files have this digest."""
        if not self.versions:
            return digest
        told = json.dumps(dict(self.versions), sort_keys=True)
        return hashlib.sha256(f"{digest} prepared {told}".encode()).hexdigest()


def _of_network(folder: Path, kind: str) -> Iterator[tuple[str, int]]:
    words = _config(folder / "tokenizer_config.json").get("tokenizer_class")
    # transformers gives a ``siglip2`` its own tokenizer, which knows no capitals, whatever is said.
    if kind.startswith("siglip") and kind != "siglip2" and str(words).startswith("Gemma"):
        yield "lower case", _LOWER_CASE
    saved = _config(folder / "preprocessor_config.json")
    within = _config(folder / "processor_config.json").get("image_processor")
    saved |= within if isinstance(within, dict) else {}
    if any(saved.get(name, value) != value for name, value in _PREFERRED.get(kind, {}).items()):
        yield "saved pixels", _SAVED_PIXELS
    if kind == "embedding_gemma2":
        yield "lone images", _LONE_IMAGES


def _chooses(prompts: Mapping[str, Any], default: object) -> bool:
    """Whether a role has another prompt than in versions of before.

    In the first it was of the first name that there is, even one that says nothing, or the default
    one; later the first that says anything, or the default one.
    """
    for own, *others in PROMPTS.values():
        names = [own, *(name for name in others if name in _FORMERLY)]
        former = prompts.get(next((name for name in names if name in prompts), str(default)))
        now = next((prompts[name] for name in (own, *others) if prompts.get(name)), None)
        if (former or None) != now or (now is None and prompts.get(str(default))):
            return True
    return False


def _config(path: Path) -> dict[str, Any]:
    try:
        return read_config(path, "a model", EncoderError)
    except EncoderError:
        return {}
