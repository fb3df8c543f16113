"""What OpenAI's and Jina's clients send to be embedded or reranked, and read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unisem.wire.base import FEW, Items

_TOLERANT = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class TextInput(BaseModel):
    """A text, as Jina's clients send it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    text: str = Field(description="The text.")


class ImageInput(BaseModel):
    """A picture, as Jina's clients send it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    image: str = Field(description="A data URI, or base64. No URL is fetched.")


class EmbeddingsRequest(BaseModel):
    """A request for embeddings, in either dialect; what else a client sends is ignored."""

    model_config = _TOLERANT
    input: Annotated[
        str | Items[str | TextInput | ImageInput] | Items[int] | Items[Items[int]], FEW
    ] = Field(
        description="A text, several, or Jina's items `{text}` and `{image}`. Tokens are refused.",
        examples=[["a tiger", "a teapot"], [{"text": "a tiger"}]],
    )
    model: str | None = Field(
        None, description="A name of `/v1/models`; the only one if left out.", examples=["mini"]
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="Numbers, or base64 of little-endian float32."
    )
    embedding_type: str | None = Field(None, description="The same in Jina's dialect.")
    dimensions: int | None = Field(
        None, description="The model's own dimension; vectors are not cut."
    )
    task: str | None = Field(
        None,
        description="What the texts are: with `query` in it what somebody asks, else what is "
        "searched.",
        examples=["retrieval.query"],
    )


class Usage(BaseModel):
    """How many tokens the texts had."""

    prompt_tokens: int = Field(description="The texts' tokens.")
    total_tokens: int = Field(description="The same.")


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Which input it is of.")
    embedding: list[float] | str = Field(description="Numbers, or base64.")


class Embeddings(BaseModel):
    """The vectors of all inputs, in order."""

    object: Literal["list"] = "list"
    data: list[Embedding] = Field(description="One for each input.")
    model: str = Field(description="The model.")
    usage: Usage = Field(description="How many tokens.")


class RerankRequest(BaseModel):
    """A request to put documents in order, as Jina's and Cohere's clients send it."""

    model_config = _TOLERANT
    query: str | TextInput | ImageInput = Field(
        description="What is asked.", examples=["a striped cat"]
    )
    documents: Items[str | TextInput | ImageInput] = Field(
        description="What is put in order.", min_length=1
    )
    model: str | None = Field(
        None, description="A reranker that the service was started with; the first if left out."
    )
    top_n: int | None = Field(None, description="How many results at most.", ge=1)
    return_documents: bool | None = Field(
        None, description="Whether results bring their documents."
    )


class RerankResult(BaseModel):
    """One document in its place."""

    index: int = Field(description="Where it stood in the request.")
    relevance_score: float = Field(description="Higher is better.")
    document: dict[str, Any] | None = Field(None, description="The document.")


class RerankTokens(BaseModel):
    """How many tokens, about."""

    total_tokens: int = Field(description="A quarter of the characters.")


class Reranked(BaseModel):
    """Documents in order, best first."""

    model: str = Field(description="The reranker.")
    object: Literal["list"] = "list"
    usage: RerankTokens = Field(description="How many tokens.")
    results: list[RerankResult] = Field(description="Best first.")


class Model(BaseModel):
    """A model that can be named."""

    id: str = Field(description="Its name.")
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "unisem"


class Models(BaseModel):
    """The models that can be named."""

    object: Literal["list"] = "list"
    data: list[Model] = Field(description="The models.")


class ErrorBody(BaseModel):
    """What was wrong, as OpenAI's clients read it."""

    message: str = Field(description="What was wrong, and what to do.")
    type: str = Field(description="`invalid_request_error` or `server_error`.")
    param: str | None = Field(description="Which part of the request.")
    code: str | None = Field(description="A word for it.")


class ErrorAnswer(BaseModel):
    """An error, as OpenAI's clients read it."""

    error: ErrorBody = Field(description="The error.")
