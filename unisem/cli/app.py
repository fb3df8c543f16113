"""The program ``unisem``: its commands, and what becomes of their errors."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unisem import __version__
from unisem.cli.terminal import complain, note, told
from unisem.common.interrupts import notice_interrupts
from unisem.common.lazy import TORCH, needs_torch
from unisem.common.printable import plain
from unisem.errors import UniSemError

COMMANDS = (
    "index",
    "watch",
    "search",
    "duplicates",
    "caption",
    "label",
    "feedback",
    "tokens",
    "graph",
    "calibrate",
    "demo",
    "train",
    "train-reranker",
    "evaluate",
    "diagnose",
    "merge-adapter",
    "export-onnx",
    "convert",
    "store",
    "serve",
    "mcp",
)
"""Each is what its module in `unisem.cli` calls by its name, as Python spells it."""
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus the number of the signal, as shells have it."""


class _Commands(TyperGroup):
    """Commands whose foreseen errors become one line on standard error and an exit code."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _usage_errors_printable():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _usage_errors_printable():
            return self._invoke(ctx)

    def _invoke(self, ctx: Any) -> Any:
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
        except ImportError as error:
            words = needs_torch("this command") if error.name in TORCH else None
            if words is None:
                raise
            complain(words)
            raise typer.Exit(1) from None
        except OSError as error:
            complain(told(error))
            raise typer.Exit(1) from None


class _Remarks(logging.Handler):
    """What the packages log, as remarks."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


@contextmanager
def _usage_errors_printable() -> Iterator[None]:
    """An argument that is quoted may be a file's name that a shell filled in."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):  # Click's, whichever copy of Click Typer brings
            vars(error)["message"] = plain(str(vars(error)["message"]))
        raise


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unisem {__version__}")
        raise typer.Exit


def _unisem(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """One semantic space for text and images: build it, search it, see what a model is shown."""


def application(only: str | None = None) -> typer.Typer:
    """The program: with one command if that is what ``only`` names, else with all of them.

    A search need not wait until training's settings are loaded.
    """
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_unisem)
    for name in [only] if only in COMMANDS else COMMANDS:
        spelt = name.replace("-", "_")
        command = getattr(import_module(f"unisem.cli.{spelt}"), spelt)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def run() -> None:
    """Run the program on this process's arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A caption may have characters that an old terminal's encoding lacks.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with a picture is an error's
    logging.basicConfig(handlers=[_Remarks(logging.WARNING)])
    notice_interrupts()
    try:
        application(next(iter(sys.argv[1:]), None))(prog_name="unisem")
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        # What is done is stored and closed; a thread that is loading a model is not waited for.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(INTERRUPTED)
