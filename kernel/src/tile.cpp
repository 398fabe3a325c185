#include "tile.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace equipot {
namespace {

// x^n
inline Vector power(Vector x, int n) {
  Vector out = splat(1.0f);
  for (; n > 0; n >>= 1, x *= x)
    if (n & 1) out *= x;
  return out;
}

struct Envelope {
  Vector value, slope;
};

// u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), and its slope
// -p(p+1)(p+2)/2 x^(p-1) (1-x)^2; zero from x = 1 on.
inline Envelope polynomial(Vector x, int p) {
  const float a = -0.5f * (p + 1) * (p + 2), b = float(p) * (p + 2), c = -0.5f * p * (p + 1);
  const Vector before = power(x, p - 1);
  const Vector value = 1.0f + before * x * (a + x * (b + x * c));
  const Vector slope = p * a * before * (1.0f - x) * (1.0f - x);
  return {x < 1.0f ? value : Vector{}, x < 1.0f ? slope : Vector{}};
}

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

Tile::Tile(const Network& network, Arena& arena, int most_edges, bool gradient, Gradients* sums)
    : network_(network),
      arena_(arena),
      stride_(padded(most_edges) + width),
      gradient_(gradient),
      sums_(sums) {
  neighbor_.resize(stride_);
  atom_of_.resize(stride_);
  arena_.restart();
  lay_out();
  if (arena_.reserve()) {
    arena_.restart();
    lay_out();
  }
  begins_.push_back(0);
}

void Tile::lay_out() {
  const Network& n = network_;
  const int weights = n.channels * n.degrees;
  int ins = 0, outs = 0, products = 0, pairs = 0;
  for (const Layer& layer : n.layers) {
    ins = std::max(ins, layer.product.in_width);
    outs = std::max(outs, layer.product.others);
    products = std::max(products, layer.product.scalars);
    pairs = std::max(pairs, layer.product.pairs);
  }
  const int64_t most =
      std::max({n.channels * std::max({ins, outs, products, n.degrees}), n.most_rows, n.harmonics});
  if (most * stride_ > INT32_MAX)
    throw std::length_error("an atom has too many neighbours for a network of this width");
  const int tape = gradient_ ? 1 : 0;
  vectors_ = rows(3), directions_ = rows(3), distance_ = rows(1);
  envelope_ = rows(1), envelope_slope_ = rows(1), seed_ = rows(1), pair_slope_ = rows(1);
  bessels_ = rows(n.bessels), bessel_slopes_ = rows(n.bessels);
  harmonics_ = rows(n.harmonics);
  x_ = rows(n.scalars), one_ = rows(n.most_rows), two_ = rows(n.most_rows);
  products_ = rows(n.channels * products), outputs_ = rows(n.channels * outs);
  features_ = arena_.take(size_t(tile_atoms) * n.features);
  first_ = rows(weights), embedded_ = rows(n.scalars);
  centres_ = arena_.take(size_t(tile_atoms) * n.embedding_width);
  const int vectors = stride_ / width * width;
  segment_ = arena_.take(size_t(vectors) * std::max(n.harmonics, ins + outs + products));
  const int kept = sums_ ? 1 : 0;
  const auto hidden = [&](const std::vector<int>& widths, float* even, float* odd) {
    Hidden out;
    for (size_t k = 0; k < widths.size(); ++k) {
      out.values.push_back(kept ? rows(widths[k]) : k % 2 ? odd : even);
      out.slopes.push_back(rows(tape * widths[k]));
    }
    return out;
  };
  const auto widths_of = [](const Mlp& mlp) {
    std::vector<int> widths;
    for (const Linear& linear : mlp) widths.push_back(linear.forward.columns());
    return widths;
  };
  embedding_hidden_ = hidden(widths_of(n.embedding), one_, two_);
  tapes_.clear();
  for (const Layer& layer : n.layers) {
    const Product& product = layer.product;
    const size_t map = size_t(product.pairs) * n.padded_channels;
    tapes_.push_back({rows(weights), rows(n.channels * product.in_width),
                      arena_.take(map * tile_atoms), rows(n.scalars),
                      hidden(widths_of(layer.rest), one_, two_),
                      kept ? rows(n.channels * product.scalars) : products_,
                      kept ? rows(n.channels * product.others) : outputs_,
                      rows(kept * n.scalars),
                      arena_.take(size_t(kept) * n.harmonics * n.padded_channels * tile_atoms)});
  }
  std::vector<int> widths;
  for (const Linear& linear : n.readout) widths.push_back(linear.forward.rows());
  readout_hidden_ = hidden(widths, one_, two_);
  const int widest = padded(std::max({n.most_rows, n.channels * products, n.channels}));
  transposed_ = arena_.take(size_t(kept) * stride_ * widest);
  transposed_x_ = arena_.take(size_t(kept) * stride_ * padded(n.scalars));
  grad_x_ = rows(tape * n.scalars), grad_tensors_ = rows(tape * n.channels * ins);
  grad_weights_ = rows(tape * weights), grad_harmonics_ = rows(tape * n.harmonics);
  grad_envelope_ = rows(tape), maps_grad_ = arena_.take(size_t(tape) * pairs * width * block_channels);
}

void Tile::begin_atom(int species, float charge, double factor) {
  species_.resize(atoms_), charge_.resize(atoms_), begins_.resize(atoms_ + 1);
  factors_.resize(atoms_);
  species_.push_back(species);
  factors_.push_back(factor);
  charge_.push_back(charge);
  begins_.push_back(edges_);
  ++atoms_;
}

void Tile::add_edge(int neighbor_species, const float* vector) {
  for (int axis = 0; axis < 3; ++axis) vectors_[axis * stride_ + edges_] = vector[axis];
  neighbor_[edges_] = neighbor_species;
  atom_of_[edges_] = atoms_ - 1;
  begins_[atoms_] = ++edges_;
}

void Tile::evaluate() {
  padded_ = (edges_ + width - 1) / width * width;
  for (int edge = edges_; edge < padded_; ++edge) {  // anything that is no special case
    for (int axis = 0; axis < 3; ++axis) vectors_[axis * stride_ + edge] = axis == 0 ? 1.0f : 0.0f;
    neighbor_[edge] = 0;
    atom_of_[edge] = 0;
  }
  std::fill(seed_ + edges_, seed_ + padded_, 0.0f);
  energies_.assign(atoms_, 0.0);
  geometry();
  embed();
  for (size_t l = 0; l < tapes_.size(); ++l)
    forward(network_.layers[l], tapes_[l], l + 1 < tapes_.size() ? tapes_[l + 1].tensors : nullptr);
  read_out();
  pair_terms();
  if (!gradient_) return;
  std::fill_n(grad_harmonics_, size_t(network_.harmonics) * stride_, 0.0f);
  std::fill_n(grad_envelope_, stride_, 0.0f);
  backward_readout();
  for (size_t l = tapes_.size(); l-- > 0;)
    backward(network_.layers[l], tapes_[l], sums_ ? &sums_->layers[l] : nullptr);
  backward_embedding();
  if (!sums_) backward_geometry();
}

// Distances, directions, the envelope u, the radial basis b_n(r) u(r) and the harmonics.
void Tile::geometry() {
  const Network& n = network_;
  for (int edge = 0; edge < padded_; ++edge) {
    const float x = vectors_[edge], y = vectors_[stride_ + edge], z = vectors_[2 * stride_ + edge];
    distance_[edge] = std::sqrt(x * x + y * y + z * z);
  }
  const float inverse = 1 / n.cutoff, norm = std::sqrt(2 / n.cutoff);
  for (int edge = 0; edge < padded_; edge += width) {
    const Vector r = load(distance_ + edge), r_inverse = 1.0f / r;
    const Envelope u = polynomial(r * inverse, n.power);
    store(envelope_ + edge, u.value);
    store(envelope_slope_ + edge, u.slope * inverse);
    for (int b = 0; b < n.bessels; ++b) {  // sqrt(2/r_c) sin(n pi r/r_c) / r
      const SineCosine at = of_half_turns(r * float((b + 1) / double(n.cutoff)));
      const Vector value = at.sine * (norm * r_inverse);
      const float frequency = float((b + 1) * 3.14159265358979323846 / n.cutoff);
      const Vector slope = at.cosine * (norm * frequency * r_inverse) - value * r_inverse;
      store(bessels_ + b * stride_ + edge, value * u.value);
      store(bessel_slopes_ + b * stride_ + edge, slope * u.value + value * u.slope * inverse);
    }
    store(harmonics_ + edge, splat(1.0f));
    for (int axis = 0; axis < 3; ++axis) {
      const Vector direction = load(vectors_ + axis * stride_ + edge) / r;
      store(directions_ + axis * stride_ + edge, direction);
      if (n.degrees > 1)
        store(harmonics_ + (1 + axis) * stride_ + edge, direction * 1.7320508075688772f);
    }
    for (int row = 4; row < n.harmonics; ++row) store(harmonics_ + row * stride_ + edge, Vector{});
    for (const Network::Step& step : n.steps) {
      float* out = harmonics_ + step.out * stride_ + edge;
      store(out, load(out) + step.value * load(harmonics_ + step.left * stride_ + edge) *
                                 load(harmonics_ + step.right * stride_ + edge));
    }
  }
}

// x = u MLP(W b + a_centre + q c + q^2 d + a_neighbour), and the first tensors w x Y.
void Tile::embed() {
  const Network& n = network_;
  for (int atom = 0; atom < atoms_; ++atom)
    for (int f = 0; f < n.embedding_width; ++f) {
      const int species = species_[atom];
      float value = n.centre[species * n.embedding_width + f];
      if (n.takes_charge) {
        const float* of_charge = &n.charge[size_t(species) * 2 * n.embedding_width + f];
        value += charge_[atom] * (of_charge[0] + charge_[atom] * of_charge[n.embedding_width]);
      }
      centres_[f * tile_atoms + atom] = value;
    }
  float* hidden = embedding_hidden_.values[0];
  for (int f = 0; f < n.embedding_width; ++f) {
    const float *neighbors = &n.neighbor[size_t(f) * n.elements], *centres = centres_ + f * tile_atoms;
    float* out = hidden + f * stride_;
    for (int edge = 0; edge < padded_; ++edge)
      out[edge] = neighbors[neighbor_[edge]] + centres[atom_of_[edge]];
  }
  n.radial.forward.multiply(bessels_, stride_, hidden, stride_, padded_, true);
  silu(hidden, gradient_ ? embedding_hidden_.slopes[0] : nullptr, n.embedding_width);
  run(n.embedding, embedding_hidden_, embedded_);
  for (int f = 0; f < n.scalars; ++f)
    for (int edge = 0; edge < padded_; edge += width)
      store(x_ + f * stride_ + edge, load(embedded_ + f * stride_ + edge) * load(envelope_ + edge));
  n.first_weights.forward.multiply(x_, stride_, first_, stride_, padded_);
  for (int c = 0; c < n.channels; ++c)
    for (int i = 0; i < n.harmonics; ++i) {
      const float* weight = first_ + (c * n.degrees + n.degree[i]) * stride_;
      float* out = tapes_[0].tensors + (c * n.harmonics + i) * stride_;
      for (int edge = 0; edge < padded_; edge += width)
        store(out + edge, load(weight + edge) * load(harmonics_ + i * stride_ + edge));
    }
}

void Tile::forward(const Layer& layer, LayerTape& tape, float* next) {
  const Network& n = network_;
  const Product& product = layer.product;
  if (sums_) std::copy_n(x_, size_t(n.scalars) * stride_, tape.x);
  environment(layer, tape);
  const size_t map = size_t(product.pairs) * n.padded_channels;
  for (int atom = 0; atom < atoms_; ++atom) {
    const int begin = begins_[atom], end = begins_[atom + 1];
    for (int c = 0; begin < end && c < n.channels; ++c)
      for (const Block& block : product.by_out) {
        const int others = block.first - product.scalars;
        float* out = others < 0 ? tape.products + (c * product.scalars + block.first) * stride_
                                : tape.outputs + (c * product.others + others) * stride_;
        apply(block, tape.maps + atom * map + c, n.padded_channels,
              tape.tensors + size_t(c) * product.in_width * stride_, out, stride_, begin, end);
      }
  }
  // x <- (x + a u MLP(x, products)) / sqrt(1 + a^2)
  float* hidden = tape.hidden.values[0];
  layer.old.forward.multiply(x_, stride_, hidden, stride_, padded_);
  layer.fresh.forward.multiply(tape.products, stride_, hidden, stride_, padded_, true);
  silu(hidden, gradient_ ? tape.hidden.slopes[0] : nullptr, layer.old.forward.rows());
  run(layer.rest, tape.hidden, tape.update);
  for (int f = 0; f < n.scalars; ++f)
    for (int edge = 0; edge < padded_; edge += width) {
      float* x = x_ + f * stride_ + edge;
      const Vector update = load(tape.update + f * stride_ + edge) * load(envelope_ + edge);
      store(x, (load(x) + update * layer.amount) * layer.norm);
    }
  if (layer.last) return;
  const int apart = (1 + product.others) * stride_;  // channels of the next tensors
  layer.mix_scalar.forward.multiply(tape.products, stride_, next, apart, padded_);
  for (size_t k = 0, component = 0; k < layer.mix_tensor.size(); ++k)
    for (int m = 0; m < layer.mix_widths[k]; ++m, ++component)
      layer.mix_tensor[k].forward.multiply(tape.outputs + component * stride_,
                                           product.others * stride_,
                                           next + (1 + component) * stride_, apart, padded_);
}

// e[c, j] = sum over an atom's edges of w[c, degree(j)] Y[j], and the maps that they make.
void Tile::environment(const Layer& layer, LayerTape& tape) {
  const Network& n = network_;
  const Product& product = layer.product;
  layer.environment.forward.multiply(x_, stride_, tape.weights, stride_, padded_);
  std::vector<float> sums(size_t(n.harmonics) * n.padded_channels);
  for (int atom = 0; atom < atoms_; ++atom) {
    const int begin = begins_[atom], end = begins_[atom + 1];
    if (begin == end) continue;
    const int vectors = (end - begin + width - 1) / width * width;
    copy_segment(harmonics_, stride_, n.harmonics, begin, end, segment_);
    for (int c = 0; c < n.channels; ++c)
      for (int d = 0; d < n.degrees; ++d) {
        const float* weight = tape.weights + (c * n.degrees + d) * stride_ + begin;
        for (int j = d * d; j < (d + 1) * (d + 1); ++j) {
          Vector total = {};
          for (int edge = 0; edge < vectors; edge += width)
            total += first(load(weight + edge), end - begin - edge) *
                     load(segment_ + j * vectors + edge);
          sums[j * n.padded_channels + c] = sum(total);
        }
      }
    if (sums_)
      std::copy(sums.begin(), sums.end(), tape.environments + atom * sums.size());
    float* maps = tape.maps + size_t(atom) * product.pairs * n.padded_channels;
    std::fill_n(maps, size_t(product.pairs) * n.padded_channels, 0.0f);
    for (int c = 0; c < n.padded_channels; c += width) {
      Vector total = {};
      for (size_t t = 0; t < product.by_pair.size(); ++t) {
        const Product::Term& term = product.by_pair[t];
        total += load(&product.coefficients[size_t(term.coefficients) * n.padded_channels + c]) *
                 load(&sums[term.environment * n.padded_channels + c]);
        if (t + 1 == product.by_pair.size() || product.by_pair[t + 1].pair != term.pair) {
          store(maps + size_t(term.pair) * n.padded_channels + c, total);
          total = Vector{};
        }
      }
    }
  }
}

// The features of an atom: its edges' sums of what the last layer reads. Energies are their products
// with that layer's weights.
void Tile::read_out() {
  const Network& n = network_;
  const float* hidden = x_;
  for (size_t k = 0; k < n.readout.size(); ++k) {
    float* out = readout_hidden_.values[k];
    n.readout[k].forward.multiply(hidden, stride_, out, stride_, padded_);
    silu(out, gradient_ ? readout_hidden_.slopes[k] : nullptr, n.readout[k].forward.rows());
    hidden = out;
  }
  for (int atom = 0; atom < atoms_; ++atom) {
    const int begin = begins_[atom], end = begins_[atom + 1];
    const double scale = n.scale[species_[atom]];
    float* features = features_ + size_t(atom) * n.features;
    double unscaled = 0;
    for (int f = 0; f < n.features; ++f) {
      Vector total = {};
      for (int edge = begin; edge < end; edge += width)
        total += first(load(hidden + f * stride_ + edge), end - edge);
      features[f] = float(sum(total) * scale);
      energies_[atom] += double(n.last[f]) * features[f];
      if (!sums_) continue;
      sums_->last[f] += factors_[atom] * features[f];
      unscaled += double(n.last[f]) * sum(total);
    }
    if (sums_) sums_->scale[species_[atom]] += factors_[atom] * n.normalization * unscaled;
    std::fill(seed_ + begin, seed_ + end, float(scale * factors_[atom]));
  }
}

void Tile::pair_terms() {
  std::fill_n(pair_slope_, stride_, 0.0f);
  if (network_.repulsion.given) repulsion();
  if (network_.binding.given) binding();
}

// Z_i Z_j / r phi(r w) u(r / R) and its slope, phi(x) = sum_k c_k exp(-d_k x).
void Tile::repulsion() {
  const Repulsion& terms = network_.repulsion;
  float *charges = one_, *widths = one_ + stride_, *reaches = two_, *energies = two_ + stride_;
  for (int edge = 0; edge < padded_; ++edge) {
    const int pair = species_[atom_of_[edge]] * network_.elements + neighbor_[edge];
    charges[edge] = terms.charges[pair];
    widths[edge] = terms.widths[pair];
    reaches[edge] = terms.reaches[pair];
  }
  for (int edge = 0; edge < padded_; edge += width) {
    const Vector r = load(distance_ + edge), w = load(widths + edge);
    const Vector reach = load(reaches + edge), inverse = 1.0f / r;
    Vector screening = {}, slope = {};
    for (int k = 0; k < 4; ++k) {
      const Vector term = terms.shares[k] * exponential(r * w * -terms.decays[k]);
      screening += term;
      slope -= term * w * terms.decays[k];
    }
    const Envelope u = polynomial(r / reach, terms.power);
    const Vector bare = load(charges + edge) * inverse;
    const Vector value = bare * screening * u.value;
    const Vector change = bare * (slope * u.value + screening * u.slope / reach) - value * inverse;
    const auto inside = r < reach;
    store(energies + edge, inside ? value : Vector{});
    store(pair_slope_ + edge, load(pair_slope_ + edge) + (inside ? change : Vector{}));
  }
  for (int atom = 0; atom < atoms_; ++atom)
    for (int edge = begins_[atom]; edge < begins_[atom + 1]; ++edge)
      energies_[atom] += energies[edge];
}

// b_i (1 - exp(-s n_i)), n_i = sum_j u(r / R), and its slope b_i s exp(-s n_i) u'(r / R) / R.
void Tile::binding() {
  const Binding& terms = network_.binding;
  float *reaches = two_, *bonds = one_, *slopes = one_ + stride_;
  for (int edge = 0; edge < padded_; ++edge)
    reaches[edge] = terms.reaches[species_[atom_of_[edge]] * network_.elements + neighbor_[edge]];
  for (int edge = 0; edge < padded_; edge += width) {
    const Vector reach = load(reaches + edge);
    const Envelope u = polynomial(load(distance_ + edge) / reach, terms.power);
    store(bonds + edge, u.value);
    store(slopes + edge, u.slope / reach);
  }
  for (int atom = 0; atom < atoms_; ++atom) {
    double count = 0;
    for (int edge = begins_[atom]; edge < begins_[atom + 1]; ++edge) count += bonds[edge];
    const double energy = terms.energies[species_[atom]], left = std::exp(-terms.saturation * count);
    energies_[atom] += energy * (1 - left);
    const float slope = float(energy * terms.saturation * left);
    for (int edge = begins_[atom]; edge < begins_[atom + 1]; ++edge)
      pair_slope_[edge] += slope * slopes[edge];
  }
}

// values <- silu(values) = h s(h), and its slope s (1 + h (1 - s)) where it is wanted.
void Tile::silu(float* values, float* slopes, int rows) {
  for (int row = 0; row < rows; ++row)
    for (int edge = 0; edge < padded_; edge += width) {
      const int at = row * stride_ + edge;
      const Vector h = load(values + at), s = 1.0f / (1.0f + exponential(-h)), out = h * s;
      store(values + at, out);
      if (slopes) store(slopes + at, s + out * (1.0f - s));
    }
}

void Tile::times(float* values, const float* factors, int rows) {
  for (int row = 0; row < rows; ++row)
    for (int edge = 0; edge < padded_; edge += width) {
      const int at = row * stride_ + edge;
      store(values + at, load(values + at) * load(factors + at));
    }
}

// From what came out of the SiLU before the first layer, which is there already.
void Tile::run(const Mlp& mlp, const Hidden& hidden, float* out) {
  for (size_t k = 0; k < mlp.size(); ++k) {
    const bool end = k + 1 == mlp.size();
    float* to = end ? out : hidden.values[k + 1];
    mlp[k].forward.multiply(hidden.values[k], stride_, to, stride_, padded_);
    if (!end) silu(to, gradient_ ? hidden.slopes[k + 1] : nullptr, mlp[k].forward.rows());
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
