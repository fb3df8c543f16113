"""`SentenceTransformerEncoder`: any sentence-transformers model, behind safe calls.

sentence-transformers guesses what a bare string is and would fetch or open one that looks like a
URL or a path. Here every input is labelled (``{"text": …}``, ``{"image": …}``) before it gets
there, so a string is text and only text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from PIL import Image

from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Role
from unisem.encoders.batched import BatchedEncoder
from unisem.encoders.options import EncoderOptions
from unisem.encoders.picture_sizes import limit_pixels
from unisem.encoders.stated import refuse_impossible
from unisem.errors import EncoderError
from unisem.models.finding import digest_model, preparation_of
from unisem.models.local_model import LocalModel
from unisem.models.preparation import PROMPTS
from unisem.models.preparing import image_side
from unisem.models.special_tokens import matching, special_tokens, spelled_out
from unisem.records import Modality, Vector

if TYPE_CHECKING:
    from torch import Tensor

_PAIR = ("image", "text")  # as sentence-transformers names the two together


class SentenceTransformerEncoder(LocalModel, BatchedEncoder):
    """A sentence-transformers model directory as an `Encoder`, run by torch.

    Files are found and identified at once; weights are loaded at the first encoding.

    Args:
        name: What to call the model.
        directory: Its files, weights as safetensors.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; the best one present if ``None``.
        options: How it is to embed.

    Raises:
        EncoderError: The model's configurations say that it cannot do what the options say; at the
            first use, if it cannot and they do not, or the files do not load without running
            foreign code.
    """

    role = "encoder"
    failure = EncoderError

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        device: str | None = None,
        options: EncoderOptions | None = None,
    ) -> None:
        self._options = options or EncoderOptions()
        super().__init__(
            name,
            directory,
            device=device,
            dtype=self._options.dtype,
            attention=self._options.attention,
        )
        refuse_impossible(directory, self._options, f"the encoder {name!r}")

    def _settings(self) -> dict[str, Any]:
        return {"device": self._device, "options": self._options}

    @lazy_property
    def model_fingerprint(self) -> str:
        return preparation_of(self.directory).fingerprint(self._digest)

    @property
    def _image_model_fingerprint(self) -> str:
        return preparation_of(self.directory).of_images.fingerprint(self._digest)

    @lazy_property
    def _digest(self) -> str:
        return digest_model(self.directory)

    @lazy_property
    def model_dimension(self) -> int:
        with self.model.truncate_embeddings(None):
            dimension = self.model.get_embedding_dimension()
        if isinstance(dimension, int):
            return dimension
        probe: dict[str, Any] = {"text": "a"}
        if not self.supports("text"):
            probe = {"image": Image.new("RGB", (64, 64))}
        return int(self._raw([probe], "document").shape[1])

    def _load(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        from unisem.encoders.open_clip.mobile_clip import register

        register()
        model = self._from_files(SentenceTransformer, _outputs)
        asked = self._options
        own = {"query": asked.query_instruction, "document": asked.document_instruction}
        model.prompts |= {name: text for name, text in own.items() if text is not None}
        if asked.max_pixels is not None:
            limit_pixels(processors_of(model), asked.max_pixels, f"the encoder {self._name!r}")
        # Convolutions run up to three times faster with the channels last in memory; those over
        # films (five axes) have no such form.
        for weight in model.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.to(memory_format=torch.channels_last)
        return model

    def supports(self, modality: Modality) -> bool:
        return bool(self.model.supports(modality))

    @lazy_property
    def fuses(self) -> bool:
        """Whether texts and pictures are read together, by the network that reads each alone.

        A joint output of other layers, such as BLIP's, is of another space and does not count.
        """
        if not all(map(self.supports, get_args(Modality))):
            return False
        known = getattr(self.model[0], "modality_config", None)
        if known is None:  # a router, which has a route for both if somebody made one
            return _PAIR in self.model.modalities
        pair = known.get(_PAIR, {}).get("method")
        return "message" in known or (
            pair is not None and all(known.get(side, {}).get("method") == pair for side in _PAIR)
        )

    def preprocess_texts(self, texts: Sequence[str], role: Role) -> dict[str, Any]:
        """Tokenize texts, with the role's prompt: what the model takes as its input features."""
        inputs = [{"text": spelled_out(text, self._special)} for text in texts]
        with self._lock:
            return self._features(inputs, role)

    def preprocess_images(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        """Make input features of pictures from `prepare_image`; threads may do so side by side."""
        inputs = self._image_inputs(images)
        if not self.model.supports("message"):
            return self._features(inputs, "document")
        with self._lock:  # pictures are written into a message, which is tokenized
            return self._features(inputs, "document")

    def _image_inputs(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        return [{"image": [image] if self._nests_images else image} for image in images]

    @lazy_property
    def _nests_images(self) -> bool:
        """Whether the model's processor takes a flat list of pictures for one input of them all.

        EmbeddingGemma 2's does, as others do that write pictures into a text: two pictures would
        be one vector.
        """
        if self.model.supports("message"):
            return False  # each picture stands in a message of its own
        two = [{"image": Image.new("RGB", (64, 64))}] * 2
        try:
            with self._lock:
                ids = self._features(two, "document").get("input_ids")
        except ValueError:  # too long for one text
            return True
        return ids is not None and len(ids) < len(two)

    def preprocess_pairs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role
    ) -> dict[str, Any]:
        """Make input features of texts, each together with a picture from `prepare_image`."""
        said = [spelled_out(text, self._special) for text in texts]
        pairs = self._pair_inputs(said, images, role)
        with self._lock:
            return self._features(pairs, role)

    def _pair_inputs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role
    ) -> list[dict[str, Any]]:
        inputs = self._image_inputs(images)
        if self._nests_images:  # its processor puts a picture where its mark stands in the text
            mark = self.model[0].processor.image_token
            texts = [f"{self.prompt(role)}{mark}{text}" for text in texts]
        return [one | {"text": text} for one, text in zip(inputs, texts, strict=True)]

    def _features(self, inputs: list[dict[str, Any]], role: Role) -> dict[str, Any]:
        features: dict[str, Any] = self.model.preprocess(
            inputs, prompt=self.prompt(role), task=role
        )
        return features

    def prompt(self, role: Role) -> str:
        """What goes before an input: what was asked for, or the role's first prompt that is any.

        Never the model's default one: to sentence-transformers' ``encode_query`` and
        ``encode_document`` a role whose prompt says nothing has none. Never ``None``, of which its
        ``encode`` makes the default.
        """
        asked = self._options
        own = asked.query_instruction if role == "query" else asked.document_instruction
        if own is not None:
            return own
        prompts: dict[str, str] = self.model.prompts
        return next((prompts[name] for name in PROMPTS[role] if prompts.get(name)), "")

    @lazy_property
    def _special(self) -> re.Pattern[str]:
        return matching(special_tokens(self.model))

    @property
    def text_limit(self) -> int | None:
        limit = self.model.max_seq_length
        return limit if isinstance(limit, int) else None

    def count_tokens(self, text: str) -> int:
        tokenizer = getattr(self.model.tokenizer, "tokenizer", self.model.tokenizer)
        with self._lock:
            return len(tokenizer.tokenize(text))

    @property
    def _image_batch(self) -> int:
        """Pictures a model call: on a CPU few enough for their activations to stay in the cache.

        Larger ones are several times slower there, most of it in the allocator
        (``benchmarks/encode.py``).
        """
        return 4 if self.model.device.type == "cpu" else 32

    @lazy_property
    def _image_side(self) -> int | None:
        return max(filter(None, map(image_side, self.image_processors)), default=None)

    @property
    def image_processors(self) -> list[Any]:
        """What transformers prepares pictures with, of each network inside."""
        return [one for one in processors_of(self.model) if image_side(one) is not None]

    def _embed_texts(self, texts: Sequence[str], role: Role) -> Vector:
        return self._run([{"text": text} for text in texts], role)

    def _embed_images(self, images: Sequence[Image.Image]) -> Vector:
        return self._run(self._image_inputs(images), "document")

    def _embed_pairs(
        self, texts: Sequence[str], images: Sequence[Image.Image], role: Role
    ) -> Vector:
        return self._run(self._pair_inputs(texts, images, role), role)

    def _raw(self, inputs: list[dict[str, Any]], role: Role) -> Any:
        model, prompt = self.model, self.prompt(role)
        with self._lock, model.truncate_embeddings(None):  # cut in one place, for all runtimes
            return model.encode(
                inputs,
                prompt=prompt,
                task=role,
                batch_size=len(inputs),
                show_progress_bar=False,
            )

    def _run(self, inputs: list[dict[str, Any]], role: Role) -> Vector:
        raw = self._raw(inputs, role)
        if raw.shape != (len(inputs), self.model_dimension):
            raise EncoderError(
                f"the encoder {self.name!r} gave {len(raw)} vectors of {raw.shape[1]} numbers for "
                f"{len(inputs)} inputs, and its configuration says that there are "
                f"{self.model_dimension} in each: its sides do not belong together, or its "
                "configuration is another model's"
            )
        remedy = "" if self._dtype == "float32" else f"; {self._dtype} may be too narrow for it, "
        if remedy:
            wider = "float32" if self._dtype == "bfloat16" else "bfloat16 or float32"
            remedy += f"so load it with dtype={wider}"
        return self._rows(raw, remedy)


def processors_of(model: Any) -> list[Any]:
    """What transformers prepares pictures with, of each network in a ``SentenceTransformer``."""
    processors = (getattr(module, "processor", None) for module in model.modules())
    found = [getattr(one, "image_processor", one) for one in processors]
    return [one for one in {id(one): one for one in found}.values() if hasattr(one, "resample")]


def _outputs(model: Any) -> Iterator[Tensor]:
    """The vectors of a text in both roles, and of a picture."""
    from sentence_transformers.util import batch_to_device

    probes: list[tuple[str, str, Any]] = [
        ("text", "query", "a"),
        ("text", "document", "a"),
        ("image", "document", Image.new("RGB", (64, 64))),
    ]
    for modality, role, value in probes:
        if model.supports(modality):
            features = model.preprocess([{modality: value}], task=role)
            yield model(batch_to_device(features, model.device))["sentence_embedding"]
