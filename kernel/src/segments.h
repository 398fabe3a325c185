// What both passes over a tile do atom by atom, with the edges of one.
#pragma once

#include "network.h"
#include "vector.h"

namespace equipot {

// out[first + r] = sum_q map[at[q] + r step] in[columns[q]], for `count` rows of a block from `row` on.
template <int count, int vectors>
inline void apply_rows(const Block& block, int row, const float* map, int entry, const float* in,
                       int in_stride, float* out, int stride) {
  Vector sums[count][vectors] = {};
  const int apart = block.step * entry;
  map += size_t(row) * apart;
  const int columns = int(block.columns.size());
  for (int q = 0; q < columns; ++q) {
    const float* from = in + size_t(block.columns[q]) * in_stride;
    const float* weights = map + size_t(block.at[q]) * entry;
    Vector values[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) values[v] = load(from + v * width);
#pragma GCC unroll 7
    for (int r = 0; r < count; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) sums[r][v] += weights[r * apart] * values[v];
  }
#pragma GCC unroll 7
  for (int r = 0; r < count; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) store(out + (row + r) * stride + v * width, sums[r][v]);
}

// All rows of a block, of edges `begin` to `end`; `out` is the block's first row.
template <int vectors>
inline void apply_vectors(const Block& block, const float* map, int entry, const float* in,
                          int in_stride, float* out, int stride) {
  int row = 0;
  for (; block.rows - row >= 7; row += 7)
    apply_rows<7, vectors>(block, row, map, entry, in, in_stride, out, stride);
  for (; block.rows - row >= 5; row += 5)
    apply_rows<5, vectors>(block, row, map, entry, in, in_stride, out, stride);
  for (; block.rows - row >= 3; row += 3)
    apply_rows<3, vectors>(block, row, map, entry, in, in_stride, out, stride);
  for (; row < block.rows; ++row)
    apply_rows<1, vectors>(block, row, map, entry, in, in_stride, out, stride);
}

inline void apply(const Block& block, const float* map, int entry, const float* in, float* out,
                  int stride, int begin, int end) {
  int edge = begin;
  for (; end - edge > width; edge += 2 * width)
    apply_vectors<2>(block, map, entry, in + edge, stride, out + edge, stride);
  if (edge < end) apply_vectors<1>(block, map, entry, in + edge, stride, out + edge, stride);
}

// Edges `begin` to `end` of some rows, copied to vectors one after the other, with zeros at the end.
inline void copy_segment(const float* from, size_t stride, int rows, int begin, int end,
                         float* out) {
  for (int row = 0; row < rows; ++row, from += stride)
    for (int edge = begin; edge < end; edge += width, out += width)
      store(out, first(load(from + edge), end - edge));
}

}  // namespace equipot
