"""Ask manuals of your own with LlamaIndex; the answer cites passages and figures by number.

    python examples/llama_index_manual.py manuals/ "How is the cover taken off?"

PDF, Word, PowerPoint, EPUB, HTML, Markdown and notebooks (pip install
"unisem[llama-index,documents]" llama-index-llms-openai; OPENAI_API_KEY must be set). The index is
kept beside the folder.
"""

import sys

from llama_index.core.query_engine import CitationQueryEngine
from llama_index.llms.openai import OpenAI

from llama_index_unisem import UniSemRetriever
from unisem import SemanticSpace

folder, question = sys.argv[1].rstrip("/"), sys.argv[2]
space = SemanticSpace.open(f"{folder}.unisem")
print(space.add_folder(folder).documents)  # what has not changed is not read again
retriever = UniSemRetriever(space=space, similarity_top_k=4, neighbors=1)
engine = CitationQueryEngine(retriever, llm=OpenAI(model="gpt-4o"), multimodal=True)
response = engine.query(question)
print(response)
for number, source in enumerate(response.source_nodes, 1):
    print(f"[{number}] {source.node_id}")
space.close()
