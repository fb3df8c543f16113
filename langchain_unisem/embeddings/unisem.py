"""`UniSemEmbeddings`: any UniSem encoder as LangChain `Embeddings`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, model_validator

from langchain_unisem.queries import ImageQuery
from unisem.common.threads import InThread
from unisem.encoders import Encoder, EncoderOptions, load_encoder
from unisem.encoders.options import Attention, Dtype
from unisem.errors import ImageError
from unisem.images.reference import ImageSource, sources_as_list
from unisem.records import Vector
from unisem.search.composition import Asked, vectors_of

_OPTIONS = tuple(field.name for field in fields(EncoderOptions))


class UniSemEmbeddings(BaseModel, Embeddings):
    """Embeddings of texts and pictures in one space.

    A string given to `embed_query` or `embed_documents` is text, also if it looks like a path or
    URL; pictures have their own methods. All vectors are unit vectors of Python floats.

    Setup:
        ``pip install "unisem[langchain]"``; the model ``mini`` comes with it.

    Key init args:
        model: ``"mini"``, a directory, or a hub id such as ``"google/siglip2-base-patch16-224"``.
        encoder: A `unisem.Encoder` made already, instead of ``model`` and how it is to embed.
        dimension, query_instruction, document_instruction, max_pixels, attention: As of
            `unisem.load_encoder`; the model decides by default.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` …; the best one present by default.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        batch_size: Inputs that go through the model at once.

    Instantiate:
        ```python
        from langchain_unisem import UniSemEmbeddings

        embeddings = UniSemEmbeddings(model="mini")
        ```

    Embed:
        ```python
        embeddings.embed_query("a striped cat")  # d floats; or an ImageQuery
        embeddings.embed_documents(["a tiger", "a teapot"])  # two times d floats
        embeddings.embed_images(["tiger.jpg", image_bytes, pil_image])
        ```

    Async:
        ```python
        await embeddings.aembed_query("a striped cat")
        await embeddings.aembed_images(["tiger.jpg"])
        ```

    Raises:
        EncoderError: There is no such model.
        ValueError: ``encoder`` together with an argument that it replaces, or an unknown argument.
    """

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), frozen=True
    )

    model: str = "mini"
    encoder: Encoder = Field(default=None, repr=False, exclude=True)  # type: ignore[assignment]
    device: str | None = None
    dtype: Dtype = "float32"
    dimension: int | None = None
    query_instruction: str | None = None
    document_instruction: str | None = None
    max_pixels: int | None = None
    attention: Attention | None = None
    batch_size: int = Field(default=32, ge=1)

    @model_validator(mode="after")
    def _find_encoder(self) -> Self:
        put = object.__setattr__  # the fields are frozen for everybody else
        if "encoder" not in self.model_fields_set:
            options = {name: getattr(self, name) for name in _OPTIONS}
            put(self, "encoder", load_encoder(self.model, device=self.device, **options))
        elif replaced := self.model_fields_set & {"model", "device", *_OPTIONS}:
            raise ValueError(f"give either encoder or {', '.join(sorted(replaced))}, not both")
        else:
            put(self, "model", self.encoder.name)
            for name in _OPTIONS:
                put(self, name, getattr(self.encoder.options, name))
        return self

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that will be searched.

        Args:
            texts: Strings; over-long ones are truncated as the model does.

        Returns:
            One vector of ``d`` floats per text, in order; ``[]`` for no texts.

        Raises:
            TypeError: ``texts`` is one string, or an item is no string.
        """
        _check_texts(texts)
        if not texts:
            return []
        return _as_lists(
            self.encoder.encode_texts(texts, role="document", batch_size=self.batch_size)
        )

    def embed_query(self, text: str | ImageQuery) -> list[float]:
        """Embed what somebody asks.

        Args:
            text: Always read as text, whatever it looks like; or an `ImageQuery`, which
                retrievers hand on to compressors such as LangChain's ``EmbeddingsFilter``. Its
                picture and its words count half each, in one vector.

        Returns:
            ``d`` floats.

        Raises:
            TypeError: ``text`` is neither.
            ImageError: The query's picture cannot be used.
        """
        if not isinstance(text, ImageQuery):
            _check_text(text, "text")
            return _as_lists(self.encoder.encode_texts([text], role="query"))[0]
        return _as_lists(vectors_of(self.encoder, [Asked(text.text or None, text.image)])[0][None])[
            0
        ]

    def embed_images(self, images: Sequence[ImageSource]) -> list[list[float]]:
        """Embed pictures.

        Args:
            images: Paths, bytes or Pillow pictures, mixed as you like.

        Returns:
            One vector of ``d`` floats per picture, in order; ``[]`` for no pictures.

        Raises:
            ImageError: Names the first picture that cannot be used. URLs are refused.
            TypeError: ``images`` is one picture, not a list.
            EncoderError: The model has no image side.
        """
        sources = sources_as_list(images)
        if not sources:
            return []
        return _as_lists(self.encoder.encode_images(sources, batch_size=self.batch_size))

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """Embed picture files: the method that Chroma, LanceDB and others look for.

        Args:
            uris: Paths of files. Despite the name, URLs are refused: nothing is fetched.

        Returns:
            As `embed_images`.

        Raises:
            ImageError: As `embed_images`, or an item is no path.
            TypeError: ``uris`` is one path, not a list.
        """
        paths = sources_as_list(uris)
        for position, path in enumerate(paths):
            if not isinstance(path, str | os.PathLike):
                raise ImageError(
                    f"uris[{position}]", f"is {type(path).__name__}, not a path; use embed_images"
                )
        return self.embed_images(paths)

    aembed_documents = InThread(embed_documents).twin
    aembed_query = InThread(embed_query).twin
    aembed_images = InThread(embed_images).twin
    aembed_image = InThread(embed_image).twin


def _check_texts(texts: Any) -> None:
    if isinstance(texts, str):
        raise TypeError("pass a list of texts, for example [text]")
    for position, text in enumerate(texts):
        _check_text(text, f"texts[{position}]")


def _check_text(text: object, label: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{label} must be a string, not {type(text).__name__}")


def _as_lists(vectors: Vector) -> list[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows
