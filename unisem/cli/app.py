"""The program ``unisem``: its commands, and what becomes of their errors."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unisem import __version__
from unisem.cli.calibrate import calibrate
from unisem.cli.caption import caption
from unisem.cli.demo import demo
from unisem.cli.diagnose import diagnose
from unisem.cli.evaluate import evaluate
from unisem.cli.export_onnx import export_onnx
from unisem.cli.index import index
from unisem.cli.search import search
from unisem.cli.store import store
from unisem.cli.terminal import complain, note
from unisem.cli.tokens import tokens
from unisem.cli.train import train
from unisem.cli.train_reranker import train_reranker
from unisem.common.interrupts import notice_interrupts
from unisem.common.lazy import TORCH, needs_torch
from unisem.common.printable import plain
from unisem.errors import UniSemError

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
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
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


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(index)
app.command()(search)
app.command()(caption)
app.command()(tokens)
app.command()(calibrate)
app.command()(demo)
app.command()(train)
app.command("train-reranker")(train_reranker)
app.command()(evaluate)
app.command()(diagnose)
app.command("export-onnx")(export_onnx)
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
        app(prog_name="unisem")
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        # What is done is stored and closed; a thread that is loading a model is not waited for.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(INTERRUPTED)
