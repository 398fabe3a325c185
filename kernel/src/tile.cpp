#include "tile.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "segments.h"

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

// From what came out of the SiLU before the first layer, which is there already.
void Tile::run(const Mlp& mlp, const Hidden& hidden, float* out) {
  for (size_t k = 0; k < mlp.size(); ++k) {
    const bool end = k + 1 == mlp.size();
    float* to = end ? out : hidden.values[k + 1];
    mlp[k].forward.multiply(hidden.values[k], stride_, to, stride_, padded_);
    if (!end) silu(to, gradient_ ? hidden.slopes[k + 1] : nullptr, mlp[k].forward.rows());
  }
}

}  // namespace equipot
