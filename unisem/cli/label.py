"""``unisem label``: a person is asked for the captions that help most."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from unisem.cli.encoder_options import PLAIN, encoder_for, encoder_options
from unisem.cli.index import add_folder
from unisem.cli.options import ImageRoots, NewEncoder
from unisem.cli.terminal import amount, note, results
from unisem.common.printable import plain
from unisem.encoders.options import EncoderOptions
from unisem.errors import LabelError, UniSemError

if TYPE_CHECKING:
    from unisem.pairs.labelling import Labelling, Question
    from unisem.space import SemanticSpace
    from unisem.stores.kind import Place

_HELP = "Enter takes 1; a number takes that; words are a caption; s skips, u undoes, q ends"


@encoder_options()
def label(
    what: Annotated[
        Path, typer.Argument(metavar="SPACE|FOLDER", help="A space, or a folder of pictures.")
    ],
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="SPACE", help="A folder's space; beside it, named like it, if absent."
        ),
    ] = None,
    encoder: NewEncoder = None,
    asked: EncoderOptions = PLAIN,
    budget: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many captions.")
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What is asked first: coverage, typical, combined, uncertainty, disagreement, "
            "diversity, rarest or random.",
        ),
    ] = "coverage",
    other_encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="For disagreement: another encoder, such as the one before."
        ),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Suggest what this writes, too; as of unisem caption."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Decides what is left to chance.")
    ] = 0,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Who you are, where several people label.")
    ] = "",
    files: Annotated[
        bool,
        typer.Option("--files/--no-files", help="Write captions beside the pictures, too."),
    ] = True,
    image_roots: ImageRoots = None,
) -> None:
    """Write captions for the pictures where they help most; then train on them."""
    from unisem.cli.caption import captioner_for
    from unisem.encoders import load_encoder
    from unisem.pairs.labelling import Labelling

    with _opened(what, into, encoder, asked) as space:
        for root in image_roots or ():
            space.image_library.allow(root)
        try:
            labelling = Labelling(
                space,
                strategy=strategy,
                seed=seed,
                who=name,
                captioner=None if captioner is None else captioner_for(space, captioner),
                others=[load_encoder(it) for it in other_encoder or ()],
                files=files,
            )
            for reason in labelling.refused:
                note(f"an answer waits: {plain(reason)}")
            written = _Conversation(labelling, budget).held()
        except ValueError as error:
            if isinstance(error, UniSemError):
                raise
            raise typer.BadParameter(str(error), param_hint="--strategy") from None
        left = labelling.left()
        place = space.path
    out = results()
    out.print(f"{amount(written, 'caption')} written; {amount(left, 'picture')} left to ask about")
    if written:
        out.print(
            plain(f"train on them: unisem train --data {place} --output NAME --epochs 40"),
            soft_wrap=True,
        )


def _opened(
    what: Path, into: Path | None, encoder: str | None, asked: EncoderOptions
) -> SemanticSpace:
    """The space that is labelled; a folder's own is made, or brought up to date, first.

    Raises:
        UniSemError: There is no space, or it cannot be opened.
        NotADirectoryError: There is neither.
    """
    from unisem.readers.walking import is_space
    from unisem.space import SemanticSpace

    if not what.is_dir():
        raise NotADirectoryError(f"{what} is neither a space nor a folder")
    if is_space(what):
        if into is not None or encoder is not None:
            raise typer.BadParameter(
                "--into and --encoder are for a folder; a space has its encoder"
            )
        return SemanticSpace.open(what, encoder=encoder_for(None, asked, what))
    folder = what.resolve()
    place: Place = into or folder.with_name(f"{folder.name}.unisem")
    space = SemanticSpace.open(place, encoder=encoder_for(encoder, asked, place))
    try:
        report = add_folder(space, folder)
    except BaseException:
        space.close()
        raise
    note(f"{plain(str(place))}: {amount(report.added, 'record')} added")
    return space


@dataclass(slots=True)
class _Conversation:
    """Questions on the terminal, and a person's answers, line by line."""

    labelling: Labelling
    budget: int | None
    captioned: list[bool] = field(default_factory=list)  # of each answer, whether it is a caption

    @property
    def written(self) -> int:
        """How many captions were written."""
        return sum(self.captioned)

    def held(self) -> int:
        """Ask until the budget is spent, nothing is left or the person ends it; captions written.

        Raises:
            LabelError: The state cannot be kept.
            StoreError: The space cannot be written to.
        """
        note(_HELP)
        question = self.labelling.next()
        while question is not None and (self.budget is None or self.written < self.budget):
            self._show(question)
            line = _line()
            if line is None or line == "q":
                break
            if line == "u":
                question = self._undone(question)
                continue
            try:
                if line == "s":
                    self.labelling.skip(question.record_id)
                    self.captioned.append(False)
                elif (caption := _meant(line, question)) is None:
                    continue
                else:
                    self.labelling.answer(question.record_id, caption)
                    self.captioned.append(True)
            except LabelError as error:
                note(str(error))
            question = self.labelling.next()
        return self.written

    def _undone(self, question: Question) -> Question:
        before = self.labelling.undo()
        if before is None:
            note("there is nothing to undo")
            return question
        if self.captioned:  # else it is from before
            self.captioned.pop()
        return before

    def _show(self, question: Question) -> None:
        out = results()
        count = f"{self.written + 1}" + ("" if self.budget is None else f" of {self.budget}")
        out.print(Text(f"{count} · {plain(question.record_id)}", style="bold"), soft_wrap=True)
        path = question.image.path
        if path is not None:
            link = f"link file://{quote(str(path))}" if out.is_terminal else ""
            out.print(Text(f"  {plain(str(path))}", style=link), soft_wrap=True)
        out.print(Text(f"  {question.reason}", style="dim"), soft_wrap=True)
        for number, suggestion in enumerate(question.suggestions, start=1):
            out.print(f"  {number} {plain(suggestion)}", soft_wrap=True)


def _meant(line: str, question: Question) -> str | None:
    """The caption that a line means; ``None``, and a remark, if it means none."""
    suggestions = question.suggestions
    if line == "" or (line.isdecimal() and len(line) < 3):
        number = int(line or 1)
        if 1 <= number <= len(suggestions):
            return suggestions[number - 1]
        note("there is no such suggestion; write a caption, or s to skip")
        return None
    return line


def _line() -> str | None:
    """What the person writes; ``None`` at the end of the input."""
    sys.stdout.write("> ")
    sys.stdout.flush()
    line: Any = sys.stdin.readline()
    return line.strip() if line else None
