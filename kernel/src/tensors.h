// Named arrays, as they come through the C interface.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "equipot_kernel.h"
#include "matrix.h"

namespace equipot {

class Tensors {
 public:
  Tensors(const EquipotTensor* tensors, int64_t count) {
    for (int64_t i = 0; i < count; ++i) by_name_[tensors[i].name] = &tensors[i];
  }

  bool has(const std::string& name) const { return by_name_.count(name) > 0; }

  std::vector<double> reals(const std::string& name, int64_t count) const {
    const EquipotTensor& tensor = find(name);
    if (!tensor.reals || tensor.count != count) refuse(name, tensor, "real", count);
    return {tensor.reals, tensor.reals + count};
  }

  std::vector<float> floats(const std::string& name, int64_t count) const {
    const std::vector<double> values = reals(name, count);
    return {values.begin(), values.end()};
  }

  double real(const std::string& name) const { return reals(name, 1)[0]; }

  // As many as there are.
  std::vector<int> integers(const std::string& name) const {
    const EquipotTensor& tensor = find(name);
    if (!tensor.integers) refuse(name, tensor, "whole", tensor.count);
    return {tensor.integers, tensor.integers + tensor.count};
  }

  int integer(const std::string& name) const {
    const std::vector<int> values = integers(name);
    if (values.size() != 1) refuse(name, find(name), "whole", 1);
    return values[0];
  }

  Matrix matrix(const std::string& name, int rows, int columns, int64_t skip = 0,
                int64_t matrices = 1) const {
    const std::vector<double> values = reals(name, matrices * rows * columns);
    Matrix out(rows, columns);
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        out.at(row, column) = float(values[(skip * rows + row) * columns + column]);
    return out;
  }

 private:
  const EquipotTensor& find(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) throw std::invalid_argument("no '" + name + "' was given");
    return *found->second;
  }

  [[noreturn]] static void refuse(const std::string& name, const EquipotTensor& tensor,
                                  const std::string& kind, int64_t count) {
    throw std::invalid_argument("'" + name + "' has " + std::to_string(tensor.count) +
                                (tensor.reals ? " real" : " whole") + " numbers, not " +
                                std::to_string(count) + " " + kind + " ones");
  }

  std::map<std::string, const EquipotTensor*> by_name_;
};

}  // namespace equipot
