"""`recipe_options`: a command's options from the settings of a recipe, which say what they mean."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from types import GenericAlias
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import typer

from unisem.training.settings import Setting, choices_of, settings_of

_ENTRY = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)
_NONE = "none"
_EXAMPLE = "256,128"

Command = Callable[..., None]


def recipe_options(recipe: type[Any]) -> Callable[[Command], Command]:
    """Decorate a command that takes a ``recipe``: it gets an option for each setting instead.

    An option has the field's name, type, bounds and default; its help is the field's entry under
    ``Attributes`` of the recipe. The settings of a dataclass that is a field itself, such as random
    changes, are options like the others; without any of them the field has its default.

    Args:
        recipe: A dataclass that has settings (see `Setting`) and raises ``ValueError`` for what
            means nothing.
    """
    options = list(_options(recipe))

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_options(context: typer.Context, **values: Any) -> None:
            chosen = {option: values.pop(option.name) for option in options}
            try:
                given = {o: o.read(value) for o, value in chosen.items() if o.is_in(context)}
                made = _made(recipe, given, options)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
            command(recipe=made, **values)

        parameters = [_parameter("context", typer.Context)]
        for own in inspect.signature(command, eval_str=True).parameters.values():
            parameters += [o.parameter for o in options] if own.name == "recipe" else [own]
        vars(with_options)["__signature__"] = inspect.Signature(parameters)
        return with_options

    return decorate


@dataclass(frozen=True, slots=True, eq=False)
class _Option:
    """A setting as a command has it.

    Attributes:
        name: The field's.
        default: The field's.
        owner: Which field of the recipe the setting lies in, and that one's class; ``None``
            where it is the recipe's own.
        known: What is known of it.
        read: Makes the field's value of the option's.
        parameter: Of the command.
    """

    name: str
    default: Any
    owner: tuple[str, type[Any]] | None
    known: Setting
    read: Callable[[Any], Any]
    parameter: inspect.Parameter

    @property
    def flag(self) -> str:
        """How it is written."""
        return _flag(self.name, self.known)

    def is_in(self, context: typer.Context) -> bool:
        """Whether it was given."""
        source = context.get_parameter_source(self.name)
        return source is not None and source.name == "COMMANDLINE"


def _options(recipe: type[Any], owner: tuple[str, type[Any]] | None = None) -> Iterator[_Option]:
    hints, settings = get_type_hints(recipe), settings_of(recipe)
    meanings = dict(_ENTRY.findall(inspect.getdoc(recipe) or ""))
    for field in fields(recipe):
        name = field.name
        for kind in get_args(hints[name]):
            if isinstance(kind, type) and is_dataclass(kind):
                yield from _options(kind, (name, kind))
        if name not in settings:
            continue
        hint, known = settings[name]
        kind, read, choices = _taken(name, hint)
        meaning, _, otherwise = " ".join(meanings[name].split()).partition("``None``: ")
        option = typer.Option(
            _flag(name, known),
            metavar=known.unit,
            min=known.least,
            max=known.most,
            help=_in_words(meaning, settings) + choices,
            show_default=_in_words(otherwise, settings).rstrip(".") or True,
            rich_help_panel=known.subject,
        )
        default = None if get_origin(_given(hint)) is tuple else field.default
        yield _Option(
            name,
            field.default,
            owner,
            known,
            read,
            _parameter(name, Annotated[kind, option], default),
        )


def _taken(name: str, hint: Any) -> tuple[Any, Callable[[Any], Any], str]:
    """What typer is to take for a setting's type, how it is read, and what to say of it."""
    if get_origin(_given(hint)) is not tuple:
        return hint, lambda value: value, ""
    choices = choices_of(get_args(_given(hint))[0])
    if not choices:
        return str | None, lambda value: _numbers(_flag(name), value), ""
    # An enumeration, as typer knows no list of literals.
    known = cast(Any, StrEnum)(name, {choice: choice for choice in (*choices, _NONE)})
    return (
        GenericAlias(list, (known,)) | None,
        lambda value: tuple(one.value for one in value if one.value != _NONE),
        f" One of {', '.join(choices)} (may be repeated), or {_NONE}.",
    )


def _given(hint: Any) -> Any:
    """A type without its ``None``."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if type(None) in get_args(hint) and len(kinds) == 1 else hint


def _numbers(flag: str, value: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise ValueError(f"{flag} takes numbers, as {_EXAMPLE}, not {value!r}") from None


def _flag(name: str, known: Setting | None = None) -> str:
    if known is not None and known.option is not None:
        return known.option
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


def _in_words(text: str, settings: dict[str, tuple[Any, Setting]]) -> str:
    """A docstring's text without its marks; another setting is named as its option."""

    def said(found: re.Match[str]) -> str:
        name = found[1]
        return _flag(name, settings[name][1]) if name in settings else name

    return re.sub(r"``?([^`]+)``?", said, text).strip()


def _parameter(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _made(recipe: type[Any], given: dict[_Option, Any], options: list[_Option]) -> Any:
    """A recipe of what was given.

    Raises:
        ValueError: It means nothing, or an option would do nothing beside the others.
    """
    values = {option.name: option.default for option in options}
    values |= {option.name: value for option, value in given.items()}
    flags = {option.name: option.flag for option in options}
    own: dict[str, Any] = {}
    inner: dict[tuple[str, type[Any]], dict[str, Any]] = {}
    for option, value in given.items():
        if option.known.needs is not None:
            other, wanted = option.known.needs
            if not values[other] or wanted not in (None, values[other]):
                needed = f"{flags[other]} {wanted or ''}".rstrip()
                raise ValueError(f"{option.flag} goes with {needed}")
        place = own if option.owner is None else inner.setdefault(option.owner, {})
        place[option.name] = value
    return recipe(**own, **{name: made(**parts) for (name, made), parts in inner.items()})
