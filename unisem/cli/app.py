"""The program ``unisem``: its commands, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unisem import __version__
from unisem.cli.demo import demo
from unisem.cli.evaluate import evaluate
from unisem.cli.index import index
from unisem.cli.search import search
from unisem.cli.store import store
from unisem.cli.terminal import complain
from unisem.cli.train import train
from unisem.errors import UniSemError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus the number of the signal, as shells have it."""


class _Commands(TyperGroup):
    """Commands whose foreseen errors become one line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe shows here, not while the interpreter goes down
            return result
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read has gone; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except UniSemError as error:
            complain(str(error))
            raise typer.Exit(1) from None
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(index)
app.command()(search)
app.command()(demo)
app.command()(train)
app.command()(evaluate)
app.add_typer(store, name="store")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unisem {__version__}")
        raise typer.Exit


@app.callback()
def _unisem(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """One semantic space for text and images: build it, search it, see what a model is shown."""


def main() -> None:
    """Run the program on this process's arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A caption may have characters that an old terminal's encoding lacks.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app(prog_name="unisem")
