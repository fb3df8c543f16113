"""A loopback server that speaks the chat-completions protocol and records what it is sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image


@dataclass
class ChatServer:
    """Answers each request with the next reply of a script, the last one for ever.

    A reply is a string (the assistant's text) or a list of tool calls ``(name, arguments)``.

    Attributes:
        url: Base URL, for ``base_url`` or ``api_base``.
        requests: The decoded JSON bodies, in order of arrival.
    """

    url: str
    replies: Sequence[str | list[tuple[str, dict[str, Any]]]]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def next_message(self) -> dict[str, Any]:
        """The assistant message that answers the request recorded last."""
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(reply, str):
            return {"role": "assistant", "content": reply}
        calls = [
            {
                "id": f"call_{len(self.requests)}_{number}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for number, (name, arguments) in enumerate(reply)
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}

    def parts(self, request: int = -1, type: str | None = None) -> list[dict[str, Any]]:
        """The content parts of all messages of a request, strings as text parts, in order."""
        found: list[dict[str, Any]] = []
        for message in self.requests[request]["messages"]:
            content = message.get("content") or []
            if isinstance(content, str):
                content = [{"type": "text", "text": content}]
            found += content
        return [part for part in found if type is None or part["type"] == type]

    def text(self, request: int = -1) -> str:
        """All text of a request, joined."""
        return "\n".join(part["text"] for part in self.parts(request, "text"))

    def image_bytes(self, request: int = -1) -> list[bytes]:
        """The bytes of each picture of a request; fails unless all are data URLs."""
        urls = [part["image_url"]["url"] for part in self.parts(request, "image_url")]
        assert all(url.startswith("data:image/") for url in urls)
        return [base64.b64decode(url.split(",", 1)[1], validate=True) for url in urls]

    def images(self, request: int = -1) -> list[Image.Image]:
        """The decoded pictures of a request."""
        return [Image.open(BytesIO(data)).convert("RGB") for data in self.image_bytes(request)]


@contextmanager
def chat_server(
    replies: Sequence[str | list[tuple[str, dict[str, Any]]]] = ("Here it is.",),
    *,
    rule: Callable[[dict[str, Any]], str | None] | None = None,
) -> Iterator[ChatServer]:
    """Run a `ChatServer` on a free port of 127.0.0.1 for the length of the block.

    With a ``rule`` (such as `tests.support.chat_rules.broken_rule`) a request that breaks it is
    answered with status 400 and the rule's words, and takes no reply from the script.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            if not self.path.endswith("/chat/completions"):
                self.send_error(404)
                return
            if rule is not None and (broken := rule(body)) is not None:
                self._refuse(broken)
                return
            with lock:
                server.requests.append(body)
                message = server.next_message()
            reason = "tool_calls" if message.get("tool_calls") else "stop"
            if body.get("stream"):
                for number, call in enumerate(message.get("tool_calls", [])):
                    call["index"] = number
                chunks = [
                    _completion("chat.completion.chunk", {"delta": message, "finish_reason": None}),
                    _completion("chat.completion.chunk", {"delta": {}, "finish_reason": reason}),
                ]
                lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
                self._send("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]))
            else:
                choice = {"message": message, "finish_reason": reason}
                self._send("application/json", json.dumps(_completion("chat.completion", choice)))

        def _refuse(self, broken: str) -> None:
            error = {"error": {"message": broken, "type": "invalid_request_error"}}
            self._send("application/json", json.dumps(error), 400)

        def _send(self, content_type: str, text: str, status: int = 200) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    lock = threading.Lock()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = ChatServer(f"http://127.0.0.1:{listener.server_address[1]}/v1", replies)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _completion(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, **choice}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
