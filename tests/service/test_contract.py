"""Whatever is sent, the service answers as its OpenAPI document says, and never fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.length_reranker import LengthReranker
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.service.http.app import create_app

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def hold(directory: Path, examples: int, *, derandomize: bool) -> None:
    """Send requests to every operation that the document has; the same each time if not random."""
    space = SemanticSpace.open(directory / "s.unisem", encoder=ToyEncoder())
    space.add([Record(id="0", text="a"), Record(id="a/b", image=encoded(solid("red")))])
    app = create_app({"0": space}, rerankers={"length": LengthReranker()})
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    patient = settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        derandomize=derandomize,
    )
    count = 0
    for found in schema.get_all_operations():

        @patient
        @given(found.ok().as_strategy())
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        holds()
        count += 1
    assert count > 20
    space.close()


def test_the_contract_holds(tmp_path: Path) -> None:
    hold(tmp_path, 10, derandomize=True)


@pytest.mark.slow
def test_the_contract_holds_for_long(tmp_path: Path) -> None:
    hold(tmp_path, 300, derandomize=False)
