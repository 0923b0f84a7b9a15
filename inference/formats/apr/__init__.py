"""APR v2 files: one, or several that belong together, plain or compressed."""
