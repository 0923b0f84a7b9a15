"""From logits to text: sampling and generation."""
