// SwiGLU, elementwise part: y[r][i] = gate[r][i] / (1 + exp(-gate[r][i])) * up[r][i]
//
// Shapes     gate, up, y: [rows, n] float32, row-major.
// Launch     grid (ceil(n / threads), min(rows, 65535), 1), block (threads, 1, 1), any size. The row
//            is blockIdx.y: a single row and a batch run the same code.
// Alignment  4 bytes.
// Numerics   float32, exp to 2 ulp. exp overflows to infinity for gate < -88.7: the result is then
//            -0 or +0, as the limit is.
// Measured   not on a GPU yet.

extern "C" __global__ void __launch_bounds__(1024)
swiglu(const float* __restrict__ gate, const float* __restrict__ up, float* __restrict__ y,
       int rows, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    const size_t at = (size_t)row * n + i;
    const float g = gate[at];
    y[at] = g / (1.0f + expf(-g)) * up[at];
  }
}
