"""`upload_route`: a request with files becomes the same request in JSON, before it is looked at."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from unisem.service.http.guard import is_form, too_many_values
from unisem.service.http.problems import problem, refusal_of
from unisem.service.http.values import ValueCount
from unisem.service.refusal import RefusedError, too_many

_MOST_FIELDS = 8


class _AsJson(Request):
    """A request whose body is other bytes than those that were sent."""

    def __init__(self, request: Request, body: bytes) -> None:
        headers = [
            (name, value)
            for name, value in request.scope["headers"]
            if name not in (b"content-type", b"content-length")
        ]
        headers += [(b"content-type", b"application/json")]
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._body = body


def upload_route(field: str) -> type[APIRoute]:
    """A kind of route that takes JSON, and multipart/form-data with the same JSON in a field.

    Files come into the JSON as data URIs: the file ``image`` as its ``image``; of a field
    ``records``, which is a list, the files ``image`` in the order of those that have none.

    Args:
        field: The name of the field that holds the JSON; it may be left out.
    """

    class UploadRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handler(request: Request) -> Response:
                if is_form(request.headers.get("content-type", "")):
                    try:
                        request = _AsJson(request, await _body(request, field))
                    except RefusedError as error:
                        return problem(refusal_of(error), request.scope["path"])
                return await handle(request)

            return handler

    return UploadRoute


async def _body(request: Request, field: str) -> bytes:
    limits = request.app.state.service.settings
    most, size = limits.images, limits.body_bytes
    async with request.form(
        max_files=most + 1, max_fields=_MOST_FIELDS, max_part_size=size
    ) as form:
        files: list[bytes] = []
        text: str | bytes | None = None
        for name, value in form.multi_items():
            if isinstance(value, UploadFile) and name == "image":
                files.append(await value.read())
            elif name == field:
                text = value if isinstance(value, str) else await value.read()
            else:
                raise RefusedError(
                    422,
                    f"there is no field {name}",
                    field=name,
                    remedy=f"send the JSON as {field}, files as image",
                )
    if len(files) > most:
        raise too_many("the number of pictures", most, "image")
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if ValueCount().take(content or b"") > limits.values:
        raise too_many_values(limits)
    try:
        parts = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise RefusedError(400, f"{field} is not JSON", field=field) from None
    targets: Any = [parts]
    if field == "records":
        targets = parts.get("records") if isinstance(parts, dict) else None
    if not isinstance(targets, list) or not all(isinstance(it, dict) for it in targets):
        form_of = '{"records": [{…}]}' if field == "records" else "{…}"
        raise RefusedError(
            422, f"{field} is no such JSON object", field=field, remedy=f"send {form_of}"
        )
    free = [target for target in targets if target.get("image") is None]
    if len(files) > len(free):
        raise RefusedError(422, "there are more files than places for them", field="image")
    for target, data in zip(free, files, strict=False):
        target["image"] = f"data:;base64,{base64.b64encode(data).decode('ascii')}"
    return json.dumps(parts).encode()
