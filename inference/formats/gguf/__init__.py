"""GGUF files (ggml's docs/gguf.md)."""
