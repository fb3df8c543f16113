"""Let a LangChain agent look into a folder of pictures.

Prints what the agent's model would be sent, with a stand-in that searches for each question:

    python examples/langchain_agent.py "Which animals have stripes?" "Any of them white?"

With a model (and its package and API key), prints its answers; the questions are turns of one
conversation:

    python examples/langchain_agent.py "Which animals have stripes?" --llm openai:gpt-5-mini
"""

import argparse
from itertools import takewhile
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from langchain_unisem import UniSemRetrievalTool, UniSemRetriever
from langchain_unisem.middleware import ImageMiddleware
from unisem import SemanticSpace


class Rehearsal(BaseChatModel):
    """Stands in for a chat model: searches for the question, then prints all that it was sent."""

    @property
    def _llm_type(self) -> str:
        return "rehearsal"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Accept the tools; the one that searches is known by name."""
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        latest = list(takewhile(lambda m: not isinstance(m, AIMessage), reversed(messages)))
        if any(isinstance(message, ToolMessage) for message in latest):
            print_messages(messages)
            answer = AIMessage("(here the model would answer)")
        else:
            call = {
                "name": "unisem_search",
                "args": {"query": messages[-1].text},
                "id": f"search-{len(messages)}",
            }
            answer = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=answer)])


def print_messages(messages: list[BaseMessage]) -> None:
    """Print messages as a model reads them, pictures abbreviated."""
    for message in messages:
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        print(f"{message.type}:", *(f"{call['name']}({call['args']})" for call in calls))
        blocks = message.content_blocks
        if isinstance(message, ToolMessage):
            blocks = [{"type": "text", "text": message.text}]
        for block in blocks:
            if block["type"] == "image":
                print(f"    <{block['mime_type']}, {len(block['base64']) * 3 // 4:,} bytes>")
            elif block["type"] == "text":
                print("   ", block["text"].replace("\n", "\n    "))


def main() -> None:
    """Read the arguments, and ask one question after the other."""
    parser = argparse.ArgumentParser(description="Let an agent look into a folder of pictures.")
    parser.add_argument("questions", nargs="+")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "gallery")
    parser.add_argument("--space", type=Path, help="the index; default: FOLDER.unisem, right here")
    parser.add_argument("-k", type=int, default=3, help="how many results, unless the model says")
    parser.add_argument("--llm", help="a model for create_agent, such as openai:gpt-5-mini")
    args = parser.parse_args()

    with SemanticSpace.open(args.space or f"{args.folder.resolve().name}.unisem") as space:
        space.add_folder(args.folder)  # what is there already costs nothing
        tool = UniSemRetrievalTool(
            retriever=UniSemRetriever(space=space, k=args.k),
            description="Searches the user's pictures. Returns captions with their ids.",
        )
        agent = create_agent(
            args.llm or Rehearsal(),
            tools=[tool],
            middleware=[ImageMiddleware(tool)],
            system_prompt="Answer from the user's pictures, and cite the ids of those you mean.",
            checkpointer=InMemorySaver(),
        )
        for question in args.questions:
            state = agent.invoke(
                {"messages": [{"role": "user", "content": question}]},
                {"configurable": {"thread_id": "1"}},
            )
            print(state["messages"][-1].text)


if __name__ == "__main__":
    main()
