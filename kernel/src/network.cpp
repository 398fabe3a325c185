#include "network.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace equipot {
namespace {

Mlp read_mlp(const Tensors& tensors, const std::string& name, const std::vector<int>& widths) {
  Mlp layers;
  for (size_t i = 0; i + 1 < widths.size(); ++i)
    layers.emplace_back(tensors.matrix(name + "." + std::to_string(2 * i) + ".weight",
                                       widths[i + 1], widths[i]));
  return layers;
}

// Where the groups (irreps) of a list begin.
std::vector<int> starts_of(const std::vector<int>& widths) {
  std::vector<int> starts{0};
  for (int width : widths) starts.push_back(starts.back() + width);
  return starts;
}

// Outputs and inputs come in groups, of the widths given; two groups are coupled as a whole or not.
Product read_product(const Tensors& tensors, const std::string& name, int channels,
                     int padded_channels, double normalization) {
  const std::vector<int> ins = tensors.integers(name + ".ins"),
                         outs = tensors.integers(name + ".outs"),
                         out = tensors.integers(name + ".out"), in = tensors.integers(name + ".in"),
                         environment = tensors.integers(name + ".environment"),
                         path = tensors.integers(name + ".path");
  const int terms = int(out.size()), paths = tensors.integer(name + ".paths");
  const std::vector<double> value = tensors.reals(name + ".value", terms),
                            weights = tensors.reals(name + ".weights", int64_t(channels) * paths);
  const std::vector<int> in_starts = starts_of(ins), out_starts = starts_of(outs);
  Product product;
  product.in_width = in_starts.back();
  product.paths = paths;
  product.scalars = tensors.integer(name + ".scalars");
  product.others = out_starts.back() - product.scalars;

  const auto group = [](const std::vector<int>& starts, int component) {
    return int(std::upper_bound(starts.begin(), starts.end(), component) - starts.begin()) - 1;
  };
  std::vector<std::vector<char>> coupled(outs.size(), std::vector<char>(ins.size()));
  for (int t = 0; t < terms; ++t) coupled[group(out_starts, out[t])][group(in_starts, in[t])] = 1;

  std::vector<std::vector<int>> pair_of(out_starts.back(), std::vector<int>(in_starts.back(), -1));
  product.by_in.resize(ins.size());
  for (size_t h = 0; h < ins.size(); ++h) product.by_in[h] = {in_starts[h], ins[h], 1, {}, {}};
  product.pairs = 0;
  for (size_t g = 0; g < outs.size(); ++g) {
    Block block{out_starts[g], outs[g], 0, {}, {}};
    for (size_t h = 0; h < ins.size(); ++h)
      for (int i = in_starts[h]; coupled[g][h] && i < in_starts[h + 1]; ++i) {
        block.at.push_back(product.pairs + int(block.columns.size()));
        block.columns.push_back(i);
      }
    block.step = int(block.columns.size());
    for (int r = 0; r < block.rows; ++r)
      for (int q = 0; q < block.step; ++q)
        pair_of[block.first + r][block.columns[q]] = block.at[q] + r * block.step;
    for (size_t h = 0; h < ins.size(); ++h)
      for (int r = 0; coupled[g][h] && r < block.rows; ++r) {
        product.by_in[h].columns.push_back(block.first + r);
        product.by_in[h].at.push_back(pair_of[block.first + r][in_starts[h]]);
      }
    product.pairs += block.rows * block.step;
    product.by_out.push_back(block);
  }

  product.weights.resize(size_t(paths) * padded_channels);
  for (int p = 0; p < paths; ++p)
    for (int c = 0; c < channels; ++c)
      product.weights[size_t(p) * padded_channels + c] =
          float(normalization * weights[size_t(c) * paths + p]);
  product.coefficients.resize(size_t(terms) * padded_channels);
  for (int t = 0; t < terms; ++t) {
    product.by_pair.push_back(
        {pair_of[out[t]][in[t]], environment[t], path[t], t, float(value[t]), false, false});
    for (int c = 0; c < channels; ++c)
      product.coefficients[size_t(t) * padded_channels + c] =
          float(normalization * value[t] * weights[size_t(c) * paths + path[t]]);
  }
  product.by_environment = product.by_pair;
  std::stable_sort(product.by_pair.begin(), product.by_pair.end(),
                   [](const auto& a, const auto& b) { return a.pair < b.pair; });
  std::stable_sort(product.by_environment.begin(), product.by_environment.end(),
                   [](const auto& a, const auto& b) {
                     return std::tie(a.environment, a.path) < std::tie(b.environment, b.path);
                   });
  for (int t = 0; t < terms; ++t) {
    Product::Term& term = product.by_environment[t];
    const Product::Term* next = t + 1 < terms ? &term + 1 : nullptr;
    term.last = !next || next->environment != term.environment;
    term.last_of_path = term.last || next->path != term.path;
  }
  return product;
}

// Of two elements, from a value of each.
template <class Combine>
std::vector<float> of_pairs(const std::vector<double>& values, Combine combine) {
  std::vector<float> table;
  for (double one : values)
    for (double other : values) table.push_back(float(combine(one, other)));
  return table;
}

double add(double one, double other) { return one + other; }
double times(double one, double other) { return one * other; }

// Hidden widths between the one that a network begins with and the one it ends with.
std::vector<int> chain(int first, const std::vector<int>& hidden, size_t skip, int end) {
  std::vector<int> widths{first};
  for (size_t i = skip; i < hidden.size(); ++i) widths.push_back(hidden[i]);
  if (end) widths.push_back(end);
  return widths;
}

}  // namespace

