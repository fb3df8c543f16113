"""What goes wrong, as an answer: ``application/problem+json``, or as OpenAI's clients read it."""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from unisem.common.printable import plain, shortened
from unisem.errors import (
    CalibrationError,
    EncoderError,
    FilterError,
    ImageError,
    ModalityError,
    RecordError,
    RerankerError,
    StoreLockedError,
    UniSemError,
    VectorError,
)
from unisem.service.refusal import RefusedError
from unisem.wire.problem import URN, Problem
from unisem.wire.query import WireQuery
from unisem.wire.wrong import what_is_wrong

OPENAI_PATHS = ("/v1/embeddings", "/v1/rerank", "/rerank", "/v1/models")
"""Where errors have OpenAI's shape."""
_LONGEST = 500  # characters of a detail; a request may quote itself
_log = logging.getLogger("unisem.service")


def is_openai(path: str) -> bool:
    """Whether a path is one that OpenAI's clients know."""
    return path in OPENAI_PATHS


def problem(error: RefusedError, path: str) -> Response:
    """What to answer to a request of a path."""
    status = error.status
    if status == 422 and is_openai(path):
        status = 400  # which is what those clients know
    title = HTTPStatus(status).phrase
    detail = shortened(plain(error.detail), _LONGEST)
    remedy = None if error.remedy is None else shortened(plain(error.remedy), _LONGEST)
    field = None if error.field is None else shortened(plain(error.field), _LONGEST)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    body: dict[str, Any]
    if is_openai(path):
        kind = "server_error" if error.status >= 500 else "invalid_request_error"
        message = detail if remedy is None else f"{detail}; {remedy}"
        body = {"error": {"message": message, "type": kind, "param": field, "code": error.code}}
        media_type = "application/json"
    else:
        known = Problem(
            type="about:blank" if error.kind is None else f"{URN}{error.kind}",
            title=title,
            status=status,
            detail=detail,
            field=field,
            remedy=remedy,
        )
        body, media_type = known.model_dump(), "application/problem+json"
    content = json.dumps(body, ensure_ascii=False).encode()
    return Response(content, status, headers, media_type)


def refusal_of(error: Exception) -> RefusedError:
    """What an error means to whoever sent the request; what only we may know is logged."""
    refusal = _refusal(error)
    if refusal is not error and isinstance(error, UniSemError | ValueError):
        refusal.kind = type(error).__name__
    return refusal


def _refusal(error: Exception) -> RefusedError:
    match error:
        case RefusedError():
            return error
        case ImageError():
            return RefusedError(
                422, f"the picture {error.summary}", field="image", remedy=_hint(error)
            )
        case FilterError():
            return _split(error, "filter")
        case RecordError():
            return _split(error, None)
        case UnicodeError():
            return RefusedError(422, "what was sent is not valid Unicode")
        case CalibrationError() | VectorError() | ValueError():
            return _split(error, None)
        case StoreLockedError():
            _log.warning("%s", error)
            return RefusedError(
                503, "another process is writing to this space", remedy="try again", retry_after=5
            )
        case ModalityError():
            return RefusedError(422, "the encoder of this space cannot embed that")
        case EncoderError():
            _log.error("%s", error)
            return RefusedError(500, "the encoder failed; the service's log says why")
        case RerankerError():
            _log.warning("%s", error)
            return RefusedError(500, "the reranker failed")
        case UniSemError():
            _log.error("%s", error)
            return RefusedError(500, "the space cannot do that now; the service's log says why")
    _log.error("unexpected error", exc_info=error)
    return RefusedError(500, "something went wrong here; the service's log says what")


def handle_errors(app: FastAPI) -> None:
    """Have an app answer errors so."""

    async def known(request: Request, error: Exception) -> Response:
        return problem(refusal_of(error), request.scope["path"])

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem(_invalid(error), request.scope["path"])

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        phrases = {404: "there is nothing at this path", 405: "the path has no such method"}
        detail = phrases.get(error.status_code, str(error.detail))
        remedy = "/openapi.json says what there is" if error.status_code in phrases else None
        refusal = RefusedError(error.status_code, detail, remedy=remedy)
        answer = problem(refusal, request.scope["path"])
        for name, value in (error.headers or {}).items():
            answer.headers[name] = value
        return answer

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(UniSemError, known)
    app.add_exception_handler(ValueError, known)


def _invalid(error: RequestValidationError) -> RefusedError:
    first = error.errors()[0]
    place = first["loc"][1:] if first["loc"][:1] == ("body",) else first["loc"]
    if first["type"] == "json_invalid":
        return RefusedError(400, "the body is not JSON", remedy="send application/json")
    field = ".".join(map(str, place)) or "body"
    if not place and first["type"] in ("missing", "model_attributes_type"):
        return _no_object(first.get("input"))
    message = what_is_wrong(first).removeprefix(f"{field}: ")
    detail, _, remedy = message.partition("; ")
    if first["type"] == "extra_forbidden":
        detail = f"there is no field {place[-1]!s}"
    if not detail.startswith(f"{field} "):
        detail = f"{field}: {detail}"
    return RefusedError(422, detail, field=field, remedy=remedy or None)


def _no_object(body: object) -> RefusedError:
    """A body that is no object: most often what curl sends as a form, not parsed."""
    if isinstance(body, bytes):
        return RefusedError(
            422,
            "the body was not read as JSON",
            field="body",
            remedy="send it with Content-Type: application/json",
        )
    return RefusedError(422, "the body is no JSON object", field="body", remedy="send {…}")


def _split(error: Exception, field: str | None) -> RefusedError:
    """The house's messages say what is wrong, and what to do after a semicolon."""
    detail, _, remedy = str(error).partition("; ")
    word = re.match(r"\w+", detail)
    if word is not None and word[0] in WireQuery.model_fields:
        field = word[0]
    return RefusedError(422, detail, field=field, remedy=remedy or None)


def _hint(error: ImageError) -> str | None:
    detail = error.reason.removeprefix(error.summary)
    return detail.removeprefix("; ") if detail.startswith("; ") else None
