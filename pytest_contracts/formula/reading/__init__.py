"""Text to syntax tree: the strict notation, and that of existing contract files."""
