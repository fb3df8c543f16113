"""Mini-multilingual, which embeds texts of a hundred languages beside `mini`'s pictures.

`model/README.md` describes it.
"""

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.encoders.multilingual.encoder import MultilingualEncoder as MultilingualEncoder

__getattr__, __dir__, __all__ = lazy_names(__name__)
