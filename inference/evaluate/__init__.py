"""What a model is worth: scores over benchmark results."""
