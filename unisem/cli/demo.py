"""``unisem demo``: the example gallery searched in every way, and what a chat model is shown."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

import unisem
from unisem.cli.hit_table import hits_table
from unisem.cli.index import add_folder
from unisem.cli.messages import (
    ChatModel,
    Message,
    from_langchain,
    langchain_messages,
    llama_index_messages,
)
from unisem.cli.terminal import amount, note, results
from unisem.common.printable import plain
from unisem.errors import EncoderError

if TYPE_CHECKING:
    from unisem.cli.page import Section
    from unisem.space import SemanticSpace


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that the demo asks.

    Attributes:
        kind: What goes in and what comes out.
        remark: What to look at in the answer.
        text: The query's text.
        picture: The query's picture, a file of the gallery; it is left out of the answer.
        modality: As in `SemanticSpace.search`.
        match: As in `SemanticSpace.search`.
        k: How many hits.
    """

    kind: str
    remark: str
    text: str | None = None
    picture: str | None = None
    modality: Literal["text", "image"] | None = None
    match: Literal["any", "text", "image"] = "any"
    k: int = 4

    @property
    def is_english(self) -> bool:
        """Whether `mini` can read it."""
        return self.text is None or self.text.isascii()


QUESTIONS = (
    Question(
        kind="text → texts and pictures",
        remark="Passages, pictures and captions compete in one ranked list.",
        text="how do bees make honey?",
    ),
    Question(
        kind="text → pictures",
        remark="Only the pixels are compared here; the captions are not looked at.",
        text="a musical instrument with strings",
        match="image",
    ),
    Question(
        kind="Chinese → pictures",
        remark="Instruments with strings, as above: a text may be in any of a hundred languages.",
        text="有弦的乐器",
        match="image",
    ),
    Question(
        kind="picture → pictures",
        remark="What it shows counts, more than its colour or the side it is seen from.",
        picture="images/blue-car.png",
        match="image",
    ),
    Question(
        kind="picture → texts",
        remark="What has been written about the thing in this picture?",
        picture="images/red-white-lighthouse.png",
        modality="text",
        k=2,
    ),
    Question(
        kind="picture and text → pictures",
        remark="The picture, changed by a word.",
        text="red",
        picture="images/blue-balloon.png",
        modality="image",
        k=3,
    ),
)

SHOWN = "How do bees make honey?"
"""The question whose messages are printed, and which `--llm` answers."""
_SHOWN_HITS = 3


def demo(
    gallery: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Another copy of the example gallery.")
    ] = None,
    into: Annotated[
        Path, typer.Option("--into", metavar="SPACE", help="Where the space goes.")
    ] = Path("unisem-demo.unisem"),
    page: Annotated[
        Path, typer.Option("--html", metavar="PAGE", help="Where the page of results goes.")
    ] = Path("unisem-demo.html"),
    llm: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Ask this chat model, too, e.g. openai:gpt-5-mini."),
    ] = None,
) -> None:
    """Index the example gallery, search it in every way, and show what a chat model is sent."""
    folder = find_gallery(gallery)
    model = None if llm is None else ChatModel(llm)  # a missing key shows before the work
    with _opened(into) as space:
        _index(space, folder)
        asked = [one for one in QUESTIONS if one.is_english or space.encoder.name != "mini"]
        sections = [_ask(space, folder, question) for question in asked]
        _write_page(page, space, [section for section in sections if section is not None])
        _show_messages(space, model)
    _say_what_next(into, page)


def find_gallery(given: Path | None = None) -> Path:
    """Return the gallery's folder.

    Args:
        given: A folder that the person named; nowhere else is looked then.

    Raises:
        FileNotFoundError: It is not there; says what to do.
    """
    package = Path(unisem.__file__).parent
    places = [given] if given else [package / "gallery", package.parent / "examples" / "gallery"]
    for place in places:
        if (place / "metadata.jsonl").is_file():
            return place
    if given:
        raise FileNotFoundError(f"{given} is not the gallery: it has no metadata.jsonl")
    raise FileNotFoundError(
        "this installation came without the example gallery; take examples/gallery from a "
        "checkout of UniSem and pass --gallery DIR"
    )


