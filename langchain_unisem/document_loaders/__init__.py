"""Document loaders: pictures with their captions as documents that refer to them."""

from langchain_unisem.document_loaders.blob_parser import PictureBlobParser
from langchain_unisem.document_loaders.folder import PictureFolderLoader

__all__ = ["PictureBlobParser", "PictureFolderLoader"]
