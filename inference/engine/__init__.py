"""What puts formats, program, backend and decoding together: the open model, and its check."""
