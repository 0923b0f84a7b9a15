"""Operations on whole model files."""
