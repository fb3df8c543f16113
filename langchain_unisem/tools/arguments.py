"""What an agent's model may ask of a search tool: the arguments' schema, and their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from langchain_core.tools import InjectedToolArg
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from langchain_unisem.filters import to_filter
from langchain_unisem.retrievers import UniSemRetriever
from unisem.errors import FilterError
from unisem.filters import Filter, fields_of
from unisem.records import Modality

_OPERATORS = "$eq $ne $gt $gte $lt $lte $in $nin $contains $exists $and $or $not"


def arguments_schema(
    retriever: UniSemRetriever, max_k: int, fields: Mapping[str, str]
) -> type[BaseModel]:
    """Make the schema of a tool's arguments; it has only what the retriever can do.

    Args:
        retriever: What the tool searches with.
        max_k: The most results that the model may ask for.
        fields: Metadata that the model may filter by, each with a description.
    """
    k = default_k(retriever, max_k)
    words = "What to look for, in words."
    arguments: dict[str, Any] = {}
    if retriever.search_type != "keyword" and retriever.modality != "text":
        words += ' May be "" if "like" is given.'
        arguments["like"] = (
            str | None,
            Field(
                None,
                description="The id of a picture in an earlier result: find more like it, "
                "or, with a query, like it but as the query says. "
                '"@user" is the last picture that the user sent, "@user:2" the one before it.',
            ),
        )
    if retriever.modality is None:
        arguments["modality"] = (
            Modality | None,
            Field(None, description='"image": only pictures; "text": only texts; null: both.'),
        )
    if fields:
        known = "; ".join(f"{name}: {meaning}" for name, meaning in fields.items())
        arguments["filter"] = (
            dict[str, Any] | None,
            Field(
                None,
                description=f"Only results whose metadata match, for example "
                f'{{"{next(iter(fields))}": {{"$eq": "…"}}}}. Operators: {_OPERATORS}. '
                f"Fields: {known}.",
            ),
        )
    return create_model(
        "SearchArguments",
        __config__=ConfigDict(extra="forbid"),
        __doc__="What to search for.",
        query=(str, Field(description=words)),
        k=(
            # Models write null for what they leave out, whatever the schema says.
            Annotated[int, BeforeValidator(lambda given: k if given is None else given)],
            Field(k, ge=1, le=max_k, description=f"How many results, from 1 to {max_k}."),
        ),
        runtime=(Annotated[Any, InjectedToolArg()], None),  # an agent gives it, not its model
        **arguments,
    )


def default_k(retriever: UniSemRetriever, max_k: int) -> int:
    """How many results a model gets that does not say."""
    return max(1, min(retriever.k, max_k))


def explain_arguments(error: object) -> str:
    """Say to the model what is wrong with the arguments that it gave."""
    if not isinstance(error, ValidationError):
        return "These arguments do not suit the tool's schema."
    wrong = (
        f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_input=False)
    )
    return f"Nothing was searched, as arguments are wrong. {'; '.join(wrong)}"


def model_filter(condition: Mapping[str, Any] | None, fields: Mapping[str, str]) -> Filter | None:
    """Translate a filter that a model wrote.

    Raises:
        FilterError: It means nothing, or looks at metadata that the model is not shown.
    """
    if not condition:
        return None
    translated = to_filter(condition)
    assert translated is not None
    if hidden := sorted(fields_of(translated) - fields.keys()):
        raise FilterError(
            f"there is no field {', '.join(map(repr, hidden))} to filter by; "
            f"there are {', '.join(map(repr, fields))}"
        )
    return translated
