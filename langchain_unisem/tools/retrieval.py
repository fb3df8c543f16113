"""`UniSemRetrievalTool`: a retriever as an agent's tool that returns references, not pixels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForToolRun, CallbackManagerForToolRun
from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock
from langchain_core.tools import BaseTool, ToolException
from pydantic import ConfigDict, Field, model_validator

from langchain_unisem.filters import to_filter
from langchain_unisem.queries import ImageQuery
from langchain_unisem.retrievers import SearchOptions, UniSemRetriever
from langchain_unisem.tools.arguments import (
    arguments_schema,
    default_k,
    explain_arguments,
    model_filter,
)
from langchain_unisem.tools.results import Result
from langchain_unisem.tools.user_images import place_of, sent_image
from langchain_unisem.vectorstores.options import DocumentFilter, narrowed
from unisem.errors import EncoderError, FilterError, ImageError, RecordError
from unisem.filters import And, Filter, narrows
from unisem.presentation.parts import worded
from unisem.records import Modality

_DESCRIPTION = (
    "Searches a collection of pictures and texts by meaning. Returns captions and texts, "
    "each with its id."
)

ToolContent = str | list[ContentBlock]


class UniSemRetrievalTool(BaseTool):
    """Let an agent search a space: the model reads captions, the state keeps references.

    The tool's answer is text: each caption or text with its id, between tags that it cannot
    close, marked as data. The artifact is a list of plain JSON, one item per result. Neither holds
    pixels or the place of a file. `langchain_unisem.middleware.ImageMiddleware` shows the
    pictures to the model just before it is called.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        retriever: What to search with. Its settings hold for every call: the model can narrow
            its `filter`, and cannot lift it.
        name: What the model calls the tool.
        description: What the collection holds, and when to search it.
        max_k: The most results that the model may ask for.
        fields: Metadata that the model is shown and may filter by, each with a description.
        request_filter: What one request may find: a function from the run's context to a filter,
            which must hold beside the retriever's. Without a context nothing is searched.

    Instantiate:
        ```python
        from langchain_unisem import UniSemRetrievalTool, UniSemRetriever

        tool = UniSemRetrievalTool(
            retriever=UniSemRetriever(space=space, k=4),
            description="Searches the family's photos from 1990 on.",
            fields={"year": "when the photo was taken, a number"},
        )
        ```

    Invoke:
        ```python
        tool.invoke({"query": "a striped cat", "k": 2})
        tool.invoke({"query": "at night", "like": "photos/tiger.jpg"})
        ```

    Use in an agent:
        ```python
        agent = create_agent(model, tools=[tool], middleware=[ImageMiddleware(tool)])
        ```

    Use by many users, each of whom may find their own photos only:
        ```python
        tool = UniSemRetrievalTool(
            retriever=retriever, request_filter=lambda context: {"owner": context["user"]}
        )
        agent = create_agent(model, tools=[tool], middleware=[ImageMiddleware(tool)])
        # agent.invoke({"messages": […]}, context={"user": "ada"})
        ```

    The model's arguments are ``query``, ``k``, ``like`` (the id of a picture found before, or
    ``@user`` for the one that the user sent; never a path or a URL), ``modality``, and with
    `fields` also ``filter``. What it gets wrong comes back to it in words, as an error of the
    tool; what is wrong with the store is raised.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    name: str = "unisem_search"
    description: str = _DESCRIPTION
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool | str | Callable[[ToolException], Any] | None = True
    handle_validation_error: bool | str | Callable[[Any], str] | None = explain_arguments
    retriever: UniSemRetriever
    max_k: int = Field(default=20, ge=1, strict=True)
    fields: dict[str, str] = Field(default_factory=dict)
    request_filter: Callable[[Any], DocumentFilter] | None = None

    @model_validator(mode="after")
    def _make_schema(self) -> UniSemRetrievalTool:
        if self.args_schema is None:
            self.args_schema = arguments_schema(self.retriever, self.max_k, self.fields)
        return self

    def _run(
        self,
        query: str,
        k: int | None = None,
        like: str | None = None,
        modality: Modality | None = None,
        filter: dict[str, Any] | None = None,
        runtime: Any = None,
        run_manager: CallbackManagerForToolRun | None = None,
    ) -> tuple[ToolContent, list[dict[str, Any]]]:
        retriever = self.retriever_for(getattr(runtime, "context", None))
        with _told_to_the_model(like):
            search = self._plan(retriever, query, k, like, modality, filter, runtime)
            callbacks = None if run_manager is None else run_manager.get_child()
            found = retriever.invoke(search.query, {"callbacks": callbacks}, **search.options)
            return self._answer(search.of(found), retriever)

    async def _arun(
        self,
        query: str,
        k: int | None = None,
        like: str | None = None,
        modality: Modality | None = None,
        filter: dict[str, Any] | None = None,
        runtime: Any = None,
        run_manager: AsyncCallbackManagerForToolRun | None = None,
    ) -> tuple[ToolContent, list[dict[str, Any]]]:
        retriever = self.retriever_for(getattr(runtime, "context", None))
        with _told_to_the_model(like):
            search = await asyncio.to_thread(
                self._plan, retriever, query, k, like, modality, filter, runtime
            )
            callbacks = None if run_manager is None else run_manager.get_child()
            found = await retriever.ainvoke(
                search.query, {"callbacks": callbacks}, **search.options
            )
            return await asyncio.to_thread(self._answer, search.of(found), retriever)

    def retriever_for(self, context: object) -> UniSemRetriever:
        """Return what one request may search: the retriever, within the request's filter.

        Args:
            context: The run's context, as `agent.invoke` was given it.

        Raises:
            ValueError: There is a `request_filter`, and no context, or it gives no condition.
            FilterError: What it gives means nothing.
        """
        retriever = self.retriever.model_copy(update={"scores": True})
        if self.request_filter is None:
            return retriever
        if context is None:
            raise ValueError(
                f"the tool {self.name!r} has a request_filter and there is no context to make it "
                "from; give one: agent.invoke(…, context=…)"
            )
        given = self.request_filter(context)
        condition = given if callable(given) else to_filter(given)
        everything = given == And(())  # nothing that was built from a user's wishes is that
        if condition is None or (
            isinstance(condition, Filter) and not everything and not narrows(condition)
        ):
            raise ValueError(
                f"the request_filter of the tool {self.name!r} gave no condition, or one that "
                "holds for every record, which would allow everything; return a filter that "
                "names a field"
            )
        return retriever.within(condition)

    def _plan(
        self,
        retriever: UniSemRetriever,
        query: str,
        k: int | None,
        like: str | None,
        modality: Modality | None,
        condition: dict[str, Any] | None,
        runtime: object,
    ) -> _Search:
        if not query.strip() and like is None:
            raise ToolException('Say what to look for in "query".')
        count = default_k(retriever, self.max_k) if k is None else k
        most = None if retriever.neighbors else count  # neighbours are not counted
        options = SearchOptions(
            k=count,
            filter=narrowed(retriever.filter, model_filter(condition, self.fields)),
            modality=retriever.modality or modality,
        )
        if like is None:
            return _Search(query, options)
        if not query.strip() and retriever.search_type == "hybrid":
            options["search_type"] = "similarity"  # there are no words to look for
        words = query if query.strip() else None
        if (place := place_of(like)) is not None:
            block = sent_image(getattr(runtime, "state", None), place)
            return _Search(ImageQuery(block, words), options)
        record = retriever.records([like])[0]
        if record is None or record.image is None:
            raise ToolException(
                f'There is no picture with the id {like!r}. Give "like" the id of a result that '
                'has a picture, or use "query" alone.'
            )
        options["k"] = count + 1  # the picture itself is found first, and left out
        return _Search(ImageQuery(record.image, words), options, most, like)

    def _answer(
        self, documents: Sequence[Document], retriever: UniSemRetriever
    ) -> tuple[ToolContent, list[dict[str, Any]]]:
        results = [Result.of(document, self.fields) for document in documents]
        content = self._content(results, retriever) if results else worded(())
        return content, [result.as_json() for result in results]

    def _content(self, results: Sequence[Result], retriever: UniSemRetriever) -> ToolContent:
        del retriever  # the references are enough
        return worded([result.worded for result in results])


@dataclass(frozen=True, slots=True)
class _Search:
    """One call of the tool, ready for the retriever."""

    query: str | ImageQuery
    options: SearchOptions
    most: int | None = None
    without: str | None = None

    def of(self, found: Sequence[Document]) -> list[Document]:
        return [document for document in found if document.id != self.without][: self.most]


@contextmanager
def _told_to_the_model(like: str | None) -> Iterator[None]:
    """Turn what a model can do better next time into a tool's error; the rest is raised."""
    try:
        yield
    except EncoderError as error:
        if like is None:
            raise
        raise ToolException(
            'This collection cannot be searched by picture. Leave "like" out.'
        ) from error
    except ImageError as error:
        raise ToolException(f"The picture {error.summary}.") from error  # without its path
    except (FilterError, RecordError) as error:
        raise ToolException(f"Nothing was searched: {error}") from error
