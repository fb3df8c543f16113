"""`PairFormat`: how a query and a record are handed to a cross encoder: as data, nothing else."""

from __future__ import annotations

from typing import Any

from PIL import Image

from unisem.models.special_tokens import matching, special_tokens

Side = str | dict[str, Any]
"""One half of a pair: a text, or its parts by name."""


class PairFormat:
    """Writes the halves of a pair as a model reads them.

    sentence-transformers guesses what a bare string is, and a model that sees pictures would fetch
    one that looks like a URL. Where the model reads messages every part is labelled, so a string is
    text and only text.

    Names of special tokens are taken out of texts. In a caption, ``<image>`` would break the
    model's input, and ``<|im_end|>`` would let a stored text end its message and write the verdict.

    Args:
        model: A loaded ``CrossEncoder``.

    Attributes:
        sees_images: Whether a half may have a picture.
    """

    def __init__(self, model: Any) -> None:
        formatter = getattr(model[0], "input_formatter", None)
        chats = "message" in model.modalities
        self._labelled = chats and getattr(formatter, "message_format", None) != "flat"
        self.sees_images: bool = self._labelled and bool(model.supports("image"))
        self._special = matching(special_tokens(model))

    def side(self, text: str | None, picture: Image.Image | None = None) -> Side:
        """Write one half.

        Args:
            text: Its words; ``None`` only beside a picture.
            picture: Its picture, for a model that sees pictures.
        """
        plain = None if text is None else self._special.sub(" ", text)
        if not self._labelled:
            return plain or ""
        parts: dict[str, Any] = {}
        if picture is not None:
            parts["image"] = picture
        if plain is not None:
            parts["text"] = plain
        return parts
