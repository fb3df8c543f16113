"""Document loaders: pictures with their captions as documents that refer to them."""

from langchain_unisem.document_loaders.blob_parser import ImageBlobParser
from langchain_unisem.document_loaders.documents import DocumentLoader
from langchain_unisem.document_loaders.folder import ImageFolderLoader

__all__ = ["DocumentLoader", "ImageBlobParser", "ImageFolderLoader"]
