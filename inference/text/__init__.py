"""Text in, token ids out, and back: vocabularies, chat templates."""
