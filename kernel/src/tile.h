// A tile: the edges of some whole atoms, evaluated together, with everything in cache.
#pragma once

#include <vector>

#include "arena.h"
#include "gradients.h"
#include "network.h"

namespace equipot {

constexpr int tile_edges = 144;  // unless a single atom has more
constexpr int tile_atoms = 64;
constexpr int block_channels = 4;  // of the tensor product's gradient

// Arrays are (rows, edges), `stride` floats a row. The edges of an atom follow those of the one
// before it without padding. What is done atom by atom is done a vector of edges at a time; the last
// one may reach into the next atom's edges, which are written later, or into the end of a row.
class Tile {
 public:
  // For tiles of up to so many edges. With `gradient` the edges' vectors are
  // differentiated by; where there are sums, the gradients by the weights are added to them instead.
  Tile(const Network& network, Arena& arena, int most_edges, bool gradient, Gradients* sums);

  int edges() const { return edges_; }
  int atoms() const { return atoms_; }
  void clear() { edges_ = atoms_ = 0; }

  // What is differentiated is the sum of the energies times their factors.
  void begin_atom(int species, float charge, double factor);
  void add_edge(int neighbor_species, const float* vector);

  // Fills what follows.
  void evaluate();

  double energy(int atom) const { return energies_[atom]; }
  const float* features(int atom) const { return features_ + size_t(atom) * network_.features; }
  float gradient(int axis, int edge) const { return vectors_[axis * stride_ + edge]; }

 private:
  // What comes out of each SiLU of a network, and its slopes. The former are kept where there are sums
  // of gradients, and in one_ and two_ by turns else.
  struct Hidden {
    std::vector<float*> values, slopes;
  };

  struct LayerTape {
    float *weights, *tensors, *maps, *update;
    Hidden hidden;
    float *products, *outputs;  // kept as those of Hidden
    float *x, *environments;    // kept where there are sums
  };

  void lay_out();
  void geometry();
  void embed();
  void forward(const Layer& layer, LayerTape& tape, float* next);
  void environment(const Layer& layer, LayerTape& tape);
  void read_out();
  void pair_terms();
  void backward_readout();
  void backward(const Layer& layer, LayerTape& tape, LayerGradients* sums);
  void backward_product(const Layer& layer, LayerTape& tape, LayerGradients* sums);
  void backward_environment(LayerTape& tape, int channel, int begin, int end,
                            const float* gradient);
  void backward_embedding();
  void by_tables(const float* gradient);
  void backward_geometry();

  void silu(float* values, float* slopes, int rows);
  void times(float* values, const float* factors, int rows);
  void run(const Mlp& mlp, const Hidden& hidden, float* out);
  void run_back(const Mlp& mlp, const Hidden& hidden, const float* gradient, float* out,
                std::vector<MatrixGradient>* sums);
  const float* transposed(const float* in, size_t stride, int rows);
  void repulsion();
  void binding();

  float* rows(int count) { return arena_.take(size_t(count) * stride_); }

  const Network& network_;
  Arena& arena_;
  const int stride_;
  const bool gradient_;
  Gradients* const sums_;
  int edges_ = 0, padded_ = 0, atoms_ = 0;

  std::vector<int> species_, begins_, neighbor_, atom_of_;
  std::vector<float> charge_;
  std::vector<double> factors_, energies_;

  float *vectors_, *directions_, *distance_, *envelope_, *envelope_slope_, *bessels_,
      *bessel_slopes_, *harmonics_, *seed_, *pair_slope_;
  float *x_, *one_, *two_, *products_, *outputs_, *features_, *first_, *embedded_, *centres_;
  float *grad_x_, *grad_tensors_, *grad_weights_, *grad_harmonics_, *grad_envelope_, *maps_grad_,
      *segment_, *transposed_, *transposed_x_;
  Hidden embedding_hidden_, readout_hidden_;
  std::vector<LayerTape> tapes_;
};

}  // namespace equipot
