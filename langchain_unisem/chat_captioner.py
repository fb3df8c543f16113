"""`ChatModelCaptioner`: any LangChain chat model that sees pictures, as a `Captioner`."""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from langchain_unisem.messages import image_block, text_block
from unisem.captioners.chat_model import PROMPT, ChatCaptioner
from unisem.images.for_models import ModelImage


class ChatModelCaptioner(ChatCaptioner):
    """Asks a chat model to describe pictures, each in a message of its own.

    Setup:
        ``pip install "unisem[langchain]"``, and the package of your model.

    Key init args:
        model: A chat model that sees pictures.
        name: What to call it; captions are marked with it, and kept captions are told apart by
            it. The model's own name by default.
        prompt: What it is asked.
        side: Pixels that a sent picture's longer side may have.
        concurrency: Pictures that are asked about at once.

    Instantiate:
        ```python
        from langchain_unisem import ChatModelCaptioner

        captioner = ChatModelCaptioner(llm)
        ```

    Pictures go as standard content blocks, in base64, made small. See docs/guides/captions.md.

    Raises:
        TypeError: The model is no chat model.
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str | None = None,
        prompt: str = PROMPT,
        side: int = 512,
        concurrency: int = 4,
    ) -> None:
        if not isinstance(model, BaseChatModel):
            raise TypeError(f"model must be a LangChain chat model, not {type(model).__name__}")
        found = getattr(model, "model_name", None) or getattr(model, "model", None)
        super().__init__(
            name or (found if isinstance(found, str) else type(model).__name__),
            type(model).__name__,
            prompt=prompt,
            side=side,
            concurrency=concurrency,
        )
        self._model = model

    def ask(self, prompt: str, image: ModelImage) -> str:
        """Invoke the model with the prompt and the picture."""
        message = HumanMessage(content_blocks=[text_block(prompt), image_block(image)])
        return str(self._model.invoke([message]).text)
