// Products of a quantized matrix with int8 activations, one entry per type. Q4_K:
//   y[r][row] = sum_t s[r][t] * (d * scale_t * dot(q_t, a[r]_t) - dmin * min_t * sum(a[r]_t))
// over the sub-blocks t of 32 weights q_t in 0..15, with int8 activations a of scale s.
//
// Shapes     w: [rows, n_super] super-blocks of 256 weights, 144 bytes each (ggml-common.h,
//            block_q4_K); a: [batch, n] int8 with n = 256 * n_super; s: [batch, n / 32] float32;
//            y: [batch, rows] float32.
// Launch     grid (ceil(rows / block.y), min(batch, 65535), 1), block (32, rows per block, 1) with at
//            most 1024 threads. One warp per row of w; the activation row is blockIdx.y: a single
//            vector and a batch run the same code. No shared memory.
// Alignment  4 bytes; a super-block keeps it, 144 being a multiple of 4.
// Numerics   the dot products are exact integers (|dot| <= 32 * 15 * 127); sums in float32.
// Measured   not on a GPU yet.

#include <cuda_fp16.h>

struct block_q4_K {
  __half2 dm;                // super-block scale d, super-block min scale dmin
  unsigned char scales[12];  // 8 scales and 8 mins of 6 bits
  unsigned char qs[128];     // per 32 bytes: 32 low nibbles, then 32 high nibbles
};
static_assert(sizeof(block_q4_K) == 144, "block_q4_K is 144 bytes");

#define FULL_WARP 0xffffffffu
#define LOW_NIBBLES 0x0f0f0f0f
#define FOUR_ONES 0x01010101

// Unpack the 6-bit scale and min of sub-block j (ggml-quants.c, get_scale_min_k4).
__device__ __forceinline__ void scale_and_min(const unsigned char* q, int j, int& scale, int& min) {
  if (j < 4) {
    scale = q[j] & 63;
    min = q[j + 4] & 63;
  } else {
    scale = (q[j + 4] & 15) | ((q[j - 4] >> 6) << 4);
    min = (q[j + 4] >> 4) | ((q[j] >> 6) << 4);
  }
}

extern "C" __global__ void __launch_bounds__(1024)
q4k_matvec(const block_q4_K* __restrict__ w, const signed char* __restrict__ a,
           const float* __restrict__ s, float* __restrict__ y, int rows, int n_super, int batch) {
  const int row = blockIdx.x * blockDim.y + threadIdx.y;
  const int lane = threadIdx.x;
  const int n_sub = n_super * 8;
  if (row >= rows) return;  // whole warps leave: a warp is one row
  const block_q4_K* w_row = w + (size_t)row * n_super;

  for (int r = blockIdx.y; r < batch; r += gridDim.y) {
    const int* a_row = reinterpret_cast<const int*>(a + (size_t)r * n_sub * 32);
    const float* s_row = s + (size_t)r * n_sub;

    float sum = 0.0f;
    for (int t = lane; t < n_sub; t += 32) {
      const block_q4_K* block = w_row + (t >> 3);
      const int j = t & 7;
      const int* qs = reinterpret_cast<const int*>(block->qs) + (j >> 1) * 8;
      const int* a_t = a_row + t * 8;
      const int shift = (j & 1) * 4;

      int dot = 0, total = 0;
#pragma unroll
      for (int k = 0; k < 8; k++) {
        const int activations = a_t[k];
        dot = __dp4a((qs[k] >> shift) & LOW_NIBBLES, activations, dot);
        total = __dp4a(FOUR_ONES, activations, total);
      }
      int scale, min;
      scale_and_min(block->scales, j, scale, min);
      const float2 dm = __half22float2(block->dm);
      sum += s_row[t] * (dm.x * (scale * dot) - dm.y * (min * total));
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) {
      sum += __shfl_xor_sync(FULL_WARP, sum, offset);
    }
    if (lane == 0) y[(size_t)r * rows + row] = sum;
  }
}
