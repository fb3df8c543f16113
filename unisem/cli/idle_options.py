"""Options of ``unisem train`` that would do nothing beside the others."""

from __future__ import annotations

import typer

_NEEDED = {
    "temperature": ("loss", "infonce"),
    "learned_temperature": ("loss", "infonce"),
    "mask_above": ("loss", "infonce"),
    "margin": ("loss", "triplet"),
    "mining": ("loss", "triplet"),
    "adversary_weight": ("adversary", None),
    "validation": ("patience", None),
}


def refuse_idle_options(context: typer.Context) -> None:
    """Refuse an option that was given without the one it belongs to.

    Args:
        context: Of the command, its parameters read.

    Raises:
        typer.BadParameter: Names it, and what it needs.
    """
    for name, (other, value) in _NEEDED.items():
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        chosen = context.params[other]
        if chosen is None or value not in (None, chosen):
            needed = f"--{other}" if value is None else f"--{other} {value}"
            raise typer.BadParameter(f"--{name.replace('_', '-')} goes with {needed}")
