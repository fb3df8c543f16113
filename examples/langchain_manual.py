"""Ask manuals of your own with LangChain; the model is shown their figures, on their pages.

    python examples/langchain_manual.py manuals/ "How is the cover taken off?"

PDF, Word, PowerPoint, EPUB, HTML, Markdown and notebooks (pip install "unisem[langchain,documents]"
langchain-openai; OPENAI_API_KEY must be set). The index is kept beside the folder.
"""

import sys

from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI

from langchain_unisem import MultimodalPrompt, UniSemRetriever
from unisem import SemanticSpace

folder, question = sys.argv[1].rstrip("/"), sys.argv[2]
space = SemanticSpace.open(f"{folder}.unisem")
print(space.add_folder(folder).documents)  # what has not changed is not read again
retriever = UniSemRetriever(space=space, k=4, neighbors=1)
context = {"context": retriever, "question": RunnablePassthrough()}
chain = context | MultimodalPrompt(space=space) | ChatOpenAI(model="gpt-4o")
print(chain.invoke(question).text)
space.close()
