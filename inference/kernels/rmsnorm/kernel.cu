// RMSNorm: y[r][i] = x[r][i] / sqrt(sum_j x[r][j]^2 / n + eps) * weight[i]
//
// Shapes     x, y: [rows, n] float32, row-major; weight: [n] float32.
// Launch     grid (1, min(rows, 65535), 1), block (threads, 1, 1) with threads a multiple of 32, at
//            most 1024. One block per row, the row taken from blockIdx.y: a single row and a batch
//            run the same code.
// Alignment  4 bytes.
// Numerics   float32 throughout; each thread adds n / threads squares, then a tree over the block.
//            Squares overflow where |x| > 1.8e19.
// Measured   not on a GPU yet.

#define FULL_WARP 0xffffffffu

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) {
    value += __shfl_xor_sync(FULL_WARP, value, offset);
  }
  return value;
}

extern "C" __global__ void __launch_bounds__(1024)
rmsnorm(const float* __restrict__ x, const float* __restrict__ weight, float* __restrict__ y,
        int rows, int n, float eps) {
  __shared__ float partial[32];
  const unsigned int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;

  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    const float* x_row = x + (size_t)row * n;
    float* y_row = y + (size_t)row * n;

    float sum = 0.0f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x_row[i] * x_row[i];
    sum = warp_sum(sum);
    if (lane == 0) partial[warp] = sum;
    __syncthreads();

    // Every warp adds the partial sums itself: no second broadcast through shared memory.
    sum = warp_sum(lane < warps ? partial[lane] : 0.0f);
    const float scale = 1.0f / sqrtf(sum / n + eps);
    for (int i = threadIdx.x; i < n; i += blockDim.x) y_row[i] = x_row[i] * scale * weight[i];

    __syncthreads();  // the next row writes `partial` again
  }
}
