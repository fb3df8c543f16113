"""`encoder_options`: how an encoder is to embed, as options of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unisem.encoders.options import Attention, Dtype, EncoderOptions

if TYPE_CHECKING:
    from unisem.encoders import Encoder
    from unisem.stores.kind import Place

_PANEL = "How the encoder embeds"
_KINDS: dict[str, tuple[Any, str, str | None]] = {
    "dimension": (int, "Keep the first N numbers of a vector.", "N"),
    "query_instruction": (str, "What goes before a query, in place of the model's own.", "TEXT"),
    "document_instruction": (str, "What goes before any other text.", "TEXT"),
    "max_pixels": (int, "Look at N pixels of a picture at most, where that is not fixed.", "N"),
    "dtype": (Dtype, "In which numbers it computes. [float32]", None),
    "attention": (Attention, "How it computes attention, by transformers' names.", None),
}

PLAIN = EncoderOptions()

Command = Callable[..., None]


def encoder_options(*names: str) -> Callable[[Command], Command]:
    """Decorate a command that takes ``asked``, `EncoderOptions`: it gets an option for each.

    Args:
        *names: Which; all if none is named.
    """
    chosen = names or tuple(_KINDS)

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: values.pop(name) for name in chosen}
            try:
                asked = EncoderOptions(**{n: v for n, v in given.items() if v is not None})
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
            command(asked=asked, **values)

        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            only = own.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += map(_parameter, chosen) if own.name == "asked" else [only]
        vars(with_options)["__signature__"] = inspect.Signature(parameters)
        return with_options

    return decorate


def encoder_for(
    name: str | None, asked: EncoderOptions, place: Place | None = None
) -> str | Encoder | None:
    """The encoder that a command names, with its options.

    Args:
        name: As it was named, if it was.
        asked: How it is to embed.
        place: Of a space, whose encoder is meant where none is named, as the space remembers it
            but for what is asked.

    Returns:
        What `SemanticSpace.open` takes; the name as it is, where nothing else was asked.

    Raises:
        EncoderError: It cannot be found, or cannot do that.
    """
    if not asked.given:
        return name
    from unisem.encoders import load_encoder
    from unisem.manifest import Manifest

    manifest = None if name is not None or place is None else Manifest.read(place)
    if manifest is not None:  # a name that comes from a file is looked for on this machine only
        told = manifest.options.remembered | asked.given
        return load_encoder(manifest.encoder, local_only=True, **told)
    return load_encoder(name or "mini", **asked.given)


def _parameter(name: str) -> inspect.Parameter:
    kind, meaning, unit = _KINDS[name]
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        metavar=unit,
        min=1 if kind is int else None,
        help=meaning,
        rich_help_panel=_PANEL,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind | None, option],
        default=None,
    )
