"""The prompt of `unisem search`: one question after the other, with the model loaded once."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.text import Text

from unisem.cli.answering import Answering
from unisem.cli.filtering import parse_filters
from unisem.cli.terminal import amount, complain, note, notices, told
from unisem.errors import UniSemError

if TYPE_CHECKING:
    from unisem.images.reference import ImageRef
    from unisem.search.query import Query
    from unisem.stores.hits import Hit

_PROMPT = "› "
_KEPT = 1000  # lines of history
_HELP = """\
What you type is looked for. A line that begins with a colon is for the program:
  :k 10                 how many hits
  :mode hybrid          vector, keyword or hybrid
  :filter year >= 2020  only such records; once more, and both must hold; alone, all again
  :image FILE           more like a picture
  :like 3               more like the third hit
  :quit                 or Ctrl-D"""


class Prompt:
    """Reads lines and answers each.

    Args:
        answering: The space, and what all questions have in common.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._hits: list[Hit] = []

    def run(self) -> None:
        """Answer until the input ends."""
        if sys.stdin is None:
            raise UniSemError("standard input is closed; give QUERY, --image FILE or --batch FILE")
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # what is no text is not found, and no end
        talks = sys.stdin.isatty()
        if talks:
            note(f"{amount(len(self._answering.space), 'record')}; :help says more, Ctrl-D ends")
        # What the first search has to read and to load, before a person waits for it.
        warm = replace(self._answering.asked("ready"), k=1, reranker=None, graph=None)
        self._answering.space.search_query(warm)
        with _history() if talks else nullcontext():
            for line in _lines(_PROMPT if talks else ""):
                try:
                    if not self._take(line.strip()):
                        return
                except KeyboardInterrupt:
                    note("stopped")
                except BrokenPipeError:
                    raise
                except (UniSemError, ValueError, OSError) as error:
                    complain(told(error))

    def _take(self, line: str) -> bool:
        """Do what one line says; whether to go on."""
        if not line:
            return True
        if not line.startswith(":"):
            self._ask(self._answering.asked(line))
            return True
        name, _, rest = line[1:].partition(" ")
        rest = rest.strip()
        match name:
            case "quit" | "q":
                return False
            case "k":
                self._set(k=_number(rest, "k"))
            case "mode":
                from unisem.search.query import Mode

                if rest not in get_args(Mode):
                    raise ValueError(f":mode is one of {', '.join(get_args(Mode))}")
                self._set(mode=rest)
            case "filter":
                self._filter(rest)
            case "image":
                self._ask(_by_picture(self._answering.query, _picture(rest)))
            case "like":
                self._ask_like(_number(rest, "like"))
            case "help" | "h" | "":
                notices().print(Text(_HELP, style="dim"))
            case _:
                raise ValueError(f":{name} is not known; :help says what is")
        return True

    def _ask(self, query: Query, unlike: str | None = None) -> None:
        """Answer; without the record of this id."""
        started = time.perf_counter()
        self._hits = self._answering.answer(query, unlike=unlike)
        self._answering.show(query, self._hits, started=started)

    def _ask_like(self, rank: int) -> None:
        if not 1 <= rank <= len(self._hits):
            raise ValueError(f"the last answer has no hit {rank}; ask first, then :like RANK")
        record = self._hits[rank - 1].record
        image: ImageRef | None = record.image
        query = self._answering.query
        if image is None or query.mode == "keyword":
            query = replace(query, text=record.text or record.id, image=None)
        else:
            query = _by_picture(query, image)
        self._ask(query, record.id)

    def _filter(self, condition: str) -> None:
        answering = self._answering
        conditions = [*answering.conditions, condition] if condition else []
        selection = replace(answering.query.selection, filter=parse_filters(conditions))
        self._set(selection=selection)
        answering.conditions = conditions
        note(" and ".join(conditions) or "no filter")

    def _set(self, **parts: object) -> None:
        self._answering.query = replace(self._answering.query, **parts)  # type: ignore[arg-type]


def _by_picture(query: Query, image: Path | ImageRef) -> Query:
    """The same for a picture, which has no words to look for."""
    return replace(query, text=None, image=image, mode="vector")


def _picture(text: str) -> Path:
    if not text:
        raise ValueError(":image needs a file, for example :image ~/quay.jpg")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user
        raise ValueError(f"{text}: {error}") from None


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or not int(text[:9]):
        raise ValueError(f":{name} needs a whole number, for example :{name} 3")
    return int(text[:9])


def _lines(prompt: str) -> Iterator[str]:
    """Lines of the input until it ends; Ctrl-C gives up the line that is being typed."""
    while True:
        try:
            yield input(prompt) if prompt else next(sys.stdin)
        except (EOFError, StopIteration):
            if prompt:
                sys.stdout.write("\n")
            return
        except KeyboardInterrupt:
            sys.stdout.write("\n")


@contextmanager
def _history() -> Iterator[None]:
    """Let lines be edited and called back, also those of earlier times; where the system can."""
    try:
        import readline
    except ImportError:  # Windows
        yield
        return
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    file = Path(state).expanduser() / "unisem" / "searches"
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(_KEPT)
    try:
        yield
    finally:
        with suppress(OSError):  # a home that cannot be written to has no history
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(mode=0o600)
            readline.write_history_file(file)
