// The directory of a .safetensors file: names, types, shapes and places of its tensors.
//
//   byte 0  u64  length N of the directory      8 + N  data, to which the offsets are relative
//        8  N bytes of JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/tensor.h"

namespace nnefrun {

struct SafetensorsEntry {
  std::string name;
  DataType dtype = DataType::f32;
  std::string
      unsupported;  // the dtype's name when there is no DataType for it; reading the tensor is then an error
  Shape shape;
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;
};

// Length of header and directory, from the first eight bytes. Throws Error[safetensors-malformed] when it
// does not fit in `size` or passes 100 MB, the format's own limit.
uint64_t safetensors_directory_end(ByteSpan first_eight, uint64_t size, const std::string& name);

// `start` holds the first safetensors_directory_end() bytes of a file of `size` bytes. Checked: the JSON's
// form, twin names, lengths against shapes, that tensors lie inside of the data and do not overlap. Throws
// Error[safetensors-malformed].
std::vector<SafetensorsEntry> read_safetensors_directory(ByteSpan start, uint64_t size,
                                                         const std::string& name);

}  // namespace nnefrun
