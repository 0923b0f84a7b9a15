"""What the CUDA kernels share: the device, launch geometry, NVRTC, and the text of PTX."""
