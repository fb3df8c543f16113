"""Routes for people who write captions: what they are asked, what they say, and taking it back."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from unisem.pairs.labelling import Labelling, Question
from unisem.service.http.access import TheService, View, committed, wire_record
from unisem.wire.labelling import Asked, LabelAnswer, Labeller, WireQuestion

router = APIRouter(tags=["labelling"])
_ROOT = "/v1/spaces/{space}/label"


@router.post(f"{_ROOT}/next", summary="Ask for a caption")
async def next_question(who: Labeller, request: Request, view: View, service: TheService) -> Asked:
    """The picture that a caption helps most, or the same again until it is answered.

    Nobody else is asked about it for ten minutes.
    """
    return await _asked(who.who, lambda labelling: labelling.next(), request, view, service)


@router.post(f"{_ROOT}/answer", summary="Write a caption down")
async def answer(said: LabelAnswer, request: Request, view: View, service: TheService) -> Asked:
    """Write a caption into the space and beside the picture, and ask for the next one."""

    def job(labelling: Labelling) -> Question | None:
        if said.caption is None:
            labelling.skip(said.id)
        else:
            labelling.answer(said.id, said.caption)
        return labelling.next()

    return await _asked(said.who, job, request, view, service)


@router.post(f"{_ROOT}/undo", summary="Take a caption back")
async def undo(who: Labeller, request: Request, view: View, service: TheService) -> Asked:
    """Take somebody's last answer back, and ask again; `null` if they have given none."""
    return await _asked(who.who, lambda labelling: labelling.undo(), request, view, service)


async def _asked(
    who: str,
    job: Callable[[Labelling], Question | None],
    request: Request,
    view: View,
    service: TheService,
) -> Asked:
    (question,) = await committed(view.label(who, job), service)
    if question is None:
        return Asked(question=None)
    found = await run_in_threadpool(view.record, question.record_id)
    record = wire_record(request, view, found)
    return Asked(
        question=WireQuestion(
            record=record, suggestions=list(question.suggestions), reason=question.reason
        )
    )
