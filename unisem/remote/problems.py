"""`error_of`: what a service says is wrong, as the core's own error."""

from __future__ import annotations

from pydantic import ValidationError

from unisem import errors
from unisem.errors import ImageError, ServiceError
from unisem.wire.problem import URN, Problem

_KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        errors.RecordError,
        errors.FilterError,
        errors.EncoderError,
        errors.ModalityError,
        errors.CalibrationError,
        errors.RerankerError,
        errors.EncoderMismatchError,
        errors.StoreError,
        errors.VectorError,
        errors.StoreLockedError,
        errors.CorruptStoreError,
        ValueError,
    )
}
_STRANGE = {
    403: "what answers is no service of unisem: a proxy before it may want something else",
    404: "what answers is no service of unisem: give the address that `unisem serve` says",
    413: "a proxy before the service takes no request so large",
    502: "a proxy answers in place of the service; is that running?",
}
"""What to do about answers that are none of the service's."""
_LONGEST = 2000  # characters of what is believed


def error_of(status: int, body: bytes, url: str) -> Exception:
    """The error that an answer means.

    Args:
        status: Its HTTP status, from 400.
        body: ``application/problem+json``, or whatever stands before the service.
        url: The service.
    """
    if status == 401:
        return ServiceError(
            f"{url} does not know who asks (HTTP 401); pass token=…, one that the service knows by "
            "its --token-file",
            status=status,
        )
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        remedy = _STRANGE.get(status)
        words = f"{url} refuses (HTTP {status}){'' if remedy is None else f'; {remedy}'}"
        return ServiceError(words, status=status)
    detail, remedy = problem.detail[:_LONGEST], (problem.remedy or "")[:_LONGEST]
    words = f"{detail}; {remedy}" if remedy else detail
    name = problem.type.removeprefix(URN)
    if name == ImageError.__name__:
        summary = detail.removeprefix("the picture ")
        return ImageError("picture", summary, f"; {remedy}" if remedy else "")
    if name in _KINDS:
        return _KINDS[name](words)
    if status == 422:  # beyond a limit of the service's, or of another shape
        return ValueError(words)
    return ServiceError(f"{url}: {words}", status=status)
