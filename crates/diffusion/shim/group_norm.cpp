// Group normalisation of channels-last feature maps, with SiLU in the same pass.
//
// LibTorch's channels-last kernel works group by group, a handful of channels at a time, and takes a third of a small
// network's step. This one works on whole pixels: all channels of a pixel lie side by side, so every loop is a vector
// loop. Sums are taken in two passes (mean first, then squares about it), in float over 32 pixels and in double beyond.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "guarded.h"

// One binary for every x86-64: the loops are compiled for each vector width and chosen when the program starts.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_WIDTH
#endif

namespace retouch {

constexpr int64_t kBlock = 32;

// e^x within 2 units in the last place (Cephes' expf). NaN stays NaN.
static inline __attribute__((always_inline)) float exp_of(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float magic = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number in the low bits
  const float shifted = x * 1.44269504f + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, 4);
  bits = (bits + 127u) << 23;
  float power;
  std::memcpy(&power, &bits, 4);
  return p * power;
}

FOR_EVERY_WIDTH void add_rows(float* sums, const float* x, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; ++r, x += c) {
#pragma GCC ivdep
    for (int64_t i = 0; i < c; ++i) sums[i] += x[i];
  }
}

FOR_EVERY_WIDTH void add_squares(float* sums, const float* x, const float* mean, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; ++r, x += c) {
#pragma GCC ivdep
    for (int64_t i = 0; i < c; ++i) sums[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
  }
}

FOR_EVERY_WIDTH void scale_rows(float* y, const float* x, const float* scale, const float* shift, int64_t rows,
                                int64_t c) {
  for (int64_t r = 0; r < rows; ++r, x += c, y += c) {
#pragma GCC ivdep
    for (int64_t i = 0; i < c; ++i) y[i] = x[i] * scale[i] + shift[i];
  }
}

FOR_EVERY_WIDTH void scale_rows_silu(float* y, const float* x, const float* scale, const float* shift, int64_t rows,
                                     int64_t c) {
  for (int64_t r = 0; r < rows; ++r, x += c, y += c) {
#pragma GCC ivdep
    for (int64_t i = 0; i < c; ++i) {
      const float v = x[i] * scale[i] + shift[i];
      y[i] = v / (1.0f + exp_of(-v));
    }
  }
}

FOR_EVERY_WIDTH void widen(float* y, const uint16_t* x, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = static_cast<uint32_t>(x[i]) << 16;
    std::memcpy(&y[i], &bits, 4);
  }
}

// Rounds to the nearest bfloat16, ties to even; NaN stays NaN.
FOR_EVERY_WIDTH void narrow(uint16_t* y, const float* x, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, &x[i], 4);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const uint32_t nan = (bits >> 16) | 0x40u;
    y[i] = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

// Blocks of rows as float, read and written in the tensor's own type.
struct Floats {
  using Value = float;
  static const float* read(const float* x, float*, int64_t) { return x; }
  static float* target(float* y, float*) { return y; }
  static void write(float*, const float*, int64_t) {}
};
struct Bfloats {
  using Value = uint16_t;
  static const float* read(const uint16_t* x, float* buffer, int64_t n) {
    widen(buffer, x, n);
    return buffer;
  }
  static float* target(uint16_t*, float* buffer) { return buffer; }
  static void write(uint16_t* y, const float* buffer, int64_t n) { narrow(y, buffer, n); }
};

