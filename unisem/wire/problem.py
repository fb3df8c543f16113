"""`Problem`: what went wrong, as RFC 9457's ``application/problem+json``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

URN = "urn:unisem:"
"""What a problem's type begins with, before the name of the error of the core that it was."""


class Problem(BaseModel):
    """What was wrong with which part of a request, and what to do."""

    model_config = ConfigDict(frozen=True)  # a client bears what a newer service adds

    type: str = Field(
        "about:blank",
        description="Names the kind of problem, where there is more to say than the status does.",
        examples=["urn:unisem:FilterError"],
    )
    title: str = Field(description="The kind of problem, in words.", examples=["Unprocessable"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What was wrong.", examples=["k must be at most 1,000"])
    field: str | None = Field(None, description="Which part of the request.", examples=["k"])
    remedy: str | None = Field(None, description="What to do about it.")
