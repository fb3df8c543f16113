"""What long work says of itself on standard error: bars, where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from unisem.cli.terminal import notices
from unisem.common.printable import plain


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for one thing; yields what to call with (done, in all)."""
    with progress_bars() as show:
        show(what, 0, 0)  # there before the first call, which may take a while
        yield partial(show, what)


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is done; yields what to call with (what, done, in all).

    Args:
        quiet: Show none, as processes do that leave speaking to another.
    """
    console = notices()
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _SpeedColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(plain(what), total=total or None)
        bars.update(tasks[what], completed=done, total=total or None)

    with bars:
        yield show


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = "" if task.speed is None else f"{task.speed:.0f}/s"
        return Text(speed, style="progress.data.speed")
