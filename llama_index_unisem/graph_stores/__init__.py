"""A space's knowledge graph, as a graph store for LlamaIndex."""
