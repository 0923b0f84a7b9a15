"""What the compiled CPU kernels share."""
