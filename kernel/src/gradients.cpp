#include "gradients.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

namespace equipot {
namespace {

std::vector<MatrixGradient> of(const std::vector<Linear>& layers) {
  std::vector<MatrixGradient> out;
  for (const Linear& layer : layers) out.emplace_back(layer);
  return out;
}

// Lanes of two vectors in turn, of their first and of their second halves.
inline void interleave(Vector a, Vector b, Vector* out) {
#if EQUIPOT_WIDTH == 16
  out[0] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  out[1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif EQUIPOT_WIDTH == 8
  out[0] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  out[1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  out[0] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  out[1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

// A square of `width` vectors: as many perfect shuffles as a lane's number has digits.
inline void transpose_square(Vector* square) {
#pragma GCC unroll 4
  for (int n = 1; n < width; n *= 2) {
    Vector next[width];
#pragma GCC unroll 8
    for (int i = 0; i < width / 2; ++i) interleave(square[i], square[i + width / 2], next + 2 * i);
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) square[i] = next[i];
  }
}

template <int vectors>
inline void add_block(const float* gradient, size_t stride, const float* inputs, int padded,
                      int edges, float* sums, int rows) {
  Vector totals[block_rows][vectors];
  const float* from[block_rows];
#pragma GCC unroll 8
  for (int r = 0; r < block_rows; ++r) {
    const int row = std::min(r, rows - 1);
    from[r] = gradient + row * stride;
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) totals[r][v] = load(sums + row * padded + v * width);
  }
  for (int edge = 0; edge < edges; ++edge, inputs += padded) {
    Vector values[vectors];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) values[v] = load(inputs + v * width);
#pragma GCC unroll 8
    for (int r = 0; r < block_rows; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v) totals[r][v] += from[r][edge] * values[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < block_rows; ++r) {
    if (r >= rows) break;
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) store(sums + r * padded + v * width, totals[r][v]);
  }
}

}  // namespace

void transpose(const float* in, size_t stride, int rows, int edges, float* out) {
  const int wide = padded(rows);
  for (int row = 0; row < rows; row += width)
    for (int edge = 0; edge < edges; edge += width) {
      Vector square[width];
#pragma GCC unroll 16
      for (int r = 0; r < width; ++r)
        square[r] = row + r < rows ? load(in + (row + r) * stride + edge) : Vector{};
      transpose_square(square);
#pragma GCC unroll 16
      for (int e = 0; e < width; ++e) store(out + size_t(edge + e) * wide + row, square[e]);
    }
}

void MatrixGradient::add(const float* gradient, size_t stride, const float* inputs, int edges) {
  const int wide = padded(columns_);
  for (int row = 0; row < rows_; row += block_rows) {
    const int rows = std::min(block_rows, rows_ - row);
    const float* from = gradient + row * stride;
    float* sums = sums_.data() + size_t(row) * wide;
    int column = 0;
    for (; column + block_vectors * width <= wide; column += block_vectors * width)
      add_block<block_vectors>(from, stride, inputs + column, wide, edges, sums + column, rows);
    if (wide - column == 2 * width)
      add_block<2>(from, stride, inputs + column, wide, edges, sums + column, rows);
    if (wide - column == width)
      add_block<1>(from, stride, inputs + column, wide, edges, sums + column, rows);
  }
}

void MatrixGradient::add_to(double* out) const {
  for (int row = 0; row < rows_; ++row)
    for (int column = 0; column < columns_; ++column)
      *out++ += sums_[size_t(row) * padded(columns_) + column];
}

LayerGradients::LayerGradients(const Layer& layer, int padded_channels)
    : environment(layer.environment), old(layer.old), fresh(layer.fresh), rest(of(layer.rest)) {
  if (!layer.last) {
    mix_scalar = MatrixGradient(layer.mix_scalar);
    mix_tensor = of(layer.mix_tensor);
  }
  paths.resize(size_t(layer.product.paths) * padded_channels * width);
}

Gradients::Gradients(const Network& network)
    : network(network),
      radial(network.radial),
      first_weights(network.first_weights),
      embedding(of(network.embedding)),
      readout(of(network.readout)),
      last(network.last.size()),
      scale(network.scale.size()),
      centre(network.centre.size()),
      neighbor(network.neighbor.size()),
      charge(network.charge.size()) {
  for (const Layer& layer : network.layers) layers.emplace_back(layer, network.padded_channels);
}

void Gradients::add_to(const EquipotGradient* arrays, int64_t count) const {
  std::map<std::string, const EquipotGradient*> by_name;
  for (int64_t i = 0; i < count; ++i) by_name[arrays[i].name] = &arrays[i];
  const auto find = [&](const std::string& name, int64_t size) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) throw std::invalid_argument("no '" + name + "' was given");
    if (found->second->count != size)
      throw std::invalid_argument("'" + name + "' has " + std::to_string(found->second->count) +
                                  " numbers, not " + std::to_string(size));
    return found->second->sums;
  };
  const auto add = [&](const std::string& name, const MatrixGradient& gradient) {
    gradient.add_to(find(name + ".weight", gradient.size()));
  };
  const auto add_table = [&](const std::string& name, const std::vector<double>& sums) {
    double* out = find(name, int64_t(sums.size()));
    for (double one : sums) *out++ += one;
  };
  const auto add_mlp = [&](const std::string& name, const std::vector<MatrixGradient>& mlp) {
    for (size_t i = 0; i < mlp.size(); ++i) add(name + "." + std::to_string(2 * i), mlp[i]);
  };
  add("embedding.radial", radial);
  add_table("embedding.centre", centre);
  double* by_neighbor = find("embedding.neighbor", int64_t(neighbor.size()));
  for (int s = 0; s < network.elements; ++s)
    for (int f = 0; f < network.embedding_width; ++f)
      *by_neighbor++ += neighbor[f * network.elements + s];
  if (network.takes_charge) add_table("embedding.charge", charge);
  add_mlp("embedding.rest", embedding);
  add("first_weights", first_weights);
  for (size_t l = 0; l < layers.size(); ++l) {
    const std::string name = "layers." + std::to_string(l);
    const LayerGradients& gradients = layers[l];
    const Layer& layer = network.layers[l];
    const int paths = layer.product.paths;
    add(name + ".environment.weights", gradients.environment);
    double* by_path = find(name + ".product.weights", int64_t(network.channels) * paths);
    for (int c = 0; c < network.channels; ++c)
      for (int path = 0; path < paths; ++path)
        *by_path++ += network.normalization *
                      sum(load(&gradients.paths[(size_t(path) * network.padded_channels + c) * width]));
    add(name + ".latent.old", gradients.old);
    add(name + ".latent.new", gradients.fresh);
    add_mlp(name + ".latent.rest", gradients.rest);
    *find(name + ".latent.amount", 1) += gradients.amount * layer.amount * (1 - layer.amount);
    if (layer.last) continue;
    gradients.mix_scalar.add_to(find(name + ".mix.scalar", gradients.mix_scalar.size()));
    int64_t size = 0;
    for (const MatrixGradient& one : gradients.mix_tensor) size += one.size();
    double* by_tensor = find(name + ".mix.tensor", size);
    for (const MatrixGradient& one : gradients.mix_tensor) {
      one.add_to(by_tensor);
      by_tensor += one.size();
    }
  }
  add_mlp("readout", readout);
  add_table("readout." + std::to_string(2 * readout.size()) + ".weight", last);
  add_table("scale", scale);
}

}  // namespace equipot
