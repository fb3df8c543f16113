"""Ask a folder of pictures a question with LangChain.

Prints the messages that a chat model would be sent:

    python examples/langchain_chain.py "Which animals have stripes?"

With a model (and its package and API key), prints the answer:

    python examples/langchain_chain.py "Which animals have stripes?" --llm openai:gpt-5-mini
"""

import argparse
from pathlib import Path

from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnablePassthrough

from langchain_unisem import ImageQuery, MultimodalPrompt, UniSemRetriever
from unisem import SemanticSpace


def main() -> None:
    """Read the arguments, search, and print."""
    parser = argparse.ArgumentParser(description="Ask a folder of pictures a question.")
    parser.add_argument("question")
    parser.add_argument("--image", help="a picture to search with as well")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "gallery")
    parser.add_argument("--space", type=Path, help="the index; default: FOLDER.unisem, right here")
    parser.add_argument("-k", type=int, default=4, help="how many documents to find")
    parser.add_argument("--llm", help="a model for init_chat_model, such as openai:gpt-5-mini")
    args = parser.parse_args()

    with SemanticSpace.open(args.space or f"{args.folder.resolve().name}.unisem") as space:
        space.add_folder(args.folder)  # what is there already costs nothing
        retriever = UniSemRetriever(space=space, k=args.k)
        prompt = MultimodalPrompt(space=space)
        chain = {"context": retriever, "question": RunnablePassthrough()} | prompt
        query = ImageQuery(args.image, args.question) if args.image else args.question

        if args.llm:
            from langchain.chat_models import init_chat_model

            print((chain | init_chat_model(args.llm) | StrOutputParser()).invoke(query))
            return
        for message in chain.invoke(query).to_messages():
            for block in message.content_blocks:
                if block["type"] == "image":
                    print(f"    <{block['mime_type']}, {len(block['base64']) * 3 // 4:,} bytes>")
                elif block["type"] == "text":
                    print(block["text"])


if __name__ == "__main__":
    main()
