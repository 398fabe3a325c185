// The pass backwards over a tile, by hand.
#include <algorithm>

#include "segments.h"
#include "tile.h"

namespace equipot {
namespace {

// sums[row r, column q] = sum over edges of left[row r] right[columns[q]], lane by lane, for `count`
// rows of a block of outputs from `row` on and up to two vectors of edges.
template <int count, int vectors>
inline void multiply_rows(const Block& block, int row, const float* left, const float* right,
                          int stride, bool add, float* sums) {
  Vector rows[count][vectors];
#pragma GCC unroll 5
  for (int r = 0; r < count; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v)
      rows[r][v] = load(left + size_t(block.first + row + r) * stride + v * width);
  float* out = sums + (size_t(block.at[0]) + size_t(row) * block.step) * width;
  const int apart = block.step * width;
  for (const int column : block.columns) {
    Vector values[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) values[v] = load(right + size_t(column) * stride + v * width);
#pragma GCC unroll 5
    for (int r = 0; r < count; ++r) {
      Vector total = add ? load(out + r * apart) : Vector{};
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) total += rows[r][v] * values[v];
      store(out + r * apart, total);
    }
    out += width;
  }
}

template <int vectors>
inline void multiply_vectors(const Block& block, const float* left, const float* right, int stride,
                             bool add, float* sums) {
  int row = 0;
  for (; block.rows - row >= 5; row += 5)
    multiply_rows<5, vectors>(block, row, left, right, stride, add, sums);
  for (; block.rows - row >= 3; row += 3)
    multiply_rows<3, vectors>(block, row, left, right, stride, add, sums);
  for (; row < block.rows; ++row)
    multiply_rows<1, vectors>(block, row, left, right, stride, add, sums);
}

inline void multiply_segments(const Block& block, const float* left, const float* right,
                              int vectors, float* sums) {
  if (block.columns.empty()) return;
  const int stride = vectors * width;
  int v = 0;
  for (; vectors - v > 1; v += 2)
    multiply_vectors<2>(block, left + v * width, right + v * width, stride, v > 0, sums);
  if (v < vectors)
    multiply_vectors<1>(block, left + v * width, right + v * width, stride, v > 0, sums);
}

// by_environment[c, j] = sum over the terms of j of coefficients[term, c] maps[c, pair], for so many
// channels from `channel` on; the lanes of `maps` are added up at last. Where there are `by_weight`,
// (paths, entry) vectors, the weights' gradients are added to them: the sum over the terms of a path of
// environment[j, c] value[term] maps[c, pair].
template <int channels>
inline void contract(const Product& product, int channel, int entry, const float* maps,
                     float* by_environment, int environments, const float* environment,
                     float* by_weight) {
  Vector totals[channels] = {}, of_path[channels] = {};
  const size_t map = size_t(product.pairs) * width;
  for (const Product::Term& term : product.by_environment) {
#pragma GCC unroll 4
    for (int c = 0; c < channels; ++c)
      of_path[c] += term.value * load(maps + c * map + size_t(term.pair) * width);
    if (!term.last_of_path) continue;
    const float* weights = &product.weights[size_t(term.path) * entry + channel];
#pragma GCC unroll 4
    for (int c = 0; c < channels; ++c) totals[c] += weights[c] * of_path[c];
    if (by_weight) {
      const float* values = environment + term.environment * entry + channel;
      float* out = by_weight + (size_t(term.path) * entry + channel) * width;
#pragma GCC unroll 4
      for (int c = 0; c < channels; ++c)
        store(out + c * width, load(out + c * width) + values[c] * of_path[c]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < channels; ++c) of_path[c] = Vector{};
    if (!term.last) continue;
#pragma GCC unroll 4
    for (int c = 0; c < channels; ++c) {
      by_environment[c * environments + term.environment] = sum(totals[c]);
      totals[c] = Vector{};
    }
  }
}

}  // namespace

void Tile::times(float* values, const float* factors, int rows) {
  for (int row = 0; row < rows; ++row)
    for (int edge = 0; edge < padded_; edge += width) {
      const int at = row * stride_ + edge;
      store(values + at, load(values + at) * load(factors + at));
    }
}

// From the gradient by the output, in one_, to that by what went into the SiLU before the first layer.
void Tile::run_back(const Mlp& mlp, const Hidden& hidden, const float* gradient, float* out,
                    std::vector<MatrixGradient>* sums) {
  float* buffers[] = {two_, one_};
  for (size_t k = mlp.size(), step = 0; k-- > 0; ++step) {
    const int columns = mlp[k].forward.columns();
    if (sums) (*sums)[k].add(gradient, stride_, transposed(hidden.values[k], stride_, columns), edges_);
    float* to = k == 0 ? out : buffers[step % 2];
    mlp[k].backward.multiply(gradient, stride_, to, stride_, padded_);
    times(to, hidden.slopes[k], columns);
    gradient = to;
  }
}

const float* Tile::transposed(const float* in, size_t stride, int rows) {
  transpose(in, stride, rows, padded_, transposed_);
  return transposed_;
}

void Tile::backward_readout() {
  const Network& n = network_;
  float* gradient = n.readout.empty() ? grad_x_ : one_;
  for (int f = 0; f < n.features; ++f)
    for (int edge = 0; edge < padded_; edge += width)
      store(gradient + f * stride_ + edge, load(seed_ + edge) * n.last[f]);
  float* buffers[] = {two_, one_};
  for (size_t k = n.readout.size(), step = 0; k-- > 0; ++step) {
    times(gradient, readout_hidden_.slopes[k], n.readout[k].forward.rows());
    if (sums_) {
      const float* in = k == 0 ? x_ : readout_hidden_.values[k - 1];
      sums_->readout[k].add(gradient, stride_,
                            transposed(in, stride_, n.readout[k].forward.columns()), edges_);
    }
    float* to = k == 0 ? grad_x_ : buffers[step % 2];
    n.readout[k].backward.multiply(gradient, stride_, to, stride_, padded_);
    gradient = to;
  }
}

// What `forward` does, in reverse: from grad_x_ and grad_tensors_ by what comes out to those by what
// went in.
void Tile::backward(const Layer& layer, LayerTape& tape, LayerGradients* sums) {
  const Network& n = network_;
  const Product& product = layer.product;
  const float factor = layer.amount * layer.norm;
  const float shrinking = layer.amount * layer.norm * layer.norm;
  double by_amount = 0;  // (u m - a (x + a u m) / (1 + a^2)) / sqrt(1 + a^2), m what the MLP says
  for (int edge = 0; edge < padded_; edge += width) {
    const Vector envelope = load(envelope_ + edge), u = envelope * factor;
    Vector by_envelope = {}, by_amounts = {};
    for (int f = 0; f < n.scalars; ++f) {
      const int at = f * stride_ + edge;
      const Vector gradient = load(grad_x_ + at), update = load(tape.update + at);
      by_envelope += gradient * update;
      if (sums) {
        const Vector added = envelope * update;
        by_amounts += gradient * (added - shrinking * (load(tape.x + at) + layer.amount * added));
      }
      store(one_ + at, gradient * u);
      store(grad_x_ + at, gradient * layer.norm);
    }
    by_amount += sum(first(by_amounts, edges_ - edge));
    store(grad_envelope_ + edge, load(grad_envelope_ + edge) + by_envelope * factor);
  }
  float* hidden = layer.rest.size() % 2 ? two_ : one_;
  run_back(layer.rest, tape.hidden, one_, hidden, sums ? &sums->rest : nullptr);
  layer.old.backward.multiply(hidden, stride_, grad_x_, stride_, padded_, true);
  layer.fresh.backward.multiply(hidden, stride_, products_, stride_, padded_);
  const int apart = (1 + product.others) * stride_;  // channels of the next tensors
  if (sums) {
    sums->amount += layer.norm * by_amount;
    transpose(tape.x, stride_, n.scalars, padded_, transposed_x_);
    sums->old.add(hidden, stride_, transposed_x_, edges_);
    const float* products = transposed(tape.products, stride_, n.channels * product.scalars);
    sums->fresh.add(hidden, stride_, products, edges_);
    if (!layer.last) sums->mix_scalar.add(grad_tensors_, apart, products, edges_);
  }
  if (!layer.last) {
    const int wide = product.others * stride_;
    layer.mix_scalar.backward.multiply(grad_tensors_, apart, products_, stride_, padded_, true);
    for (size_t k = 0, component = 0; k < layer.mix_tensor.size(); ++k)
      for (int m = 0; m < layer.mix_widths[k]; ++m, ++component) {
        const float* gradient = grad_tensors_ + (1 + component) * stride_;
        const size_t row = component * stride_;
        if (sums)
          sums->mix_tensor[k].add(gradient, apart,
                                  transposed(tape.outputs + row, wide, n.channels), edges_);
        layer.mix_tensor[k].backward.multiply(gradient, apart, outputs_ + row, wide, padded_);
      }
  }
  backward_product(layer, tape, sums);
  if (sums) sums->environment.add(grad_weights_, stride_, transposed_x_, edges_);
  layer.environment.backward.multiply(grad_weights_, stride_, grad_x_, stride_, padded_, true);
}

// From the gradients by products_ and outputs_ to those by the tensors, by the weights of the
// environment and by the harmonics.
void Tile::backward_product(const Layer& layer, LayerTape& tape, LayerGradients* sums) {
  const Network& n = network_;
  const Product& product = layer.product;
  const int outs = product.scalars + product.others;
  float by_environment[block_channels * most_harmonics] = {};
  float* by_weight = sums ? sums->paths.data() : nullptr;
  const size_t map = size_t(product.pairs) * width;
  for (int atom = 0; atom < atoms_; ++atom) {
    const int begin = begins_[atom], end = begins_[atom + 1];
    if (begin == end) continue;
    const int vectors = (end - begin + width - 1) / width, wide = vectors * width;
    float *left = segment_, *right = segment_ + size_t(outs) * wide;
    const float* maps = tape.maps + size_t(atom) * product.pairs * n.padded_channels;
    const float* environment = tape.environments + size_t(atom) * n.harmonics * n.padded_channels;
    for (int c = 0, group; c < n.channels; c += group) {
      group = std::min(block_channels, n.channels - c);
      for (int g = 0; g < group; ++g) {
        copy_segment(products_ + (c + g) * product.scalars * stride_, stride_, product.scalars,
                     begin, end, left);
        copy_segment(outputs_ + (c + g) * product.others * stride_, stride_, product.others, begin,
                     end, left + product.scalars * wide);
        const int tensors = (c + g) * product.in_width * stride_;
        copy_segment(tape.tensors + tensors, stride_, product.in_width, begin, end, right);
        for (const Block& block : product.by_in)
          for (int v = 0; v < wide; v += 2 * width) {
            float* out = grad_tensors_ + tensors + block.first * stride_ + begin + v;
            const float* weights = maps + c + g;
            if (wide - v > width)
              apply_vectors<2>(block, weights, n.padded_channels, left + v, wide, out, stride_);
            else
              apply_vectors<1>(block, weights, n.padded_channels, left + v, wide, out, stride_);
          }
        for (const Block& block : product.by_out)
          multiply_segments(block, left, right, vectors, maps_grad_ + g * map);
      }
      if (group == block_channels)
        contract<block_channels>(product, c, n.padded_channels, maps_grad_, by_environment,
                                 n.harmonics, environment, by_weight);
      else
        for (int g = 0; g < group; ++g)
          contract<1>(product, c + g, n.padded_channels, maps_grad_ + g * map,
                      by_environment + g * n.harmonics, n.harmonics, environment, by_weight);
      for (int g = 0; g < group; ++g)
        backward_environment(tape, c + g, begin, end, by_environment + g * n.harmonics);
    }
  }
}

// From the gradient by an atom's environment to those by weights and harmonics of its edges.
void Tile::backward_environment(LayerTape& tape, int channel, int begin, int end,
                                const float* gradient) {
  const Network& n = network_;
  for (int d = 0; d < n.degrees; ++d) {
    const int row = (channel * n.degrees + d) * stride_;
    for (int edge = begin; edge < end; edge += width) {
      const Vector weight = load(tape.weights + row + edge);
      Vector by_weight = {};
      for (int j = d * d; j < (d + 1) * (d + 1); ++j) {
        float* by_harmonic = grad_harmonics_ + j * stride_ + edge;
        by_weight += gradient[j] * load(harmonics_ + j * stride_ + edge);
        store(by_harmonic, load(by_harmonic) + first(gradient[j] * weight, end - edge));
      }
      store(grad_weights_ + row + edge, by_weight);
    }
  }
}

// Through the first tensors and the embedding, to the gradient by the radial basis, in one_.
void Tile::backward_embedding() {
  const Network& n = network_;
  for (int c = 0; c < n.channels; ++c)
    for (int d = 0; d < n.degrees; ++d) {
      const int row = (c * n.degrees + d) * stride_;
      for (int edge = 0; edge < padded_; edge += width) {
        const Vector weight = load(first_ + row + edge);
        Vector by_weight = {};
        for (int j = d * d; j < (d + 1) * (d + 1); ++j) {
          float* by_harmonic = grad_harmonics_ + j * stride_ + edge;
          const Vector gradient = load(grad_tensors_ + (c * n.harmonics + j) * stride_ + edge);
          by_weight += gradient * load(harmonics_ + j * stride_ + edge);
          store(by_harmonic, load(by_harmonic) + gradient * weight);
        }
        store(grad_weights_ + row + edge, by_weight);
      }
    }
  if (sums_) {
    const float* x = transposed(tapes_[0].x, stride_, n.scalars);
    sums_->first_weights.add(grad_weights_, stride_, x, edges_);
  }
  n.first_weights.backward.multiply(grad_weights_, stride_, grad_x_, stride_, padded_, true);
  for (int edge = 0; edge < padded_; edge += width) {
    const Vector u = load(envelope_ + edge);
    Vector by_envelope = load(grad_envelope_ + edge);
    for (int f = 0; f < n.scalars; ++f) {
      const int at = f * stride_ + edge;
      by_envelope += load(grad_x_ + at) * load(embedded_ + at);
      store(one_ + at, load(grad_x_ + at) * u);
    }
    store(grad_envelope_ + edge, by_envelope);
  }
  float* hidden = n.embedding.size() % 2 ? two_ : one_;
  run_back(n.embedding, embedding_hidden_, one_, hidden, sums_ ? &sums_->embedding : nullptr);
  if (sums_) {
    sums_->radial.add(hidden, stride_, transposed(bessels_, stride_, n.bessels), edges_);
    by_tables(hidden);
    return;
  }
  float* by_basis = hidden == one_ ? two_ : one_;
  n.radial.backward.multiply(hidden, stride_, by_basis, stride_, padded_);
  for (int edge = 0; edge < padded_; edge += width) {
    Vector slope = load(pair_slope_ + edge) + load(grad_envelope_ + edge) * load(envelope_slope_ + edge);
    for (int b = 0; b < n.bessels; ++b)
      slope += load(by_basis + b * stride_ + edge) * load(bessel_slopes_ + b * stride_ + edge);
    store(pair_slope_ + edge, slope);
  }
}

// By the rows of the elements' tables, from the gradient by what goes into the first SiLU.
void Tile::by_tables(const float* gradient) {
  const Network& n = network_;
  for (int f = 0; f < n.embedding_width; ++f, gradient += stride_) {
    double* by_neighbor = &sums_->neighbor[size_t(f) * n.elements];
    for (int edge = 0; edge < edges_; ++edge) by_neighbor[neighbor_[edge]] += gradient[edge];
    for (int atom = 0; atom < atoms_; ++atom) {
      Vector total = {};
      for (int edge = begins_[atom]; edge < begins_[atom + 1]; edge += width)
        total += first(load(gradient + edge), begins_[atom + 1] - edge);
      const double by_centre = sum(total), charge = charge_[atom];
      sums_->centre[species_[atom] * n.embedding_width + f] += by_centre;
      if (!n.takes_charge) continue;
      double* by_charge = &sums_->charge[size_t(species_[atom]) * 2 * n.embedding_width + f];
      by_charge[0] += charge * by_centre;
      by_charge[n.embedding_width] += charge * charge * by_centre;
    }
  }
}

// The gradient by the vector: s d + (g - d (d . g)) / r, of the slope s by the distance and the
// gradient g by the direction d. It takes the place of the vectors.
void Tile::backward_geometry() {
  const Network& n = network_;
  for (int edge = 0; edge < padded_; edge += width) {
    for (size_t i = n.steps.size(); i-- > 0;) {
      const Network::Step& step = n.steps[i];
      const Vector gradient = step.value * load(grad_harmonics_ + step.out * stride_ + edge);
      float *left = grad_harmonics_ + step.left * stride_ + edge,
            *right = grad_harmonics_ + step.right * stride_ + edge;
      store(left, load(left) + gradient * load(harmonics_ + step.right * stride_ + edge));
      store(right, load(right) + gradient * load(harmonics_ + step.left * stride_ + edge));
    }
    const Vector inverse = 1.0f / load(distance_ + edge), slope = load(pair_slope_ + edge);
    Vector direction[3], gradient[3] = {}, along = {};
    for (int axis = 0; axis < 3; ++axis) {
      direction[axis] = load(directions_ + axis * stride_ + edge);
      if (n.degrees > 1)
        gradient[axis] = load(grad_harmonics_ + (1 + axis) * stride_ + edge) * 1.7320508075688772f;
      along += direction[axis] * gradient[axis];
    }
    for (int axis = 0; axis < 3; ++axis)
      store(vectors_ + axis * stride_ + edge,
            slope * direction[axis] + (gradient[axis] - direction[axis] * along) * inverse);
  }
}

}  // namespace equipot
