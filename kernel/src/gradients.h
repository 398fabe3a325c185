// Gradients by the weights of a network, summed over the edges and atoms of tiles.
#pragma once

#include <vector>

#include "equipot_kernel.h"
#include "network.h"

namespace equipot {

// Floats of a row that is a whole number of vectors.
inline int padded(int count) { return (count + width - 1) / width * width; }

// out[edge, row] = in[row, edge], with rows of `out` padded with zeros to whole vectors. `in` has
// whole vectors of edges, `stride` apart.
void transpose(const float* in, size_t stride, int rows, int edges, float* out);

// By the matrix of a layer: the sum over edges of gradient[row, edge] input[column, edge].
class MatrixGradient {
 public:
  MatrixGradient() = default;
  explicit MatrixGradient(const Linear& linear)
      : rows_(linear.forward.rows()), columns_(linear.forward.columns()) {
    sums_.resize(size_t(rows_) * padded(columns_));
  }

  // `inputs` are transposed.
  void add(const float* gradient, size_t stride, const float* inputs, int edges);

  // To (rows, columns).
  void add_to(double* out) const;

  int64_t size() const { return int64_t(rows_) * columns_; }

 private:
  int rows_ = 0, columns_ = 0;
  std::vector<float> sums_;  // (rows, padded columns)
};

struct LayerGradients {
  explicit LayerGradients(const Layer& layer, int padded_channels);

  MatrixGradient environment, old, fresh, mix_scalar;
  std::vector<MatrixGradient> rest, mix_tensor;
  std::vector<float> paths;  // (paths, padded channels) vectors, whose lanes are to be added up
  double amount = 0;
};

struct Gradients {
  explicit Gradients(const Network& network);

  // Adds to the array of each weight, by name.
  void add_to(const EquipotGradient* arrays, int64_t count) const;

  const Network& network;
  MatrixGradient radial, first_weights;
  std::vector<MatrixGradient> embedding, readout;
  std::vector<LayerGradients> layers;
  std::vector<double> last, scale, centre, neighbor, charge;  // as the weights are stored
};

}  // namespace equipot
