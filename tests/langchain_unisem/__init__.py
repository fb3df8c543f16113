"""Tests of the LangChain adapters."""
