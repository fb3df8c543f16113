"""Document loaders: documents and pictures, as LangChain documents that refer to them."""

from langchain_unisem.document_loaders.blob_parser import ImageBlobParser
from langchain_unisem.document_loaders.document_blob_parser import DocumentBlobParser
from langchain_unisem.document_loaders.documents import DocumentLoader
from langchain_unisem.document_loaders.folder import ImageFolderLoader

__all__ = ["DocumentBlobParser", "DocumentLoader", "ImageBlobParser", "ImageFolderLoader"]
