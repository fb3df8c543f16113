"""What LangChain and LlamaIndex send to a chat model, captured and made readable.

The frameworks build the messages; here they are only looked at. Nothing is sent, except by
`ChatModel.answer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from unisem.common.printable import plain, shortened
from unisem.errors import UniSemError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from unisem.space import SemanticSpace


@dataclass(frozen=True, slots=True)
class Message:
    """One message of either framework.

    Attributes:
        role: Who speaks, in the framework's word.
        parts: What is said, ready to be printed; pictures are abbreviated.
    """

    role: str
    parts: tuple[Text, ...]


class ChatModel:
    """A chat model that LangChain knows.

    Args:
        name: Provider and model, for example ``openai:gpt-5-mini`` or ``ollama:gemma3``.

    Raises:
        UniSemError: A package or a key is missing, or there is no such provider.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            from langchain.chat_models import init_chat_model
        except ImportError:
            raise UniSemError(
                "--llm needs LangChain: pip install 'unisem[langchain]' langchain, and the "
                "model's own package, for example langchain-openai"
            ) from None
        try:
            self._model: Any = init_chat_model(name)
        except Exception as error:  # each provider's package has errors of its own
            raise UniSemError(f"cannot use the chat model {name!r}: {error}") from error

    def answer(self, messages: list[BaseMessage]) -> str:
        """Send the messages and return what the model says.

        Raises:
            UniSemError: The model gave no answer; says why.
        """
        try:
            reply = self._model.invoke(messages)
        except Exception as error:  # as above
            raise UniSemError(
                f"{self.name} gave no answer: {shortened(str(error), 300)}"
            ) from error
        return str(reply.text)


def langchain_messages(space: SemanticSpace, question: str, k: int) -> list[BaseMessage]:
    """Return the prompt of a LangChain chain that answers from this space.

    Raises:
        ImportError: LangChain is not installed.
    """
    from langchain_unisem import MultimodalPrompt, UniSemRetriever

    documents = UniSemRetriever(space=space, k=k).invoke(question)
    prompt = MultimodalPrompt(space=space)
    return prompt.format_messages(context=documents, question=question)


def from_langchain(messages: list[BaseMessage]) -> list[Message]:
    """Read LangChain's messages."""
    return [
        Message(
            message.type,
            tuple(
                abbreviated(str(block.get("mime_type")), str(block.get("base64")))
                if block["type"] == "image"
                else _words(str(block.get("text", "")))
                for block in message.content_blocks
            ),
        )
        for message in messages
    ]


def llama_index_messages(space: SemanticSpace, question: str, k: int) -> list[Message]:
    """Return what a LlamaIndex query engine sends when it answers from this space.

    Raises:
        ImportError: LlamaIndex is not installed.
    """
    from llama_index.core.base.llms.types import ImageBlock, LLMMetadata, TextBlock
    from llama_index.core.llms.mock import MockLLMWithChatMemoryOfLastCall
    from llama_index.core.query_engine import RetrieverQueryEngine

    from llama_index_unisem import UniSemRetriever

    class Recorder(MockLLMWithChatMemoryOfLastCall):
        """A model with room for several pictures, which keeps what it is asked."""

        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(context_window=128_000, is_chat_model=True)

    recorder = Recorder(max_tokens=1, is_chat_model=True)
    retriever = UniSemRetriever(space, similarity_top_k=k)
    RetrieverQueryEngine.from_args(retriever, llm=recorder, multimodal=True).query(question)
    messages: list[Message] = []
    for message in recorder.last_chat_messages or ():
        parts: list[Text] = []
        for block in message.blocks:
            match block:
                case TextBlock():
                    parts.append(_words(block.text))
                case ImageBlock():
                    data = block.resolve_image(as_base64=True).read().decode("ascii")
                    parts.append(abbreviated(str(block.image_mimetype), data))
        messages.append(Message(message.role.value, tuple(parts)))
    return messages


def abbreviated(mime_type: str, base64: str) -> Text:
    """Name a picture by the beginning of its ``data:`` URL and its size in bytes.

    >>> abbreviated("image/png", "iVBORw0KGgoAAAAN" * 1000).plain
    'data:image/png;base64,iVBORw0K… (12.0 kB)'
    """
    size = len(base64) * 3 // 4 - base64[-2:].count("=")
    start = plain(f"data:{mime_type};base64,{base64[:8]}")
    return Text(f"{start}… ({size / 1000:.1f} kB)", style="magenta")


def _words(text: str) -> Text:
    return Text(plain(text, lines=True))
