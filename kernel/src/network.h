// An Allegro of app.training.models.allegro: sizes, weights and tables, read from named arrays.
#pragma once

#include <string>
#include <vector>

#include "matrix.h"
#include "tensors.h"

namespace equipot {

// A layer without bias, and its transpose for the gradient.
struct Linear {
  Linear() = default;
  explicit Linear(Matrix matrix) : forward(std::move(matrix)), backward(forward.transposed()) {}
  Matrix forward, backward;
};

// Linear, then SiLU and linear for each hidden width.
using Mlp = std::vector<Linear>;

// Rows of the maps of a tensor product that have their non-zero entries in the same columns. The
// entry of row `first + r` in column `columns[q]` is pair number `at[q] + r * step`.
struct Block {
  int first, rows, step;
  std::vector<int> columns, at;
};

// The product of an edge's tensors with its centre's environment. With the environment e of an atom,
// the map of channel c has for each pair (o, i) the entry
//   M[pair, c] = sum over terms of the pair: coefficients[term, c] * e[environment, c],
// and the outputs are out[c, o] = sum_i M[(o, i), c] in[c, i].
struct Product {
  struct Term {
    int pair, environment, path, coefficients;
    float value;             // coefficients[term, c] = value * weights[path, c]
    bool last_of_path, last;  // of its path, and of its environment component, in `by_environment`
  };
  int in_width, scalars, others, pairs, paths;  // of the outputs, the scalars of each path come first
  std::vector<Block> by_out, by_in;  // the same entries, as rows of outputs and as rows of inputs
  std::vector<Term> by_pair, by_environment;
  std::vector<float> coefficients;  // (terms, padded channels)
  std::vector<float> weights;       // (paths, padded channels), with the normalisation of e
};

struct Layer {
  Linear environment, old, fresh;
  Mlp rest;
  Product product;
  float amount, norm;
  bool last;
  Linear mix_scalar;
  std::vector<Linear> mix_tensor;
  std::vector<int> mix_widths;  // components of each of them
};

// Z_i Z_j, the inverse screening length and the reach of each pair of elements, (S, S).
struct Repulsion {
  bool given = false;
  std::vector<float> charges, widths, reaches, shares, decays;
  int power;
};

struct Binding {
  bool given = false;
  std::vector<float> reaches;    // (S, S)
  std::vector<double> energies;  // (S,)
  double saturation;
  int power;
};

// app.training.models.uncertainty.
struct Uncertainty {
  bool given = false;
  int hidden;
  std::vector<double> mean, whiten, reach, weight, bias, out, shift, growth;
};

constexpr int most_degrees = 9, most_harmonics = most_degrees * most_degrees;

struct Network {
  explicit Network(const Tensors& tensors);

  int elements, degrees, harmonics, scalars, channels, padded_channels, bessels, power;
  float cutoff;
  double normalization;
  bool takes_charge;

  struct Step {
    int out, left, right;
    float value;
  };
  std::vector<Step> steps;  // Y[out] += value * Y[left] * Y[right], from degree 2 on
  std::vector<int> degree;  // of each harmonic

  int embedding_width;
  Linear radial;
  std::vector<float> centre, neighbor, charge;  // (S, width), (width, S), (S, 2, width)
  Mlp embedding;
  Linear first_weights;
  std::vector<Layer> layers;
  Mlp readout;  // all but the last layer
  std::vector<float> last;
  int features;
  std::vector<double> scale;  // (S,), with the normalisation of sums over neighbours
  Repulsion repulsion;
  Binding binding;
  Uncertainty uncertainty;

  int most_rows;  // of any array (rows, edges) of scalars
};

}  // namespace equipot
