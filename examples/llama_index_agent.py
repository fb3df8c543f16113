"""Let a LlamaIndex agent search a folder of pictures; it sees what it finds, and cites it.

    python examples/llama_index_agent.py
    python examples/llama_index_agent.py "Which of these animals lives in the snow?"
    python examples/llama_index_agent.py "Which card is red?" --folder cards/ --llm gpt-4o

Without --llm nothing leaves this machine: a scripted model searches for the question, twice, the
second time with the best picture that the first search found, and the messages that a model would
get are printed. With it, an OpenAI model decides what to search for (pip install
llama-index-llms-openai; OPENAI_API_KEY must be set).
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCall
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms import LLM
from llama_index.core.llms.mock import MockFunctionCallingLLM

from llama_index_unisem import ToolImages, UniSemRetriever, UniSemRetrieverTool
from unisem import SemanticSpace

GALLERY = Path(__file__).parent / "gallery"


class ScriptedModel(ToolImages, MockFunctionCallingLLM):
    """Searches for the question, then for what is like the best picture, and then says so."""


def scripted_turn(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
    """The scripted model's next message; when it has searched, it prints what it was sent."""
    results = [message for message in messages if message.role == MessageRole.TOOL]
    question = next(m.content or "" for m in messages if m.role == MessageRole.USER)
    found = re.search(r'Picture \d+, of "(.*?)":', "".join(m.content or "" for m in messages))
    if not results:
        return called("search", query=question)
    if len(results) == 1 and found is not None:
        return called("search", query="", image=found[1], modality="image", top_k=2)
    show(messages)
    cited = f"[{found[1]}]" if found is not None else "nothing"
    return ChatMessage(f"(no model was asked; the best picture is {cited})", role="assistant")


def called(tool: str, **arguments: Any) -> ChatMessage:
    """A message that calls a tool."""
    call = ToolCallBlock(tool_call_id="call", tool_name=tool, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[call])


def show(messages: Sequence[ChatMessage]) -> None:
    """Print messages, pictures abbreviated."""
    for message in messages:
        print(f"--- {message.role.value} ---")
        for block in message.blocks:
            if isinstance(block, ImageBlock):
                size = len(block.resolve_image().read())
                print(f"<picture: {block.image_mimetype}, {size:,} bytes>")
            elif isinstance(block, TextBlock):
                print(block.text.strip())
            elif isinstance(block, ToolCallBlock):
                print(f"<calls {block.tool_name} with {block.tool_kwargs}>")


def choose_llm(name: str | None) -> LLM:
    """An OpenAI model by name, or the scripted one."""
    if name is None:
        return ScriptedModel(response_generator=scripted_turn)
    from llama_index.llms.openai import OpenAI

    class ImageOpenAI(ToolImages, OpenAI):
        """OpenAI's chat completions, shown the pictures of tool results."""

    return ImageOpenAI(model=name)


async def ask(question: str, space: SemanticSpace, llm: LLM) -> None:
    """Run the agent, and print what it does as it does it."""
    tool = UniSemRetrieverTool(
        UniSemRetriever(space=space, similarity_top_k=3),
        description="Search a folder of pictures with captions, by words or by a picture found.",
        filter_fields={"file_name": "the picture's file"},
    )
    agent = FunctionAgent(
        tools=[tool],
        llm=llm,
        system_prompt="Answer from what the search finds, and cite it by its id, like [a/b.jpg].",
    )
    running = agent.run(question)
    async for event in running.stream_events():
        if type(event) is ToolCall:
            print(f"> {event.tool_name} {event.tool_kwargs}")
        elif isinstance(event, AgentStream):
            print(event.delta, end="", flush=True)
    answer = await running
    print("\n\nSources:")
    for call in answer.tool_calls:
        for hit in call.tool_output.raw_output:
            print(f"{hit.score:6.3f}  {hit.node_id}  {hit.text[:60]!r}")


def main(argv: Sequence[str] | None = None) -> None:
    """Index a folder in memory and let the agent answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("question", nargs="?", default="What does a tiger look like?")
    parser.add_argument("--folder", type=Path, default=GALLERY, help="pictures and texts")
    parser.add_argument("--space", type=Path, help="where to keep the index; default: in memory")
    parser.add_argument("--llm", metavar="MODEL", help="an OpenAI chat model, for example gpt-4o")
    arguments = parser.parse_args(argv)

    with SemanticSpace.open(arguments.space) as space:
        space.add_folder(arguments.folder)
        print(f"{len(space)} texts and pictures in one space\n")
        asyncio.run(ask(arguments.question, space, choose_llm(arguments.llm)))


if __name__ == "__main__":
    main()
