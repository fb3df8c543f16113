"""What `benchmarks.store` measures side by side: one store a file, behind one small ABC."""
