"""`UniSemIndex`: texts and pictures in one LlamaIndex index, with one ranked list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.chat_engine.types import BaseChatEngine, ChatMode
from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.embeddings.utils import EmbedType
from llama_index.core.indices.registry import INDEX_STRUCT_TYPE_TO_INDEX_CLASS
from llama_index.core.ingestion import run_transformations
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.utils import LLMType, resolve_llm
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    BaseNode,
    Document,
    IndexNode,
    TransformComponent,
)
from llama_index.core.settings import Settings
from llama_index.core.storage.storage_context import StorageContext
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from llama_index_unisem.indices.chat import ImageCondenseChatEngine, ImageContextChatEngine
from llama_index_unisem.indices.defaults import embedding_for, leading_images_round, storage_for
from llama_index_unisem.indices.retriever import UniSemIndexRetriever
from llama_index_unisem.indices.stored_nodes import STRUCT_TYPE, StoredNodesIndex, UniSemIndexStruct
from llama_index_unisem.vector_stores.queries import refuse_unknown
from llama_index_unisem.vector_stores.store import UniSemVectorStore
from unisem.common.skipped import Skipped

if TYPE_CHECKING:
    from unisem import SemanticSpace

_RETRIEVER_OPTIONS = tuple(signature(UniSemIndexRetriever).parameters)[1:]
_SHARED = {"verbose"}
_OTHER_NAMES = {  # what a `UniSemRetriever` calls it, and what it is here
    "mode": "vector_store_query_mode=",
    "fusion": 'alpha=, in mode "hybrid"',
    "diversity": 'vector_store_query_mode="mmr" and vector_store_kwargs={"mmr_threshold": …}',
    "match": "an index over vector_store.view(…)",
}
_TEXT_TEMPLATES = ("text_qa_template", "refine_template")
_ENGINES: dict[tuple[bool, bool], Any] = {  # by whether it only looks up, and sees pictures
    (True, True): ImageContextChatEngine,
    (True, False): ContextChatEngine,
    (False, True): ImageCondenseChatEngine,
    (False, False): CondensePlusContextChatEngine,
}


class UniSemIndex(StoredNodesIndex):
    """An index of nodes with and without pictures, kept in a `UniSemVectorStore`.

    Pictures are embedded as pictures, with or without a caption, and splitters are led round them.
    `as_retriever` ranks everything in one list; `as_query_engine` shows a chat model captions and
    pictures. A picture that cannot be used is left out and listed in ``skipped``.

    >>> from llama_index.core.schema import TextNode
    >>> from llama_index_unisem import UniSemIndex
    >>> index = UniSemIndex([TextNode(id_="a", text="a tiger"), TextNode(id_="b", text="a teapot")])
    >>> index.as_retriever(similarity_top_k=1).retrieve("a big cat")[0].node_id
    'a'
    """

    index_struct_cls = UniSemIndexStruct

    def __init__(
        self,
        nodes: Sequence[BaseNode] | None = None,
        use_async: bool = False,
        store_nodes_override: bool = False,
        embed_model: EmbedType | None = None,
        insert_batch_size: int = 2048,
        objects: Sequence[IndexNode] | None = None,
        index_struct: IndexDict | None = None,
        storage_context: StorageContext | None = None,
        callback_manager: CallbackManager | None = None,
        transformations: list[TransformComponent] | None = None,
        show_progress: bool = False,
        *,
        space: SemanticSpace | None = None,
    ) -> None:
        """Embed and store nodes; without any the index is what its store holds already.

        Args:
            nodes: The nodes; documents go to ``from_documents``.
            use_async: Embed these nodes by the embedding's async calls.
            store_nodes_override: Keep nodes in the document store as well.
            embed_model: A space's own encoder if ``None``; else ``Settings.embed_model`` if the
                program has set one, else ``UniSemEmbedding()``, which needs no network.
            insert_batch_size: Nodes that are embedded and stored at once; each such batch is kept
                whole or not at all.
            objects: As in every LlamaIndex index.
            index_struct: As ``load_index_from_storage`` passes it.
            storage_context: With a `UniSemVectorStore`; a new one in memory if ``None``.
            callback_manager: As in every LlamaIndex index.
            transformations: What documents go through; ``Settings.transformations`` if ``None``.
            show_progress: As in every LlamaIndex index.
            space: A space to index, instead of a storage context's vector store.

        Raises:
            TypeError: The storage context has another vector store.
            ValueError: A space and a vector store.
            EncoderMismatchError: The embedding is not the space's.
        """
        storage = storage_for(storage_context, space)
        store = storage.vector_store
        assert isinstance(store, UniSemVectorStore)
        self._skipped: list[Skipped] = []
        if nodes is None and objects is None and index_struct is None:
            nodes = []
        super().__init__(
            nodes=nodes,
            use_async=use_async,
            store_nodes_override=store_nodes_override,
            embed_model=embedding_for(embed_model, store, callback_manager),
            insert_batch_size=insert_batch_size,
            objects=list(objects) if objects is not None else None,
            index_struct=index_struct,
            storage_context=storage,
            callback_manager=callback_manager,
            transformations=leading_images_round(transformations or Settings.transformations),
            show_progress=show_progress,
        )

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[Document],
        storage_context: StorageContext | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
        transformations: list[TransformComponent] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Build an index of documents; splitters are led round those with a picture.

        Args:
            documents: The documents.
            storage_context: As in the constructor.
            show_progress: As in every LlamaIndex index.
            callback_manager: As in every LlamaIndex index.
            transformations: As in the constructor.
            **kwargs: The constructor's other arguments.
        """
        steps = leading_images_round(transformations or Settings.transformations)
        manager = callback_manager or Settings.callback_manager
        with manager.as_trace("index_construction"):
            index = cls(
                nodes=run_transformations(documents, steps, show_progress=show_progress),
                storage_context=storage_context,
                callback_manager=callback_manager,
                show_progress=show_progress,
                transformations=steps,
                **kwargs,
            )
            # Last, so that documents count as indexed only when they are.
            for document in documents:
                index.docstore.set_document_hash(document.id_, document.hash)
        return index

    @classmethod
    def from_vector_store(
        cls,
        vector_store: BasePydanticVectorStore,
        embed_model: EmbedType | None = None,
        **kwargs: Any,
    ) -> Self:
        """Open an index over what a `UniSemVectorStore` holds.

        Args:
            vector_store: The store.
            embed_model: What its vectors came from; see the constructor.
            **kwargs: The constructor's other arguments.

        Raises:
            TypeError: Another kind of store.
        """
        kwargs.pop("storage_context", None)
        storage = StorageContext.from_defaults(vector_store=vector_store)
        return cls(embed_model=embed_model, storage_context=storage, **kwargs)

    # -- asking --------------------------------------------------------------------------------

    def as_retriever(self, **kwargs: Any) -> UniSemIndexRetriever:
        """Make a retriever.

        Args:
            **kwargs: Those of `UniSemIndexRetriever`.

        Raises:
            TypeError: An unknown option; a misspelt restriction would restrict nothing.
            ValueError: An option of `UniSemRetriever` that has another name here.
        """
        for name, here in _OTHER_NAMES.items():
            if kwargs.get(name) is not None:
                raise ValueError(f"an index's retriever knows no {name}; use {here}")
        refuse_unknown(kwargs, "as_retriever", (*_RETRIEVER_OPTIONS, *_OTHER_NAMES))
        options = {name: kwargs[name] for name in kwargs if name not in _OTHER_NAMES}
        options["object_map"] = {**self._object_map, **(kwargs.get("object_map") or {})}
        options.setdefault("callback_manager", self._callback_manager)
        return UniSemIndexRetriever(self, **options)

    def as_query_engine(self, llm: LLMType | None = None, **kwargs: Any) -> BaseQueryEngine:
        """Make a query engine; a chat model sees captions and pictures.

        Args:
            llm: The model; ``Settings.llm`` if ``None``.
            **kwargs: Those of the retriever and of ``RetrieverQueryEngine.from_args``. Give
                ``multimodal=False`` for a chat model that reads text only.

        Raises:
            ValueError: A template for texts, which LlamaIndex does not use for pictures.
        """
        model = self._model(llm)
        multimodal = kwargs.setdefault("multimodal", model.metadata.is_chat_model)
        for name in _TEXT_TEMPLATES if multimodal else ():
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"{name} is for texts; a model that sees pictures needs "
                    "chat_content_qa_template (or chat_content_refine_template). For texts alone "
                    "say multimodal=False"
                )
        known, rest = _parted(kwargs, "as_query_engine", RetrieverQueryEngine.from_args)
        return RetrieverQueryEngine.from_args(self.as_retriever(**known), llm=model, **rest)

    def as_chat_engine(
        self, chat_mode: ChatMode = ChatMode.BEST, llm: LLMType | None = None, **kwargs: Any
    ) -> BaseChatEngine:
        """Make a chat engine; a chat model sees captions and pictures in every mode that looks up.

        Args:
            chat_mode: As in LlamaIndex's own; ``"best"`` is ``"condense_plus_context"``.
            llm: The model; ``Settings.llm`` if ``None``.
            **kwargs: Those of the retriever and of the engine's ``from_defaults``; of the query
                engine's in mode ``"condense_question"``. Give ``multimodal=False`` for a chat
                model that reads text only.

        Raises:
            TypeError: An unknown option.
            ValueError: A mode that LlamaIndex has removed.
        """
        model = self._model(llm)
        mode = ChatMode(chat_mode)
        if mode == ChatMode.CONDENSE_QUESTION:
            make = CondenseQuestionChatEngine.from_defaults
            own = {
                name: kwargs.pop(name) for name in list(kwargs) if name in _named(make) - _SHARED
            }
            engine = self.as_query_engine(model, **kwargs)
            return make(query_engine=engine, llm=model, **own)
        if mode == ChatMode.SIMPLE:
            _parted(kwargs, "as_chat_engine", SimpleChatEngine.from_defaults)
            return SimpleChatEngine.from_defaults(llm=model, **kwargs)
        if mode in (ChatMode.REACT, ChatMode.OPENAI):
            raise ValueError(
                f'mode "{mode.value}" was removed from LlamaIndex; use a FunctionAgent with '
                "UniSemRetrieverTool"
            )
        seeing = bool(kwargs.pop("multimodal", model.metadata.is_chat_model))
        engine = _ENGINES[mode == ChatMode.CONTEXT, seeing]
        known, rest = _parted(kwargs, "as_chat_engine", engine.from_defaults)
        rest["multi_modal_llm" if seeing else "llm"] = model
        found: BaseChatEngine = engine.from_defaults(retriever=self.as_retriever(**known), **rest)
        return found

    def _model(self, llm: LLMType | None) -> LLM:
        return resolve_llm(llm, callback_manager=self._callback_manager) if llm else Settings.llm


def _parted(
    options: dict[str, Any], call: str, make: Callable[..., Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Which options are the retriever's, and which the engine's; some are both's.

    Raises:
        TypeError: One that is neither's.
    """
    retriever, engine = {*_RETRIEVER_OPTIONS, *_OTHER_NAMES}, _named(make)
    refuse_unknown(options, call, sorted(retriever | engine))
    return tuple(
        {name: value for name, value in options.items() if name in names}
        for names in (retriever, engine)
    )  # type: ignore[return-value]


def _named(make: Callable[..., Any]) -> set[str]:
    kinds = signature(make).parameters
    made = {"retriever", "llm", "multi_modal_llm", "query_engine"}  # what is passed here
    return {name for name, it in kinds.items() if it.kind != Parameter.VAR_KEYWORD} - made


INDEX_STRUCT_TYPE_TO_INDEX_CLASS[STRUCT_TYPE] = UniSemIndex
