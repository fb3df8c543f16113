"""`MultimodalPrompt`: a question and the documents found for it, as one message with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompts.chat import BaseChatPromptTemplate
from pydantic import ConfigDict, Field

from langchain_unisem.messages import blocks_of, format_documents
from langchain_unisem.queries import ImageQuery
from unisem.common.threads import InThread
from unisem.images.for_models import ImageLimits
from unisem.presentation.parts import Part, asked
from unisem.space import SemanticSpace


class MultimodalPrompt(BaseChatPromptTemplate):
    """Turn ``{"context": documents, "question": question}`` into one user message.

    Captions and pictures come first, as `format_documents` writes them, then the question: a
    string, or an `ImageQuery`, whose picture is shown as well. Neither is treated as a template.

    Setup:
        ``pip install "unisem[langchain]"``

    Key init args:
        space: Where the documents' pictures are.
        limits: How many pictures of how many pixels and bytes; `ImageLimits` by default.
        metadata_fields: Metadata that the model is shown, so that it can cite them, for example
            ``["source", "page"]``; none by default.

    Instantiate:
        ```python
        from langchain_unisem import MultimodalPrompt

        prompt = MultimodalPrompt(space=space)
        chain = {"context": retriever, "question": RunnablePassthrough()} | prompt | llm
        ```

    Inside another prompt:
        ```python
        prompt = ChatPromptTemplate(
            [
                ("system", "Answer in {language}."),
                MessagesPlaceholder("history", optional=True),
                MultimodalPrompt(space=space),
            ]
        )
        ```
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    input_variables: list[str] = Field(default_factory=lambda: ["context", "question"])
    input_types: dict[str, Any] = Field(
        default_factory=lambda: {"context": list[Document], "question": Any}
    )
    space: SemanticSpace
    limits: ImageLimits = ImageLimits()
    metadata_fields: Sequence[str] = ()

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return ``False``: a space is not written into a prompt's file."""
        return False

    def format_messages(self, **kwargs: Any) -> list[BaseMessage]:
        """Build the message.

        Args:
            **kwargs: ``context`` (documents) and ``question`` (`str` or `ImageQuery`); others
                belong to other parts of a larger prompt.

        Raises:
            TypeError: One of the two is of another type.
            ImageError: The question's own picture cannot be read.
        """
        values = self._merge_partial_and_user_variables(**kwargs)
        blocks = format_documents(
            values["context"],
            space=self.space,
            limits=self.limits,
            metadata_fields=self.metadata_fields,
        )
        question = blocks_of(self._question(values["question"]))
        return [HumanMessage(content_blocks=[*blocks, *question])]

    aformat_messages = InThread(format_messages).twin

    def partial(self, **kwargs: Any) -> Self:
        """Return this prompt with some of its values given already."""
        return self.model_copy(
            update={
                "input_variables": [name for name in self.input_variables if name not in kwargs],
                "partial_variables": {**self.partial_variables, **kwargs},
            }
        )

    def pretty_repr(self, html: bool = False) -> str:
        """Return the message's plan, with the names of its variables in braces."""
        del html  # plain text reads well in both
        return "Human: {context}\nQuestion: {question}"

    def _question(self, question: object) -> list[Part]:
        match question:
            case str():
                return asked(question, None, self.limits)
            case ImageQuery():
                return asked(question.text, question.image, self.limits)
        raise TypeError(
            "question must be a string, or an ImageQuery for a picture, "
            f"not {type(question).__name__}"
        )
