"""The decoder: its configuration, its program of operations, its weights and its memory."""
