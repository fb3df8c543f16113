"""`SearchArguments`: what a model may ask of a search, checked before anything is searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llama_index.core.bridge.pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from unisem.filters import And, Comparison, Filter, Operator
from unisem.records import Modality

_OPERATORS = {
    "==": Operator.EQ,
    "!=": Operator.NE,
    ">": Operator.GT,
    ">=": Operator.GE,
    "<": Operator.LT,
    "<=": Operator.LE,
    "in": Operator.IN,
    "not in": Operator.NOT_IN,
    "contains": Operator.CONTAINS,
    "text": Operator.TEXT_INSENSITIVE,
}

Scalar = bool | int | float | str


class SearchCondition(BaseModel):
    """One condition on a metadata field."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Name of a metadata field.")
    operator: Literal["==", "!=", ">", ">=", "<", "<=", "in", "not in", "contains", "text"] = Field(
        description=(
            '"in" and "not in" take a list of values; "contains": the field is a list that has '
            'the value; "text": the field is a string with the value in it, case ignored.'
        )
    )
    value: Scalar | list[Scalar]

    def to_filter(self) -> Filter:
        """The condition as the core's filter.

        Raises:
            FilterError: The value does not suit the operator.
        """
        return Comparison(self.field, _OPERATORS[self.operator], self.value)


class SearchArguments(BaseModel):
    """The arguments of a search."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(
        description=(
            "What to look for, in words, as short as a caption. It may be empty if image is given."
        )
    )
    image: str | None = Field(
        default=None,
        description=(
            "Id of a picture that a search found, to look for what is like it, or with the query "
            "for what the words change about it. Never a path or a URL."
        ),
    )
    modality: Modality | None = Field(
        default=None, description='"image": only pictures; "text": only texts; null: both.'
    )
    top_k: int = Field(default=4, ge=1, description="How many results at most.")
    filter: list[SearchCondition] = Field(
        default_factory=list, description="Conditions on metadata; all of them must hold."
    )

    @field_validator("image", "modality", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value  # models fill in what they leave out

    @field_validator("query", "top_k", "filter", mode="before")
    @classmethod
    def _null_is_left_out(cls, value: object, info: ValidationInfo) -> object:
        if value is not None:
            return value
        field = cls.model_fields[str(info.field_name)]
        return "" if field.is_required() else field.get_default(call_default_factory=True)

    @property
    def condition(self) -> Filter | None:
        """All conditions as one filter, or ``None``.

        Raises:
            FilterError: A value does not suit its operator.
        """
        parts = tuple(part.to_filter() for part in self.filter)
        return And(parts) if parts else None


def arguments_for(
    default_k: int, max_k: int, fields: Mapping[str, str] | None, modality: Modality | None
) -> type[SearchArguments]:
    """The arguments that one tool takes, as a schema for the model.

    Args:
        default_k: How many results if the model does not say.
        max_k: How many it may ask for.
        fields: The metadata fields that it may filter by, with what they mean; ``None``: any.
        modality: The only modality that can be found; ``None``: both.
    """
    changed: dict[str, Any] = {
        "top_k": (
            int,
            Field(default=default_k, ge=1, le=max_k, description="How many results at most."),
        )
    }
    if modality is not None:
        described = f'Only "{modality}" can be found here.'
        changed["modality"] = (Literal[modality] | None, Field(None, description=described))
    if fields is not None:
        known = "; ".join(f"{name}: {meaning}" for name, meaning in fields.items())
        named: Any = Literal[tuple(fields)] if fields else str
        condition = create_model(
            "SearchCondition",
            __base__=SearchCondition,
            field=(named, Field(description=f"One of these. {known}")),
        )
        most = None if fields else 0
        changed["filter"] = (
            list[condition],  # type: ignore[valid-type]
            Field(
                default_factory=list,
                max_length=most,
                description="Conditions on metadata; all of them must hold.",
            ),
        )
    return create_model("SearchArguments", __base__=SearchArguments, **changed)


def parsed(schema: type[SearchArguments], arguments: Mapping[str, Any]) -> SearchArguments:
    """Check a call's arguments.

    Raises:
        ValueError: Says of each bad argument what is wrong with it, in words that a model can act
            on.
    """
    try:
        return schema.model_validate(dict(arguments))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_context=False)
        )
        known = ", ".join(schema.model_fields)
        raise ValueError(f"the search was not made: {wrong}. Arguments are {known}") from None
