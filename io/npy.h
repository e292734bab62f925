// NumPy's .npy files: format versions 1 to 3.
//
// Read: bool, (u)int8 to 64, float16 to 64, complex64 and 128 and `<U` strings, in either byte order, in C or
// Fortran order; the tensor is always row-major and in the machine's order. Booleans become 0 or 1, strings
// UTF-8. Refused: pickled objects (Error[npy-object], they are never unpickled), structured and other items
// (Error[npy-unsupported]), data that is shorter or longer than the header says (Error[npy-malformed]).
// Written: version 1.0, little-endian, C order. bf16 is widened to float32 and complex32 to complex64, blocks
// of Q4_0 and Q8_x are written as their bytes (uint8, the last extent counts bytes), strings as `<U`.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/tensor.h"

namespace nnefrun {

// What one call may read. The defaults pass what a machine of today can hold; a caller with less says so.
struct IoLimits {
  uint64_t max_array_bytes = uint64_t{8} << 30;   // one array, in memory
  uint64_t max_total_bytes = uint64_t{16} << 30;  // all arrays of one .npz
  size_t max_members = 1 << 16;                   // entries of one .npz
};

// dtype and shape as the reader will return them, without reading the data: a caller can refuse an array that
// does not fit before it costs memory.
struct NpyHeader {
  DataType dtype = DataType::f32;
  Shape shape;
  bool fortran_order = false;
  bool big_endian = false;
  size_t item_bytes = 0;    // in the file; strings: 4 * characters
  size_t header_bytes = 0;  // magic, version, length and text
  uint64_t data_bytes = 0;
};

// `name` is what messages call the file. Throws Error[npy-malformed | npy-unsupported | npy-object |
// io-limit].
Tensor read_npy(ByteSpan bytes, const std::string& name, const IoLimits& limits = {});
// Also throws Error[file-unreadable].
Tensor load_npy(const std::string& path, const IoLimits& limits = {});
NpyHeader peek_npy(const std::string& path);

// `path` "-" is standard output. Throws Error[file-unwritable | npy-text].
void save_npy(const std::string& path, const Tensor& tensor);
void write_npy(const ByteSink& sink, const Tensor& tensor);

// The pieces that .npz shares.
namespace npy {

// Reads from the front: `size` is the length of the whole .npy, `read` fills the next bytes of it.
using SequentialRead = std::function<void(std::span<std::byte>)>;
NpyHeader read_header(const SequentialRead& read, uint64_t size, const std::string& name);
Tensor read_data(const NpyHeader& header, const SequentialRead& read, const std::string& name,
                 const IoLimits& limits);

// The header's text and a tensor with the bytes that follow it.
struct Encoded {
  std::string header;
  Tensor data;
};
Encoded encode(const Tensor& tensor);

}  // namespace npy
}  // namespace nnefrun
