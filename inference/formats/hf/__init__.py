"""Hugging Face directories: config.json, tokenizer.json, safetensors."""
