// Products of a small matrix of weights with arrays (channel, edge), the edge index fastest.
#pragma once

#include <vector>

#include "vector.h"

namespace equipot {

// Rows of weights and vectors of edges whose sums are kept in registers: 24 of 32, or 12 of 16.
constexpr int block_rows = width == 16 ? 8 : 4;
constexpr int block_vectors = 3;

// (rows, columns), packed in blocks of rows: all rows of a block at a column, then the next column.
class Matrix {
 public:
  Matrix() = default;
  Matrix(int rows, int columns) : rows_(rows), columns_(columns) {
    packed_.resize(size_t(rows + block_rows - 1) / block_rows * block_rows * columns);
  }

  int rows() const { return rows_; }
  int columns() const { return columns_; }

  float& at(int row, int column) {
    const int block = row / block_rows;
    return packed_[(size_t(block) * columns_ + column) * block_rows + row % block_rows];
  }

  Matrix transposed() const {
    Matrix out(columns_, rows_);
    for (int row = 0; row < rows_; ++row)
      for (int column = 0; column < columns_; ++column)
        out.at(column, row) = const_cast<Matrix*>(this)->at(row, column);
    return out;
  }

  // out(rows, edges) = matrix . in(columns, edges), or added to it. Rows of `in` and `out` are
  // `in_stride` and `out_stride` floats apart; `edges` is a multiple of the width.
  void multiply(const float* in, int in_stride, float* out, int out_stride, int edges,
                bool add = false) const {
    int edge = 0;
    for (; edge + block_vectors * width <= edges; edge += block_vectors * width)
      column_of_blocks<block_vectors>(in + edge, in_stride, out + edge, out_stride, add);
    if (edges - edge == 2 * width)
      column_of_blocks<2>(in + edge, in_stride, out + edge, out_stride, add);
    if (edges - edge == width)
      column_of_blocks<1>(in + edge, in_stride, out + edge, out_stride, add);
  }

 private:
  template <int vectors>
  void column_of_blocks(const float* in, int in_stride, float* out, int out_stride,
                        bool add) const {
    for (int row = 0; row < rows_; row += block_rows) {
      const int rows = rows_ - row < block_rows ? rows_ - row : block_rows;
      block<vectors>(packed_.data() + size_t(row) * columns_, in, in_stride,
                     out + size_t(row) * out_stride, out_stride, rows, add);
    }
  }

  template <int vectors>
  void block(const float* weights, const float* in, int in_stride, float* out, int out_stride,
             int rows, bool add) const {
    Vector sums[block_rows][vectors];
#pragma GCC unroll 8
    for (int r = 0; r < block_rows; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v)
        sums[r][v] = add && r < rows ? load(out + r * out_stride + v * width) : Vector{};
    for (int column = 0; column < columns_; ++column) {
      Vector values[vectors];
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v) values[v] = load(in + v * width);
#pragma GCC unroll 8
      for (int r = 0; r < block_rows; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) sums[r][v] += weights[r] * values[v];
      weights += block_rows;
      in += in_stride;
    }
#pragma GCC unroll 8
    for (int r = 0; r < block_rows; ++r) {
      if (r >= rows) break;
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v) store(out + r * out_stride + v * width, sums[r][v]);
    }
  }

  int rows_ = 0, columns_ = 0;
  std::vector<float> packed_;
};

}  // namespace equipot
