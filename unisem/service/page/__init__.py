"""The page to search in, at ``/``: TypeScript in ``src/``, and in ``files/`` what is served."""

from unisem.service.page.routes import PAGE_POLICY, page_router

__all__ = ["PAGE_POLICY", "page_router"]
