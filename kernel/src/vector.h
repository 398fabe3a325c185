// Vectors of `width` floats, in the compiler's own types, and the functions of them that are needed.
#pragma once

#include <cstdint>

#ifndef EQUIPOT_WIDTH
#error "EQUIPOT_WIDTH: floats of a vector register, 4, 8 or 16"
#endif

namespace equipot {

constexpr int width = EQUIPOT_WIDTH;

using Vector = float __attribute__((vector_size(4 * width)));
using Bits = int32_t __attribute__((vector_size(4 * width)));

// Rows begin anywhere, since those of an atom follow those of the one before it.
inline Vector load(const float* at) {
  using Unaligned = float __attribute__((vector_size(4 * width), aligned(4), may_alias));
  return *reinterpret_cast<const Unaligned*>(at);
}

inline void store(float* at, Vector value) {
  using Unaligned = float __attribute__((vector_size(4 * width), aligned(4), may_alias));
  *reinterpret_cast<Unaligned*>(at) = value;
}

inline Vector splat(float value) { return Vector{} + value; }

// The first `count` lanes, and zero in the others.
inline Vector first(Vector value, int count) {
  Bits lane;
  for (int i = 0; i < width; ++i) lane[i] = i;
  return lane < count ? value : Vector{};
}

// Sum of the lanes: halves are added until one lane is left.
inline float sum(Vector value) {
  using Four = float __attribute__((vector_size(16)));
#if EQUIPOT_WIDTH == 16
  using Eight = float __attribute__((vector_size(32)));
  const Eight eight = __builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15);
  const Four four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
                    __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
#elif EQUIPOT_WIDTH == 8
  const Four four = __builtin_shufflevector(value, value, 0, 1, 2, 3) +
                    __builtin_shufflevector(value, value, 4, 5, 6, 7);
#else
  const Four four = value;
#endif
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// The nearest whole numbers of |x| < 2^22: the digits behind the point do not fit beside 1.5 * 2^23.
inline Vector nearest(Vector x) {
  const Vector shift = splat(12582912.0f);
  return (x + shift) - shift;
}

// e^x = 2^n e^r with |r| <= log(2)/2; the polynomial is that of Cephes (S. L. Moshier), error 1e-7.
inline Vector exponential(Vector x) {
  x = x > 88.0f ? splat(88.0f) : x;
  x = x < -87.0f ? splat(-87.0f) : x;
  const Vector n = nearest(x * 1.44269504088896341f);
  const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vector y = splat(1.9875691500e-4f);
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  const Bits exponent = (__builtin_convertvector(n, Bits) + 127) << 23;
  return y * reinterpret_cast<Vector>(exponent);
}

struct SineCosine {
  Vector sine, cosine;
};

// sin(pi t) and cos(pi t): t = k + f with |f| <= 1/2, Taylor series of pi f, and the sign (-1)^k.
inline SineCosine of_half_turns(Vector t) {
  const Vector k = nearest(t);
  const Vector z = (t - k) * 3.14159265358979f, q = z * z;
  Vector s = splat(1.0f / 6227020800), c = splat(1.0f / 479001600);
  s = s * q - 1.0f / 39916800;
  s = s * q + 1.0f / 362880;
  s = s * q - 1.0f / 5040;
  s = s * q + 1.0f / 120;
  s = s * q - 1.0f / 6;
  s = z + z * q * s;
  c = c * q - 1.0f / 3628800;
  c = c * q + 1.0f / 40320;
  c = c * q - 1.0f / 720;
  c = c * q + 1.0f / 24;
  c = c * q - 0.5f;
  c = c * q + 1.0f;
  const Bits sign = __builtin_convertvector(k, Bits) << 31;
  return {reinterpret_cast<Vector>(reinterpret_cast<Bits>(s) ^ sign),
          reinterpret_cast<Vector>(reinterpret_cast<Bits>(c) ^ sign)};
}

}  // namespace equipot
