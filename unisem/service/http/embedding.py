"""Routes that OpenAI's, Jina's and Cohere's clients know: embeddings, reranking, models."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence

import numpy as np
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from unisem.errors import ImageError
from unisem.images.decoding import inspect_image
from unisem.images.reference import ImageRef
from unisem.records import Record, Vector
from unisem.service.embedding import Input
from unisem.service.http.access import ThePrincipal, TheService, awaited
from unisem.service.http.problems import refusal_of
from unisem.service.refusal import RefusedError, too_many
from unisem.service.settings import ServiceSettings
from unisem.wire.openai import (
    Embedding,
    Embeddings,
    EmbeddingsRequest,
    ErrorAnswer,
    ImageInput,
    Model,
    Models,
    Reranked,
    RerankRequest,
    RerankResult,
    RerankTokens,
    TextInput,
    Usage,
)
from unisem.wire.pictures import picture_of

router = APIRouter(
    tags=["models"],
    responses={
        "4XX": {"description": "What is wrong with the request.", "model": ErrorAnswer},
        "5XX": {"description": "What is wrong here.", "model": ErrorAnswer},
    },
)
_LETTERS = 4  # characters of a token, about


@router.get("/v1/models", summary="List the models")
def list_models(service: TheService, principal: ThePrincipal) -> Models:
    """Each encoder by its name, and by one with `clip` in it, which some clients look for."""
    encoders = service.encoders(principal)
    names = [name for encoder in encoders for name in (encoder.name, encoder.alias)]
    listed = dict.fromkeys([*names, *service.rerankers])
    return Models(data=[Model(id=name) for name in listed])


@router.post("/v1/embeddings", summary="Embed texts and pictures", response_model_exclude_none=True)
async def embeddings(
    asked: EmbeddingsRequest, service: TheService, principal: ThePrincipal
) -> Embeddings:
    """Vectors of the space's own coordinates, as `load_encoder` gives them.

    OpenAI's dialect and Jina's, whose items are `{text}` or `{image}`.
    """
    encoder = service.encoder(asked.model, principal, asked.dimensions)
    if asked.dimensions not in (None, encoder.dimension):
        raise RefusedError(
            400,
            f"dimensions must be {encoder.dimension}, as vectors of this model are not cut",
            field="dimensions",
            remedy="leave it out",
        )
    written = _written(asked)
    inputs = await run_in_threadpool(_inputs, asked, service.settings)
    vectors = await awaited(encoder.embed(inputs), service)
    count = await run_in_threadpool(encoder.tokens, inputs)
    data = [Embedding(index=n, embedding=written(row)) for n, row in enumerate(vectors)]
    usage = Usage(prompt_tokens=count, total_tokens=count)
    return Embeddings(data=data, model=asked.model or encoder.name, usage=usage)


@router.post("/rerank", include_in_schema=False, response_model_exclude_none=True)
@router.post("/v1/rerank", summary="Put documents in order", response_model_exclude_none=True)
async def rerank(asked: RerankRequest, service: TheService, principal: ThePrincipal) -> Reranked:
    """Documents in the order of a reranker that the service was started with."""
    del principal  # anybody who may ask anything
    settings = service.settings
    if len(asked.documents) > settings.inputs:
        raise too_many("the number of documents", settings.inputs, "documents")
    reranker = service.hosted_reranker(asked.model, field="model")
    given = [asked.query, *asked.documents]
    inputs = await run_in_threadpool(_taken, given, settings, "document", _place)
    query, *documents = [it.value for it in inputs]
    records = [
        Record(id=f"{place:06}", text=value)
        if isinstance(value, str)
        else Record(id=f"{place:06}", image=value)
        for place, value in enumerate(documents)
    ]
    text = query if isinstance(query, str) else None
    image = ImageRef.of(query) if isinstance(query, bytes) else None
    (ranked,) = await awaited(reranker.rank(text, image, records), service)
    results = [
        RerankResult(
            index=it.position,
            relevance_score=it.score or 0.0,
            document=_shown(asked.documents[it.position]) if asked.return_documents else None,
        )
        for it in ranked[: asked.top_n]
    ]
    letters = sum(len(value) for value in (query, *documents) if isinstance(value, str))
    usage = RerankTokens(total_tokens=math.ceil(letters / _LETTERS))
    return Reranked(model=reranker.name, usage=usage, results=results)


def _written(asked: EmbeddingsRequest) -> Callable[[Vector], list[float] | str]:
    """How vectors are written."""
    kind = asked.encoding_format or asked.embedding_type or "float"
    if kind == "float":
        return lambda row: row.tolist()
    if kind == "base64":
        return lambda row: base64.b64encode(np.asarray(row, "<f4").tobytes()).decode("ascii")
    raise RefusedError(
        400,
        f"embedding_type {kind} is not written here",
        field="embedding_type",
        remedy="use float or base64",
    )


def _inputs(asked: EmbeddingsRequest, settings: ServiceSettings) -> list[Input]:
    given = [asked.input] if isinstance(asked.input, str) else list(asked.input)
    if not given:
        raise RefusedError(400, "input is empty", field="input", remedy="send a text")
    if len(given) > settings.inputs:
        raise too_many("the number of inputs", settings.inputs, "input")
    texts = [it for it in given if isinstance(it, str | TextInput | ImageInput)]
    if len(texts) < len(given):
        raise RefusedError(
            400,
            "input holds tokens, which are another model's",
            field="input",
            remedy="send the text; clients have a setting for it, such as "
            "check_embedding_ctx_length=False",
        )
    role = "query" if "query" in (asked.task or "") else "document"
    return _taken(texts, settings, role)


def _taken(
    given: Sequence[str | TextInput | ImageInput],
    settings: ServiceSettings,
    role: str = "document",
    named: Callable[[int], str] = "input.{}".format,
) -> list[Input]:
    """What is sent, within the limits; ``named`` says where it stood, if something is wrong."""
    if sum(isinstance(it, ImageInput) for it in given) > settings.images:
        raise too_many("the number of pictures", settings.images, named(0).partition(".")[0])
    taken: list[Input] = []
    for place, it in enumerate(given):
        if isinstance(it, ImageInput):
            where = f"{named(place)}.image"
            try:
                taken.append(Input(_picture(it.image, where, settings)))
            except ImageError as error:
                refused = refusal_of(error)
                refused.field = where
                raise refused from error
        else:
            text = it if isinstance(it, str) else it.text
            taken.append(Input(text, "query" if role == "query" else "document"))
    return taken


def _place(number: int) -> str:
    """Where in a request for reranking something stood."""
    return f"documents.{number - 1}" if number else "query"


def _picture(text: str, name: str, settings: ServiceSettings) -> bytes:
    """A picture, which Jina's clients send as a data URI or as bare base64."""
    try:
        data = picture_of(text, name)
    except ImageError as refused:
        try:
            data = base64.b64decode(text, validate=True)
            inspect_image(data, name)
        except ValueError:  # an `ImageError` is one, too
            raise refused from None
    info = inspect_image(data, name)
    if info.width * info.height > settings.pixels:
        raise too_many("the pixels of a picture", settings.pixels, name)
    return data


def _shown(document: str | TextInput | ImageInput) -> dict[str, object]:
    return {"text": document} if isinstance(document, str) else document.model_dump()
