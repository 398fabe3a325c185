#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

#include "equipot_kernel.h"
#include "tile.h"

using namespace equipot;

struct EquipotAllegro {
  Network network;
};

namespace {

template <class Action>
bool tell(char* message, int64_t size, Action action) {
  try {
    action();
    return true;
  } catch (const std::exception& error) {
    std::snprintf(message, size_t(size), "%s", error.what());
    return false;
  }
}

// Errors expected of an atom (app.training.models.uncertainty): with z = W (x - m), d = sqrt(|z|^2/H)
// and h = silu(A z / max(d, 1) + a), exp(B h + b + c log d), and the novelty d / d_s.
void estimate(const Uncertainty& head, int width, int species, const float* features, int64_t atoms,
              double* errors) {
  std::vector<double> whitened(width);
  double squares = 0;
  for (int i = 0; i < width; ++i) {
    const double* row = &head.whiten[(size_t(species) * width + i) * width];
    for (int j = 0; j < width; ++j)
      whitened[i] += row[j] * (features[j] - head.mean[size_t(species) * width + j]);
    squares += whitened[i] * whitened[i];
  }
  const double distance = std::sqrt(squares / width + 1e-6), bound = std::fmax(distance, 1.0);
  double logs[2] = {head.shift[2 * species], head.shift[2 * species + 1]};
  for (int k = 0; k < head.hidden; ++k) {
    double z = head.bias[k];
    for (int i = 0; i < width; ++i) z += head.weight[size_t(k) * width + i] * whitened[i] / bound;
    const double hidden = z / (1 + std::exp(-z));
    for (int e = 0; e < 2; ++e) logs[e] += head.out[e * head.hidden + k] * hidden;
  }
  for (int e = 0; e < 2; ++e) {
    const double growth = std::log1p(std::exp(head.growth[e]));
    errors[e * atoms] = std::exp(std::fmin(logs[e] + growth * std::log(distance), 7.0));
  }
  errors[2 * atoms] = distance / head.reach[species];
}

// Atoms of a portion, a tile at a time.
class Run {
 public:
  Run(const Network& network, const EquipotPortion& portion, Arena& arena, int most_edges,
      const double* factors, Gradients* sums)
      : network_(network),
        portion_(portion),
        factors_(factors),
        tile_(network, arena, most_edges, sums || portion.edge_gradients, sums) {}

  void add(int64_t atom) {
    tile_.begin_atom(int(portion_.species[atom]), network_.takes_charge ? portion_.charge[atom] : 0,
                     factors_ ? factors_[atom] : 1);
    atoms_.push_back(atom);
    for (int64_t at = atom * portion_.slots; at < (atom + 1) * portion_.slots; ++at)
      if (portion_.mask[at]) {
        tile_.add_edge(int(portion_.neighbor_species[at]), portion_.edge_vectors + 3 * at);
        slots_.push_back(at);
      }
  }

  bool has_room(int edges) const {
    return tile_.atoms() == 0 ||
           (tile_.atoms() < tile_atoms && tile_.edges() + edges <= tile_edges);
  }

  void evaluate() {
    tile_.evaluate();
    for (size_t i = 0; i < atoms_.size(); ++i) {
      portion_.energies[atoms_[i]] = tile_.energy(int(i));
      if (portion_.errors)
        estimate(network_.uncertainty, network_.features, int(portion_.species[atoms_[i]]),
                 tile_.features(int(i)), portion_.atoms, portion_.errors + atoms_[i]);
    }
    for (size_t i = 0; portion_.edge_gradients && i < slots_.size(); ++i)
      for (int axis = 0; axis < 3; ++axis)
        portion_.edge_gradients[3 * slots_[i] + axis] = tile_.gradient(axis, int(i));
    tile_.clear();
    atoms_.clear();
    slots_.clear();
  }

 private:
  const Network& network_;
  const EquipotPortion& portion_;
  const double* factors_;
  Tile tile_;
  std::vector<int64_t> atoms_, slots_;
};

void check(const Network& network, const EquipotPortion& portion) {
  if (network.takes_charge && !portion.charge)
    throw std::invalid_argument("the network takes the charge, and none is given");
  if (portion.errors && !network.uncertainty.given)
    throw std::invalid_argument("the network does not estimate its errors");
  const auto in_range = [&](int64_t species) { return species >= 0 && species < network.elements; };
  for (int64_t atom = 0; atom < portion.atoms; ++atom)
    if (!in_range(portion.species[atom])) throw std::invalid_argument("a species is out of range");
  for (int64_t at = 0; at < portion.atoms * portion.slots; ++at)
    if (portion.mask[at] && !in_range(portion.neighbor_species[at]))
      throw std::invalid_argument("the species of a neighbour is out of range");
}

// With factors, the gradients of their products with the energies are added to the sums.
void run(const Network& network, const EquipotPortion& portion, const double* factors = nullptr,
         Gradients* sums = nullptr) {
  check(network, portion);
  std::vector<int> degrees(portion.atoms);
  int most = tile_edges;
  for (int64_t atom = 0; atom < portion.atoms; ++atom) {
    for (int64_t k = 0; k < portion.slots; ++k)
      degrees[atom] += portion.mask[atom * portion.slots + k] != 0;
    most = degrees[atom] > most ? degrees[atom] : most;
  }
  if (portion.edge_gradients)
    std::fill_n(portion.edge_gradients, 3 * portion.atoms * portion.slots, 0.0f);
  thread_local Arena arena;  // kept, so that its pages are there
  Run tiles(network, portion, arena, most, factors, sums);
  for (int64_t atom = 0; atom < portion.atoms; ++atom) {
    if (!tiles.has_room(degrees[atom])) tiles.evaluate();
    tiles.add(atom);
  }
  tiles.evaluate();
}

}  // namespace

int equipot_interface(void) { return EQUIPOT_INTERFACE; }

int equipot_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
    return 1;
#endif
  return 0;
}

EquipotAllegro* equipot_allegro_open(const EquipotTensor* tensors, int64_t count, char* message,
                                     int64_t size) {
  EquipotAllegro* network = nullptr;
  tell(message, size, [&] { network = new EquipotAllegro{Network(Tensors(tensors, count))}; });
  return network;
}

void equipot_allegro_close(EquipotAllegro* network) { delete network; }

int equipot_allegro_run(const EquipotAllegro* network, const EquipotPortion* portion, char* message,
                        int64_t size) {
  return tell(message, size, [&] { run(network->network, *portion); }) ? 0 : 1;
}

int equipot_allegro_weight_gradients(const EquipotAllegro* network, const EquipotPortion* portion,
                                     const double* factors, const EquipotGradient* arrays,
                                     int64_t count, char* message, int64_t size) {
  const auto add = [&] {
    EquipotPortion energies = *portion;
    energies.edge_gradients = nullptr, energies.errors = nullptr;
    Gradients sums(network->network);
    run(network->network, energies, factors, &sums);
    sums.add_to(arrays, count);
  };
  return tell(message, size, add) ? 0 : 1;
}
