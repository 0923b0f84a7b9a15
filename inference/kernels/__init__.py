"""One room per kernel: its scalar reference, its CPU form and, where it has one, its CUDA form."""
