// Tensor data files (.dat): NNEF 1.0.5 section 4 (reference section 15) and tract's additions (tract-opl 3).
//
//   byte 0  4E EF   magic             12  u32[8]  extents, the unused ones 0
//        2  u8 u8   version 1.0       44  u32     bits per item; 0xFFFFFFFF: not one width (tract)
//        4  u32     bytes of data     48  u16     item type
//        8  u32     rank, up to 8     50  u16     vendor: 0 Khronos, 0x5452 tract
//                                     52  u8[76]  parameters of before 1.0.3, then zeros; the data begins at
//                                     128
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/tensor.h"

namespace nnefrun {

inline constexpr size_t kTensorHeaderBytes = 128;
// kVendorEngine is our own ("nr"): types that neither Khronos nor tract can write; its item types are the
// values of DataType.
inline constexpr uint16_t kVendorKhronos = 0, kVendorTract = 0x5452, kVendorEngine = 0x726E;
inline constexpr uint32_t kVariableBits = 0xFFFFFFFF;

// What the file said beyond dtype and shape; the reader of a graph needs it to judge whether the items fit
// the declared type.
struct TensorFileInfo {
  uint16_t item_type = 0;
  uint16_t vendor = kVendorKhronos;
  uint32_t bits = 32;
  // Item types 2 and 3. graph.quant says how the codes become reals; without an entry there they are plain
  // integers (tract writes every integer so).
  bool quantized = false;
  // The header was of an older era: its parameters were interpreted (signedness, min and max), or four stray
  // bytes skipped.
  bool legacy = false;
};

struct TensorFile {
  Tensor tensor;
  TensorFileInfo info;
};

struct TensorFileOptions {
  // Files of before 1.0.4 (reference section 15, "Legacy headers"): the provisional header of 2017, algorithm
  // codes with min and max (decoded to f32), the signedness word, the 1.0.3 codes 256 and 257, and four stray
  // bytes before the data.
  bool legacy = true;
  uint64_t max_bytes = uint64_t{16} << 30;  // in memory, decoded
};

// Decodes a whole file. dtype of the result: floats as stored; integers of 1 to 64 bits in the smallest of 8,
// 16, 32 and 64 bits that holds them, unsigned for the item types 1 and 2, signed for 3 and 4; bool
// normalised to 0 and 1; strings; complex (integer parts become floats: 16 bits f32, wider ones f64); blocks
// as q4_0 (in the canonical nibble order) and q8_1. Widths that are no multiple of 8 are one stream of bits,
// the most significant one first; others are little-endian. With an `owner` that keeps `bytes` alive, items
// that lie in memory as the machine wants them are shared, not copied. `name` is for messages, e.g.
// "conv1/filter.dat". Throws Error: tensor-magic, tensor-version, tensor-rank, tensor-length (data length
// against shape), tensor-size (file size against data length), tensor-item-type, tensor-bits, tensor-block,
// tensor-string, tensor-limit, shape-overflow.
TensorFile read_tensor_file(ByteSpan bytes, const std::string& name, const TensorFileOptions& options = {},
                            const std::shared_ptr<const void>& owner = nullptr);

// Throws what read_tensor_file would about the header alone. `start` holds the first 128 bytes (or all, if
// there are fewer) of a file of `size` bytes. An archive skips the data of a file with a bad header, instead
// of holding it.
void check_tensor_header(ByteSpan start, uint64_t size, const std::string& name,
                         const TensorFileOptions& options = {});

enum class TensorFileForm {
  khronos,  // integers as types 1 and 4, bool as 1 bit; what Khronos has no type for is refused
  tract,  // as tract writes: integers as types 2 and 3, bool as 8 bits; strings, complex and blocks under its
          // vendor code
  engine,  // as tract, and bf16 and q8_0 under our own vendor code: every Tensor comes back as it was
};
// Header and data; the data is not copied where the file holds it as it is. khronos and tract write bf16 as
// f32. Throws Error[tensor-item-type] for a type that the form lacks, Error[tensor-rank], Error[tensor-limit]
// past 4 GiB.
struct EncodedTensorFile {
  std::string header;
  Tensor data;  // its bytes follow the header
};
EncodedTensorFile encode_tensor_file(const Tensor& tensor, TensorFileForm form);
void write_tensor_file(const ByteSink& sink, const Tensor& tensor, TensorFileForm form);

}  // namespace nnefrun
