// Memory of a tile: rows of floats, taken one after the other and given back all at once.
#pragma once

#include <cstddef>
#include <vector>

#include "vector.h"

namespace equipot {

class Arena {
 public:
  // Begin anew. What is asked for first counts only; `reserve` then makes it real.
  void restart() { used_ = 0; }

  float* take(size_t count) {
    float* at = memory_.empty() ? nullptr : begin_ + used_;
    used_ += (count + width - 1) / width * width;
    return at;
  }

  // Room for what was taken since `restart`; whether there was too little.
  bool reserve() {
    if (used_ <= size_) return false;
    memory_.assign(used_ + width, 0.0f);
    const size_t off = (reinterpret_cast<size_t>(memory_.data()) / sizeof(float)) % width;
    begin_ = memory_.data() + (width - off) % width;
    size_ = used_;
    return true;
  }

 private:
  std::vector<float> memory_;
  float* begin_ = nullptr;
  size_t size_ = 0, used_ = 0;
};

}  // namespace equipot
