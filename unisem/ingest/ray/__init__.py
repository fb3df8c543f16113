"""Embedding on the machines of a Ray cluster; the program here reads and commits."""

from unisem.ingest.ray.ingestion import RayIngestion as RayIngestion
