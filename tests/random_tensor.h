// Tensors of random bytes for property tests.
#pragma once

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace nnefrun {

// Up to rank 5, extents 0 to 5, rank 0 included.
inline Shape random_shape(std::mt19937& random) {
  Shape shape(random() % 6);
  for (int64_t& extent : shape) extent = random() % 8 == 0 ? 0 : 1 + static_cast<int64_t>(random() % 5);
  return shape;
}

// Any bit pattern (so also NaNs); booleans 0 and 1; strings of 0 to 6 characters of 1 to 4 bytes.
inline Tensor random_tensor(std::mt19937& random, DataType dtype, const Shape& shape) {
  if (dtype == DataType::string) {
    static const char* const kCharacters[] = {"a", "Z", "é", "π", "語", "😀", " ", "\n"};
    std::vector<std::string> strings(static_cast<size_t>(volume_of(shape)));
    for (std::string& text : strings) {
      for (size_t n = random() % 7; n > 0; --n) text += kCharacters[random() % 8];
    }
    return Tensor::of_strings(shape, std::move(strings));
  }
  Tensor out = Tensor::uninitialized(dtype, shape);
  std::byte* bytes = out.mutable_bytes();
  for (size_t i = 0; i < out.byte_size(); ++i) {
    bytes[i] = static_cast<std::byte>(dtype == DataType::boolean ? random() & 1 : random() & 0xFF);
  }
  return out;
}

}  // namespace nnefrun
