"""`BlipReranker`: BLIP's image-text matching, through transformers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from PIL import Image

from unisem.common.lazy_property import lazy_property
from unisem.errors import RerankerError
from unisem.images.reference import ImageRef
from unisem.models.special_tokens import matching, special_tokens
from unisem.rerank.local_reranker import LocalReranker

if TYPE_CHECKING:
    from torch import Tensor

Side = tuple[str | None, Image.Image | None]


class BlipReranker(LocalReranker):
    """Says how probable it is that a text and a picture belong together; see `LocalReranker`.

    The model reads the text with attention to the picture, and a head of two classes decides
    (Li et al. 2022, BLIP, section 3.2). It judges pairs of one text and one picture and nothing
    else: a query's text beside records' pictures, or a query's picture beside records' texts. What
    lacks the other half gets NaN. A picture goes through the vision tower once in a batch.

    Scores are probabilities, from 0 to 1.
    """

    @property
    def sees_images(self) -> bool:
        """See `LocalReranker.sees_images`."""
        return True

    def _load(self) -> Any:
        return self._from_files(_matcher, _outputs)

    @lazy_property
    def _special(self) -> re.Pattern[str]:
        return matching(special_tokens(self.model))

    def _parts(self, text: str | None, image: ImageRef | None) -> tuple[bool, bool]:
        if text and image is not None:
            raise RerankerError(
                f"the reranker {self.name!r} compares a text with a picture and cannot judge a "
                "query of both; leave one of them or the reranker out"
            )
        return image is None, image is not None

    def _side(self, text: str | None, picture: Image.Image | None = None) -> Side:
        return (None if text is None else self._special.sub(" ", text)), picture

    def _asked(self, side: Side) -> tuple[list[str], Any]:
        text, picture = side
        return ([], self.model.seen([picture])) if picture is not None else ([text or ""], None)

    def _scores(self, query: tuple[list[str], Any], sides: Sequence[Side]) -> ArrayLike:
        texts, seen = query
        if seen is None:
            seen = self.model.seen([picture for _, picture in sides])  # (n, p, d)
        else:
            texts = [text or "" for text, _ in sides]
        scores: Tensor = self.model.matched(texts, seen)  # (n,)
        return scores.cpu().numpy()


def _matcher(
    directory: str,
    *,
    device: str | None,
    local_files_only: bool,
    trust_remote_code: bool,
    model_kwargs: dict[str, Any],
) -> Any:
    """The network with its processor, loaded as sentence-transformers loads its own."""
    import torch
    from sentence_transformers.util import get_device_name
    from transformers import BlipForImageTextRetrieval, BlipProcessor

    safely = {"local_files_only": local_files_only, "trust_remote_code": trust_remote_code}

    class Matcher(torch.nn.Module):
        """Two steps, so that what is shown to many texts or many times is looked at once."""

        def __init__(self) -> None:
            super().__init__()
            self.processor = BlipProcessor.from_pretrained(directory, **safely)
            self.tokenizer = self.processor.tokenizer
            self.processing_kwargs: dict[str, Any] = {}
            self.auto_model = BlipForImageTextRetrieval.from_pretrained(
                directory, **safely, **model_kwargs
            )

        @property
        def device(self) -> torch.device:
            device: torch.device = self.auto_model.device
            return device

        @torch.inference_mode()
        def seen(self, pictures: list[Image.Image]) -> Tensor:
            return self.patches(pictures)

        @torch.inference_mode()
        def matched(self, texts: list[str], seen: Tensor) -> Tensor:
            return self.logits(texts, seen).float().softmax(dim=1)[:, 1]

        def patches(self, pictures: list[Image.Image]) -> Tensor:
            network = self.auto_model
            pixels = self.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
            vision = network.vision_model(pixels.to(self.device, network.dtype))
            patches: Tensor = vision.last_hidden_state  # (n, p, d)
            return patches

        def logits(self, texts: list[str], seen: Tensor) -> Tensor:
            network, count = self.auto_model, max(len(texts), len(seen))
            tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            read = network.text_encoder(
                input_ids=tokens["input_ids"].to(self.device).expand(count, -1),
                attention_mask=tokens["attention_mask"].to(self.device).expand(count, -1),
                encoder_hidden_states=seen.expand(count, -1, -1),
                encoder_attention_mask=torch.ones(count, seen.shape[1], device=self.device),
            ).last_hidden_state  # (n, t, d)
            decided: Tensor = network.itm_head(read[:, 0])  # (n, 2)
            return decided

    return Matcher().to(device or get_device_name())


def _outputs(model: Any) -> Iterator[Tensor]:
    """The logits of a text beside a picture."""
    yield model.logits(["a"], model.patches([Image.new("RGB", (64, 64))]))
