"""`answer_all`: many questions from a file, a line of JSON for each answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TextIO

from unisem.cli.answering import Answering
from unisem.errors import UniSemError

if TYPE_CHECKING:
    from unisem.search.query import Query

_AT_ONCE = 32  # questions; a model reads some together in less time than one by one
_LONGEST = 1 << 20  # characters of a line


def answer_all(answering: Answering, name: str) -> None:
    """Answer every line that is not empty.

    A line is a text. In a file whose name ends with ``.jsonl`` it is an object with ``text``, with
    ``image``, the path of a picture, or with both.

    Args:
        answering: The space, and what all questions have in common.
        name: The file; ``-`` is standard input.

    Raises:
        UniSemError: A line is no question, or its picture cannot be used; names it. The parts of
            32 lines before it are answered.
        OSError: The file cannot be read.
    """
    if name == "-" and sys.stdin is None:
        raise UniSemError("standard input is closed; --batch FILE reads a file")
    is_json = name.endswith(".jsonl")
    with nullcontext(sys.stdin) if name == "-" else open(name, encoding="utf-8-sig") as lines:
        questions = _questions(answering, lines, name, is_json)
        while some := list(islice(questions, _AT_ONCE)):
            for query, hits in zip(some, answering.answer_all(some), strict=True):
                answer = answering.as_json(query, hits)
                sys.stdout.write(json.dumps(answer, separators=(",", ":")) + "\n")
            sys.stdout.flush()


def _questions(answering: Answering, lines: TextIO, name: str, is_json: bool) -> Iterator[Query]:
    for number in count(1):
        try:
            line = lines.readline(_LONGEST + 1)
        except UnicodeDecodeError as error:
            raise UniSemError(f"{name} is not UTF-8 ({error.reason})") from None
        if not line:
            return
        if not line.strip():
            continue
        try:
            if len(line) > _LONGEST:
                raise ValueError(f"has more than {_LONGEST:,} characters")
            text, image = _parsed(line) if is_json else (line.strip(), None)
            yield answering.asked(text, image)
        except (ValueError, UniSemError) as error:
            raise UniSemError(f"{name}, line {number}: {error}") from error


def _parsed(line: str) -> tuple[str | None, str | None]:
    try:
        found: Any = json.loads(line)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict) or not found or set(found) - {"text", "image"}:
        raise ValueError('must be an object with "text", "image" or both')
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("text and image must be strings")
    return found.get("text"), found.get("image")
