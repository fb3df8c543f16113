"""What a model may ask of each tool: the arguments, their meaning and their bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)
from pydantic.json_schema import GenerateJsonSchema

from unisem.records import Modality, check_unicode
from unisem.search.graph_expansion import Expansion
from unisem.search.query import Mode
from unisem.service.mcp.settings import McpSettings
from unisem.wire.filters import WireFilter
from unisem.wire.wrong import what_is_wrong

_LONGEST_ID = 2_000  # characters


def _sound(text: str) -> str:
    check_unicode(text, "it")
    return text


def _none_if_empty(value: object) -> object:
    return None if value == "" else value  # models fill in what they leave out


def _or(default: int) -> Callable[[object], object]:
    """Models write null for what they leave out, whatever the schema says."""
    return lambda value: default if value is None else value


_LeftOutMode: Any = Annotated[Mode, BeforeValidator(lambda given: given or "vector")]
Id = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID), AfterValidator(_sound)]


class Untitled(GenerateJsonSchema):
    """Makes schemas in which fields have no titles, which models would read for nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        del schema
        return False


class Arguments(BaseModel):
    """Arguments of a tool."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def schema_of(cls) -> dict[str, Any]:
        """The JSON schema, as a model is shown it: without titles that say a name again."""
        return cls.model_json_schema(schema_generator=Untitled)


class SearchArguments(Arguments):
    """What to look for."""

    text: str | None
    image: str | None
    like: Id | None
    k: int
    modality: Modality | None
    filter: WireFilter | None
    mode: Mode
    min_score: float | None
    neighbors: int
    graph: Expansion | None


class ShowArguments(Arguments):
    """Which record to show."""

    id: Id = Field(description="The id of a result.")


class NeighborsArguments(Arguments):
    """Around which record to look."""

    id: Id
    count: int


class AddArguments(Arguments):
    """What to add."""

    text: str | None
    image: str | None
    metadata: dict[str, Any]


def search_arguments(settings: McpSettings) -> type[SearchArguments]:
    """The arguments of a search, within the settings' bounds."""
    return create_model(
        "SearchArguments",
        __base__=SearchArguments,
        text=(
            _text(settings),
            Field(None, description="What to look for, in words, as short as a caption."),
        ),
        image=(
            _picture(settings),
            Field(
                None,
                description="A picture to look for, as base64 or a data URI; with text, what the "
                "text changes about it. Never a path or a URL.",
            ),
        ),
        like=(
            Annotated[Id | None, BeforeValidator(_none_if_empty)],
            Field(
                None,
                description="The id of an earlier result: find what is like it, or, of a picture "
                "and with text, like it but as the text says.",
            ),
        ),
        k=(
            Annotated[int, BeforeValidator(_or(settings.k))],
            Field(
                settings.k,
                ge=1,
                le=settings.most_k,
                description=f"How many results at most, from 1 to {settings.most_k}.",
            ),
        ),
        modality=(
            Annotated[Modality | None, BeforeValidator(_none_if_empty)],
            Field(None, description='"image": only pictures; "text": only texts; null: both.'),
        ),
        filter=(
            Annotated[WireFilter | None, BeforeValidator(lambda given: given or None)],
            Field(
                None,
                description="Only records whose metadata meet this condition, for example "
                '{"field": "year", "operator": "ge", "value": 2020}. Fields are those that '
                'results have as metadata. Join conditions by {"and": […]}, {"or": […]}, '
                '{"not": …}.',
            ),
        ),
        mode=(
            _LeftOutMode,
            Field(
                "vector",
                description='"vector": by meaning; "keyword": by the words themselves, as for '
                'names and numbers; "hybrid": by both.',
            ),
        ),
        min_score=(
            float | None,
            Field(
                None,
                allow_inf_nan=False,
                description="Leave out results by meaning whose score is below this.",
            ),
        ),
        neighbors=(
            Annotated[int, BeforeValidator(_or(0))],
            Field(
                0,
                ge=0,
                le=settings.most_neighbors,
                description="How many passages before and after each result come with it.",
            ),
        ),
        graph=(
            Annotated[Expansion | None, BeforeValidator(_none_if_empty)],
            Field(
                None,
                description="Use what the collection knows of how things are related. "
                '"pagerank": what has to do with what is asked for; "taxonomy": kinds of it, where '
                'the text is nothing but a name, as "string instrument". Results say by which way '
                "they were found.",
            ),
        ),
    )


def neighbors_arguments(settings: McpSettings) -> type[NeighborsArguments]:
    """The arguments of a look around a record, within the settings' bounds."""
    return create_model(
        "NeighborsArguments",
        __base__=NeighborsArguments,
        id=(Id, Field(description="The id of a result.")),
        count=(
            Annotated[int, BeforeValidator(_or(1))],
            Field(
                1,
                ge=1,
                le=settings.most_neighbors,
                description="How many records before it, and how many after it.",
            ),
        ),
    )


def add_arguments(settings: McpSettings) -> type[AddArguments]:
    """The arguments of an addition, within the settings' bounds."""
    return create_model(
        "AddArguments",
        __base__=AddArguments,
        text=(
            _text(settings),
            Field(None, description="A text, or the picture's caption."),
        ),
        image=(
            _picture(settings),
            Field(None, description="A picture, as base64 or a data URI. Never a path or a URL."),
        ),
        metadata=(
            Annotated[dict[str, Any], BeforeValidator(lambda given: given or {})],
            Field(
                default_factory=dict,
                max_length=100,
                description='What searches may filter by, for example {"year": 2024}.',
            ),
        ),
    )


def wrong_arguments(error: ValidationError) -> str:
    """What is wrong with arguments, in words that a model can act on; quotes nothing of them."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc'])}: {what_is_wrong(detail)}"
        for detail in error.errors(include_url=False, include_input=False)
    )


def _text(settings: McpSettings) -> Any:
    bounded = Annotated[str, Field(max_length=settings.sent_text), AfterValidator(_sound)]
    return Annotated[bounded | None, BeforeValidator(_none_if_blank)]


def _none_if_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _picture(settings: McpSettings) -> Any:
    longest = settings.sent_bytes * 4 // 3 + 200  # in base64, with the head of a data URI
    bounded = Annotated[str, Field(max_length=longest)]
    return Annotated[bounded | None, BeforeValidator(_none_if_empty)]
