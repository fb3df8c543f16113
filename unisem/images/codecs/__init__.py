"""JPEG XL and SVG, drawn by libraries in native code in processes of their own."""