def _opened(into: Path) -> SemanticSpace:
    """The demo's space as it is, or a new one that can be asked in many languages, if it can."""
    from unisem.encoders.multilingual.package import NAME
    from unisem.manifest import Manifest
    from unisem.space import SemanticSpace

    if Manifest.read(into) is not None:
        return SemanticSpace.open(into)
    try:
        return SemanticSpace.open(into, encoder=NAME)
    except EncoderError as error:
        note(f"Chinese is left out: {error}")
        return SemanticSpace.open(into, encoder="mini")


def _index(space: SemanticSpace, folder: Path) -> None:
    _heading("Indexing", str(folder))
    started = time.perf_counter()
    report = add_folder(space, folder)
    results().print(
        f"{report.added:,} added, {report.unchanged:,} unchanged "
        f"in {time.perf_counter() - started:.1f} s"
    )


def _ask(space: SemanticSpace, folder: Path, question: Question) -> Section | None:
    from unisem.cli.page import Section
    from unisem.filters import Field

    picture = None if question.picture is None else folder / question.picture
    _heading(question.kind, " + ".join(filter(None, [question.picture, question.text])))
    if picture is not None and not picture.is_file():
        note(f"left out: {picture} is not there")
        return None
    hits = space.search(
        question.text,
        picture,
        k=question.k,
        filter=None if picture is None else Field("file_name") != question.picture,
        modality=question.modality,
        match=question.match,
    )
    results().print(hits_table(hits))
    return Section(question.text, picture, tuple(hits), question.kind, question.remark)


def _write_page(page: Path, space: SemanticSpace, sections: list[Section]) -> None:
    from unisem.cli.page import Page

    Page(
        title="What UniSem finds in its example gallery",
        introduction=f"{amount(len(space), 'record')} in one semantic space: pictures with "
        "captions, and short texts. Each question below is one search.",
        sections=tuple(sections),
        footer=f"{amount(len(space), 'record')} · encoder {space.encoder.name} · unisem demo",
    ).write(page)


def _show_messages(space: SemanticSpace, model: ChatModel | None) -> None:
    sent = None
    try:
        sent = langchain_messages(space, SHOWN, _SHOWN_HITS)
        _show("LangChain", from_langchain(sent))
    except ImportError as error:
        note(f"LangChain's messages are left out ({error}): pip install 'unisem[langchain]'")
    try:
        _show("LlamaIndex", llama_index_messages(space, SHOWN, _SHOWN_HITS))
    except ImportError as error:
        note(f"LlamaIndex's messages are left out ({error}): pip install 'unisem[llama-index]'")
    if model is not None and sent is not None:
        _heading(f"{plain(model.name)} answers", SHOWN)
        results().print(Text(plain(model.answer(sent), lines=True)))


def _show(framework: str, messages: list[Message]) -> None:
    _heading(f"What {framework} sends to a chat model", SHOWN)
    for message in messages:
        results().print(Text(f"  {message.role}", style="bold"))
        for part in message.parts:
            results().print(Padding(part, (0, 0, 0, 4), expand=False))


def _say_what_next(into: Path, page: Path) -> None:
    _heading("Next", "")
    steps = Table.grid(padding=(0, 3))
    where = Style(link=page.resolve().as_uri())
    steps.add_row("  look at the results", Text(plain(str(page)), style=where))
    steps.add_row("  search on", f'unisem search {plain(str(into))} "halloween"')
    steps.add_row("  take your own pictures", "unisem index PICTURES --into photos.unisem")
    results().print(steps)


def _heading(kind: str, words: str) -> None:
    results().print(Text.assemble("\n", (kind, "bold"), "  ", (plain(words), "dim")))
