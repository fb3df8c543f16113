"""LlamaIndex's own tests, run against our vector store: ``python -m tests.conformance``."""
