"""PDFium, which reads and renders PDFs, in a process of its own that can be ended."""