Network::Network(const Tensors& tensors)
    : elements(tensors.integer("elements")),
      degrees(tensors.integer("l_max") + 1),
      harmonics(degrees * degrees),
      scalars(tensors.integer("num_scalars")),
      channels(tensors.integer("num_tensors")),
      padded_channels((channels + width - 1) / width * width),
      bessels(tensors.integer("num_bessels")),
      power(tensors.integer("envelope_power")),
      cutoff(float(tensors.real("cutoff"))),
      takes_charge(tensors.integer("takes_charge") != 0) {
  if (degrees > most_degrees) throw std::invalid_argument("l_max is larger than 8");
  const std::vector<int> step_out = tensors.integers("steps.out"),
                         step_left = tensors.integers("steps.left"),
                         step_right = tensors.integers("steps.right");
  const std::vector<float> step_value = tensors.floats("steps.value", int64_t(step_out.size()));
  for (size_t i = 0; i < step_out.size(); ++i)
    steps.push_back({step_out[i], step_left[i], step_right[i], step_value[i]});
  for (int l = 0; l < degrees; ++l) degree.insert(degree.end(), 2 * l + 1, l);

  const std::vector<int> two_body = tensors.integers("two_body_mlp"),
                         latent = tensors.integers("latent_mlp"),
                         hidden = tensors.integers("readout_mlp");
  const int weights = channels * degrees;
  embedding_width = two_body.empty() ? scalars : two_body[0];
  radial = Linear(tensors.matrix("embedding.radial.weight", embedding_width, bessels));
  centre = tensors.floats("embedding.centre", int64_t(elements) * embedding_width);
  const std::vector<float> rows = tensors.floats("embedding.neighbor", int64_t(centre.size()));
  neighbor.resize(rows.size());
  for (int s = 0; s < elements; ++s)
    for (int f = 0; f < embedding_width; ++f)
      neighbor[f * elements + s] = rows[s * embedding_width + f];
  if (takes_charge) charge = tensors.floats("embedding.charge", 2 * int64_t(centre.size()));
  embedding = read_mlp(tensors, "embedding.rest", chain(embedding_width, two_body, 1, scalars));
  first_weights = Linear(tensors.matrix("first_weights.weight", weights, scalars));

  most_rows = std::max({scalars, embedding_width, bessels, 2});
  for (const std::vector<int>& widths : {two_body, latent, hidden})
    for (int one : widths) most_rows = std::max(most_rows, one);

  normalization = tensors.real("normalization");
  const int count = tensors.integer("num_layers");
  for (int l = 0; l < count; ++l) {
    const std::string name = "layers." + std::to_string(l);
    Layer layer;
    layer.last = l + 1 == count;
    layer.environment = Linear(tensors.matrix(name + ".environment.weights.weight", weights, scalars));
    layer.product =
        read_product(tensors, name + ".product", channels, padded_channels, normalization);
    const int products = channels * layer.product.scalars;
    const int latent_width = latent.empty() ? scalars : latent[0];
    layer.old = Linear(tensors.matrix(name + ".latent.old.weight", latent_width, scalars));
    layer.fresh = Linear(tensors.matrix(name + ".latent.new.weight", latent_width, products));
    layer.rest = read_mlp(tensors, name + ".latent.rest", chain(latent_width, latent, 1, scalars));
    const double amount = 1 / (1 + std::exp(-tensors.real(name + ".latent.amount")));
    layer.amount = float(amount);
    layer.norm = float(1 / std::sqrt(1 + amount * amount));
    if (!layer.last) {
      layer.mix_scalar = Linear(tensors.matrix(name + ".mix.scalar", channels, products));
      const std::vector<int> outs = tensors.integers(name + ".product.outs");
      layer.mix_widths.assign(outs.begin() + layer.product.scalars, outs.end());
      for (size_t i = 0; i < layer.mix_widths.size(); ++i)
        layer.mix_tensor.emplace_back(tensors.matrix(name + ".mix.tensor", channels, channels,
                                                     int64_t(i), int64_t(layer.mix_widths.size())));
    }
    layers.push_back(std::move(layer));
  }

  readout = read_mlp(tensors, "readout", chain(scalars, hidden, 0, 0));
  features = hidden.empty() ? scalars : hidden.back();
  last = tensors.floats("readout." + std::to_string(2 * hidden.size()) + ".weight", features);
  scale = tensors.reals("scale", elements);
  for (double& value : scale) value *= normalization;

  if ((repulsion.given = tensors.has("repulsion.charge"))) {
    repulsion.charges = of_pairs(tensors.reals("repulsion.charge", elements), times);
    repulsion.widths = of_pairs(tensors.reals("repulsion.width", elements), add);
    repulsion.reaches = of_pairs(tensors.reals("repulsion.radius", elements), add);
    repulsion.shares = tensors.floats("repulsion.shares", 4);
    repulsion.decays = tensors.floats("repulsion.decays", 4);
    repulsion.power = tensors.integer("repulsion.power");
  }
  if ((binding.given = tensors.has("binding.energy"))) {
    binding.energies = tensors.reals("binding.energy", elements);
    binding.reaches = of_pairs(tensors.reals("binding.radius", elements), add);
    binding.saturation = tensors.real("binding.saturation");
    binding.power = tensors.integer("binding.power");
  }
  if ((uncertainty.given = tensors.has("uncertainty.mean"))) {
    Uncertainty& head = uncertainty;
    head.hidden = tensors.integer("uncertainty.width");
    head.mean = tensors.reals("uncertainty.mean", int64_t(elements) * features);
    head.whiten = tensors.reals("uncertainty.whiten", int64_t(elements) * features * features);
    head.reach = tensors.reals("uncertainty.reach", elements);
    head.weight = tensors.reals("uncertainty.hidden.weight", int64_t(head.hidden) * features);
    head.bias = tensors.reals("uncertainty.hidden.bias", head.hidden);
    head.out = tensors.reals("uncertainty.out.weight", 2 * int64_t(head.hidden));
    head.shift = tensors.reals("uncertainty.bias", 2 * int64_t(elements));
    head.growth = tensors.reals("uncertainty.growth", 2);
  }
}

}  // namespace equipot