// x and y [b, hw, c]; weight and bias [c] float.
template <typename Io>
void group_norm(const typename Io::Value* x, typename Io::Value* y, const float* weight, const float* bias, int64_t b,
                int64_t hw, int64_t c, int64_t groups, double eps, bool silu) {
  const int64_t blocks = (hw + kBlock - 1) / kBlock;
  // Small maps are not worth waking other threads for; partial sums are kept per stretch of blocks.
  const int64_t threads = b * hw * c < 65536 ? 1 : at::get_num_threads();
  const int64_t stretches = std::min<int64_t>(blocks, threads);
  const int64_t width = c / groups;
  std::vector<double> partial(static_cast<size_t>(b * stretches * c));
  std::vector<float> mean(static_cast<size_t>(b * c)), scale(mean.size()), shift(mean.size());

  const auto for_stretches = [&](auto&& body) {
    at::parallel_for(0, b * stretches, threads == 1 ? b * stretches : 1, [&](int64_t begin, int64_t end) {
      std::vector<float> buffer(static_cast<size_t>(kBlock * c)), sums(static_cast<size_t>(c));
      for (int64_t task = begin; task < end; ++task) {
        const int64_t image = task / stretches, stretch = task % stretches;
        for (int64_t block = blocks * stretch / stretches; block < blocks * (stretch + 1) / stretches; ++block) {
          const int64_t first = block * kBlock, rows = std::min(kBlock, hw - first);
          body(task, image, (image * hw + first) * c, rows, buffer.data(), sums.data());
        }
      }
    });
  };
  // Adds up `partial` over stretches and the channels of each group; hands out the mean over the group's values.
  const auto reduce = [&](auto&& body) {
    for (int64_t image = 0; image < b; ++image)
      for (int64_t group = 0; group < groups; ++group) {
        double sum = 0;
        for (int64_t stretch = 0; stretch < stretches; ++stretch)
          for (int64_t i = 0; i < width; ++i) sum += partial[(image * stretches + stretch) * c + group * width + i];
        body(image * c + group * width, sum / static_cast<double>(hw * width));
      }
    std::fill(partial.begin(), partial.end(), 0.0);
  };
  const auto flush = [&](int64_t task, float* sums) {
    for (int64_t i = 0; i < c; ++i) partial[task * c + i] += sums[i], sums[i] = 0;
  };

  for_stretches([&](int64_t task, int64_t, int64_t at, int64_t rows, float* buffer, float* sums) {
    add_rows(sums, Io::read(x + at, buffer, rows * c), rows, c);
    flush(task, sums);
  });
  reduce([&](int64_t channel, double value) {
    std::fill_n(mean.begin() + channel, width, static_cast<float>(value));
  });
  for_stretches([&](int64_t task, int64_t image, int64_t at, int64_t rows, float* buffer, float* sums) {
    add_squares(sums, Io::read(x + at, buffer, rows * c), &mean[image * c], rows, c);
    flush(task, sums);
  });
  reduce([&](int64_t channel, double variance) {
    const float inverse = static_cast<float>(1.0 / std::sqrt(variance + eps));
    for (int64_t i = channel; i < channel + width; ++i) {
      scale[i] = weight[i % c] * inverse;
      shift[i] = bias[i % c] - mean[i] * scale[i];
    }
  });
  for_stretches([&](int64_t, int64_t image, int64_t at, int64_t rows, float* buffer, float*) {
    const float* in = Io::read(x + at, buffer, rows * c);
    float* out = Io::target(y + at, buffer);
    (silu ? scale_rows_silu : scale_rows)(out, in, &scale[image * c], &shift[image * c], rows, c);
    Io::write(y + at, out, rows * c);
  });
}

}  // namespace retouch

extern "C" {

// x [b, c, h, w] channels-last, float32 or bfloat16 on the CPU; weight and bias [c] -> the same shape and layout.
at::Tensor* retouch_group_norm(const at::Tensor* x, const at::Tensor* weight, const at::Tensor* bias, int64_t groups,
                               double eps, bool silu) {
  return retouch::guarded([&] {
    const auto layout = at::MemoryFormat::ChannelsLast;
    TORCH_CHECK(x->dim() == 4 && x->device().is_cpu(), "group norm takes feature maps on the CPU");
    const int64_t b = x->size(0), c = x->size(1), hw = x->size(2) * x->size(3);
    TORCH_CHECK(groups > 0 && c % groups == 0, "group norm of ", c, " channels in ", groups, " groups");
    TORCH_CHECK(weight->numel() == c && bias->numel() == c, "group norm of ", c, " channels with other weights");
    const at::Tensor in = x->contiguous(layout);
    at::Tensor out = at::empty_like(in, layout);
    const at::Tensor w = weight->to(at::kFloat).contiguous(), s = bias->to(at::kFloat).contiguous();
    const float *wp = w.const_data_ptr<float>(), *sp = s.const_data_ptr<float>();
    if (in.scalar_type() == at::kFloat) {
      retouch::group_norm<retouch::Floats>(in.const_data_ptr<float>(), out.mutable_data_ptr<float>(), wp, sp, b, hw, c,
                                           groups, eps, silu);
    } else {
      TORCH_CHECK(in.scalar_type() == at::kBFloat16, "group norm of ", in.scalar_type());
      retouch::group_norm<retouch::Bfloats>(static_cast<const uint16_t*>(in.const_data_ptr()),
                                            static_cast<uint16_t*>(out.mutable_data_ptr()), wp, sp, b, hw, c, groups,
                                            eps, silu);
    }
    return out;
  });
}

}  // extern "C"
