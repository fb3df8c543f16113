"""The OpenAPI document says what everything means."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient


def test_everything_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    silent = []
    for name, schema in document["components"]["schemas"].items():
        silent += [name] if not schema.get("description") else []
        for field, part in schema.get("properties", {}).items():
            is_constant = "const" in part or "default" in part or "$ref" in part
            if not part.get("description") and not is_constant:
                silent.append(f"{name}.{field}")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            silent += [where] if not operation.get("summary") else []
            parameters: list[Any] = operation.get("parameters", [])
            silent += [f"{where}: {it['name']}" for it in parameters if not it.get("description")]
    known = {"HTTPValidationError", "ValidationError"}  # FastAPI's own
    assert [it for it in silent if it.partition(".")[0] not in known] == []
