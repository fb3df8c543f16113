"""Ask about a folder of pictures with LlamaIndex; the model sees the pictures that were found.

    python examples/llama_index_query_engine.py
    python examples/llama_index_query_engine.py "Which of these animals lives in the snow?"
    python examples/llama_index_query_engine.py "Which card is red?" --folder cards/ --llm gpt-4o

Without --llm nothing leaves this machine: the messages that a model would get are printed.
With it, an OpenAI model answers (pip install llama-index-llms-openai; OPENAI_API_KEY must be set).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    ImageBlock,
    LLMMetadata,
    TextBlock,
)
from llama_index.core.llms import LLM, CustomLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import QueryBundle

from llama_index_unisem import UniSemRetriever
from unisem import SemanticSpace

GALLERY = Path(__file__).parent / "gallery"
_NOTHING = "(no model was asked)"


class ShowMessages(CustomLLM):
    """A chat model that prints what it is sent, and has nothing to say."""

    @property
    def metadata(self) -> LLMMetadata:
        """LlamaIndex counts 2125 tokens a picture; the default window would hold only one."""
        return LLMMetadata(model_name="show-messages", is_chat_model=True, context_window=128_000)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Print the messages, pictures abbreviated."""
        for message in messages:
            print(f"--- {message.role.value} ---")
            for block in message.blocks:
                if isinstance(block, ImageBlock):
                    size = len(block.resolve_image().read())
                    print(f"<picture: {block.image_mimetype}, {size:,} bytes>")
                elif isinstance(block, TextBlock):
                    print(block.text.strip())
        return ChatResponse(message=ChatMessage(_NOTHING, role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Print the prompt."""
        print(prompt)
        return CompletionResponse(text=_NOTHING)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Print the prompt; the answer comes in one piece."""
        answer = self.complete(prompt, formatted, **kwargs)
        yield CompletionResponse(text=answer.text, delta=answer.text)


def choose_llm(name: str | None) -> LLM:
    """An OpenAI model by name, or the one that only prints."""
    if name is None:
        return ShowMessages()
    from llama_index.llms.openai import OpenAI

    return OpenAI(model=name)


def main(argv: Sequence[str] | None = None) -> None:
    """Index a folder in memory, ask, and say where the answer comes from."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("question", nargs="?", default="What does a tiger look like?")
    parser.add_argument("--folder", type=Path, default=GALLERY, help="pictures and texts")
    parser.add_argument("--image", help="a picture to search with as well")
    parser.add_argument("--space", type=Path, help="where to keep the index; default: in memory")
    parser.add_argument("--llm", metavar="MODEL", help="an OpenAI chat model, for example gpt-4o")
    arguments = parser.parse_args(argv)

    with SemanticSpace.open(arguments.space) as space:
        space.add_folder(arguments.folder)
        print(f"{len(space)} texts and pictures in one space\n")
        engine = RetrieverQueryEngine.from_args(
            UniSemRetriever(space=space, similarity_top_k=4),
            llm=choose_llm(arguments.llm),
            multimodal=True,
        )
        response = engine.query(QueryBundle(arguments.question, image_path=arguments.image))
        print(f"\nAnswer: {response}\n")
        for hit in response.source_nodes:
            print(f"{hit.score:6.3f}  {hit.node_id}  {hit.text[:60]!r}")


if __name__ == "__main__":
    main()
