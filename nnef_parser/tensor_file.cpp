#include "nnef_parser/tensor_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "quant/q40.h"

namespace nnefrun {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensor files are little-endian and shared, not converted");

// Item types, section 15 and tract-opl 3.1.
enum : uint16_t {
  kFloat = 0,
  kUnsigned = 1,
  kQuantizedUnsigned = 2,
  kQuantizedSigned = 3,
  kSigned = 4,
  kBool = 5
};
enum : uint16_t {
  kLegacyLinear = 0x10,
  kLegacyLogarithmic = 0x11,
  kLegacySigned = 0x100,
  kLegacyBool = 0x101
};
enum : uint16_t {
  kTractComplexFloat = 0,
  kTractComplexInteger = 4,
  kTractString = 0x1000,
  kTractQ40Legacy = 0x2040,
  kTractQ40 = 0x3040,
  kTractQ81 = 0x3080,
  kTractQ81Written = 0x3081,  // what tract writes and cannot read
};

enum class Encoding { plain, boolean, integer, linear, logarithmic, complex_integer, string, q40_legacy };

struct Header {
  TensorFileInfo info;
  Shape shape;
  Encoding encoding = Encoding::plain;
  DataType dtype = DataType::f32;  // of the decoded tensor
  bool is_signed = false;
  uint64_t data_offset = kTensorHeaderBytes;
  uint64_t data_bytes = 0;
  float min = 0, max = 0;  // linear and logarithmic
};

std::string hex(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%04x", value);
  return text;
}

class HeaderReader {
 public:
  HeaderReader(ByteSpan start, uint64_t size, const std::string& name, const TensorFileOptions& options)
      : start_(start), size_(size), name_(name), options_(options) {}

  Header read() {
    if (size_ < 12)
      throw fail("tensor-size", "has " + std::to_string(size_) + " bytes, a tensor file has at least 128");
    if (u16(0) != 0xEF4E)
      throw fail("tensor-magic",
                 "is no tensor file: it begins with " + hex(u16(0)) + ", expected 0xef4e (4E EF)");
    if (u16(2) != 1) {
      throw fail("tensor-version", "has version " + std::to_string(u16(2) & 0xFF) + "." +
                                       std::to_string(u16(2) >> 8) + ", expected 1.0");
    }
    const uint64_t length = u32(4);
    if (options_.legacy && size_ != kTensorHeaderBytes + length && provisional()) return header_;
    if (size_ < kTensorHeaderBytes) {
      throw fail("tensor-size", "has " + std::to_string(size_) + " bytes, the header alone has 128");
    }
    read_shape(12);
    header_.data_bytes = length;
    header_.info.bits = u32(44);
    header_.info.item_type = u16(48);
    header_.info.vendor = u16(50);
    if (header_.info.vendor == kVendorKhronos) {
      khronos_type();
    } else if (header_.info.vendor == kVendorTract) {
      tract_type();
    } else if (header_.info.vendor == kVendorEngine) {
      engine_type();
    } else {
      throw fail("tensor-item-type", "has items of an unknown vendor " + hex(header_.info.vendor) +
                                         ", expected 0 (Khronos) or 0x5452 (tract)");
    }
    check_length();
    check_file_size();
    if (decoded_bytes() > options_.max_bytes)
      throw fail("tensor-limit",
                 "is larger than the limit of " + std::to_string(options_.max_bytes) + " bytes");
    return header_;
  }

 private:
  Error fail(std::string_view code, const std::string& what) const {
    return Error(code, "`" + name_ + "` " + what);
  }
  uint16_t u16(size_t at) const { return load_little_endian<uint16_t>(start_.data() + at); }
  uint32_t u32(size_t at) const { return load_little_endian<uint32_t>(start_.data() + at); }
  uint64_t volume() const { return static_cast<uint64_t>(volume_of(header_.shape)); }
  uint64_t decoded_bytes() const {
    if (header_.dtype == DataType::string) return volume() * sizeof(std::string) + size_;
    return byte_size_of(header_.dtype, header_.shape);
  }

  void read_shape(size_t at) {
    const uint32_t rank = u32(8);
    if (rank > 8) throw fail("tensor-rank", "has rank " + std::to_string(rank) + ", at most 8 is allowed");
    header_.shape.clear();
    for (uint32_t i = 0; i < rank; ++i) header_.shape.push_back(u32(at + 4 * i));
    try {
      byte_size_of(DataType::complex128, header_.shape);
    } catch (const Error&) {
      throw fail("shape-overflow",
                 "has shape " + to_string(header_.shape) + ", whose size does not fit in 64 bits");
    }
  }

  // The header of 2017, recognised by its size: the field at 4 is the offset of the data.
  bool provisional() {
    const uint32_t rank = u32(8);
    if (rank > 8 || size_ < 16 + 4 * rank || start_.size() < 16 + 4 * rank) return false;
    const size_t at = 12 + 4 * rank;
    const uint64_t offset = 16 + 4 * rank + u16(at + 2);
    const auto type = std::to_integer<uint16_t>(start_[at]);
    const auto bits = std::to_integer<uint32_t>(start_[at + 1]);
    if (u32(4) != offset || offset > size_ || type > 3) return false;
    read_shape(12);
    uint64_t total_bits = 0;
    if (__builtin_mul_overflow(volume(), uint64_t{bits}, &total_bits) ||
        size_ - offset != total_bits / 8 + (total_bits % 8 != 0)) {
      return false;
    }
    // 0 float, 1 quantised unsigned, 2 signed, 3 unsigned
    static constexpr uint16_t kTypes[] = {kFloat, kQuantizedUnsigned, kSigned, kUnsigned};
    header_.info.item_type = kTypes[type];
    header_.info.bits = bits;
    header_.info.legacy = true;
    header_.data_offset = offset;
    header_.data_bytes = size_ - offset;
    khronos_type();
    if (type == 1 && u16(at + 2) != 0) {
      throw fail("tensor-item-type",
                 "has quantised items with an algorithm in words (provisional NNEF of 2017), "
                 "which is not supported; convert it to a file of NNEF 1.0");
    }
    if (decoded_bytes() > options_.max_bytes)
      throw fail("tensor-limit",
                 "is larger than the limit of " + std::to_string(options_.max_bytes) + " bytes");
    return true;
  }

  Error bad_bits(const std::string& expected) const {
    return fail("tensor-bits", "has " + std::to_string(header_.info.bits) + " bits per item of type " +
                                   std::to_string(header_.info.item_type) + ", expected " + expected);
  }

  void integer_type(bool is_signed) {
    const uint32_t bits = header_.info.bits;
    if (bits < 1 || bits > 64) throw bad_bits("1 to 64");
    header_.is_signed = is_signed;
    header_.encoding =
        bits == 8 || bits == 16 || bits == 32 || bits == 64 ? Encoding::plain : Encoding::integer;
    header_.dtype = bits <= 8    ? is_signed ? DataType::i8 : DataType::u8
                    : bits <= 16 ? is_signed ? DataType::i16 : DataType::u16
                    : bits <= 32 ? is_signed ? DataType::i32 : DataType::u32
                    : is_signed  ? DataType::i64
                                 : DataType::u64;
  }

  void khronos_type() {
    const uint32_t bits = header_.info.bits;
    uint16_t type = header_.info.item_type;
    if (options_.legacy && start_.size() >= kTensorHeaderBytes && !header_.info.legacy) {
      if (type == kLegacySigned || type == kLegacyBool) {
        type = type == kLegacySigned ? uint16_t{kSigned} : uint16_t{kBool};
        header_.info.legacy = true;
      } else if (type == kUnsigned && u32(52) != 0) {
        type = kSigned;
        header_.info.legacy = true;
      } else if (type == kLegacyLinear || type == kLegacyLogarithmic) {
        header_.info.legacy = true;
        header_.min = std::bit_cast<float>(u32(52));
        header_.max = std::bit_cast<float>(u32(56));
        if (header_.min == 0 &&
            header_.max == 0) {  // 1.0.3 printed the types 2 and 3 so; it has no parameters
          type = type == kLegacyLinear ? uint16_t{kQuantizedUnsigned} : uint16_t{kQuantizedSigned};
        } else {
          if (bits < 1 || bits > 32) throw bad_bits("1 to 32");
          header_.encoding = type == kLegacyLinear ? Encoding::linear : Encoding::logarithmic;
          header_.dtype = DataType::f32;
          return;
        }
      }
    }
    switch (type) {
      case kFloat:
        if (bits != 16 && bits != 32 && bits != 64) throw bad_bits("16, 32 or 64");
        header_.dtype = bits == 16 ? DataType::f16 : bits == 32 ? DataType::f32 : DataType::f64;
        return;
      case kQuantizedUnsigned:
      case kQuantizedSigned: header_.info.quantized = true; [[fallthrough]];
      case kUnsigned:
      case kSigned: return integer_type(type == kSigned || type == kQuantizedSigned);
      case kBool:
        if (bits != 1 && bits != 8) throw bad_bits("1 or 8");
        header_.encoding = Encoding::boolean;
        header_.dtype = DataType::boolean;
        return;
      default:
        throw fail("tensor-item-type", "has items of the unknown type " + std::to_string(type) +
                                           ", expected 0 (float) to 5 (bool)");
    }
  }

  void tract_type() {
    const uint32_t bits = header_.info.bits;
    switch (header_.info.item_type) {
      case kTractComplexFloat:
        if (bits != 32 && bits != 64 && bits != 128) throw bad_bits("32, 64 or 128");
        header_.dtype = bits == 32   ? DataType::complex32
                        : bits == 64 ? DataType::complex64
                                     : DataType::complex128;
        return;
      case kTractComplexInteger:
        if (bits != 32 && bits != 64 && bits != 128) throw bad_bits("32, 64 or 128");
        header_.encoding = Encoding::complex_integer;
        header_.dtype = bits == 32 ? DataType::complex64 : DataType::complex128;
        return;
      case kTractString:
        header_.encoding = Encoding::string;
        header_.dtype = DataType::string;
        return;
      case kTractQ40Legacy: header_.encoding = Encoding::q40_legacy; [[fallthrough]];
      case kTractQ40: return block_type(DataType::q4_0);
      case kTractQ81:
      case kTractQ81Written: return block_type(DataType::q8_1);
      default:
        throw fail("tensor-item-type",
                   "has items of tract's type " + hex(header_.info.item_type) +
                       ", which is unknown; known are 0, 4, 0x1000, 0x2040, 0x3040, 0x3080, 0x3081");
    }
  }

  void engine_type() {
    const auto type = static_cast<DataType>(header_.info.item_type);
    if (type == DataType::q8_0) return block_type(type);
    if (type != DataType::bf16) {
      throw fail("tensor-item-type", "has items of the engine's type " +
                                         std::to_string(header_.info.item_type) + ", which is unknown");
    }
    if (header_.info.bits != 16) throw bad_bits("16");
    header_.dtype = type;
  }

  void block_type(DataType type) {
    if (header_.info.bits != kVariableBits) throw bad_bits("0xffffffff");
    if (header_.shape.size() < 2) {
      throw fail("tensor-block", "has blocks of " + std::string(name_of(type)) + " in shape " +
                                     to_string(header_.shape) + ", expected rank 2 or more");
    }
    const int64_t row = volume_of(Shape(header_.shape.begin() + 1, header_.shape.end()));
    if (row % 32 != 0) {
      throw fail("tensor-block", "has rows of " + std::to_string(row) + " items in shape " +
                                     to_string(header_.shape) + ", which do not divide into blocks of 32");
    }
    header_.dtype = type;
  }

  void check_length() {
    if (header_.encoding == Encoding::string) {  // the header's length means nothing there
      header_.data_bytes = size_ - kTensorHeaderBytes;
      if (volume() > header_.data_bytes / 4) {
        throw fail("tensor-string", "has " + std::to_string(volume()) + " strings in " +
                                        std::to_string(header_.data_bytes) + " bytes");
      }
      return;
    }
    uint64_t expected = 0;
    if (is_block_quantized(header_.dtype)) {
      expected = byte_size_of(header_.dtype, header_.shape);
    } else {
      const auto bits = static_cast<unsigned __int128>(volume()) * header_.info.bits;
      const unsigned __int128 bytes = (bits + 7) / 8;
      expected = bytes > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(bytes);
    }
    if (header_.data_bytes != expected) {
      throw fail("tensor-length", "claims " + std::to_string(header_.data_bytes) + " bytes of data, shape " +
                                      to_string(header_.shape) + " of " +
                                      std::string(name_of(header_.dtype)) + " needs " +
                                      std::to_string(expected));
    }
  }

  void check_file_size() {
    const uint64_t after = size_ - kTensorHeaderBytes;
    if (after == header_.data_bytes) return;
    if (options_.legacy &&
        after == header_.data_bytes + 4) {  // a writer of 2018 left four bytes between header and data
      header_.data_offset += 4;
      header_.info.legacy = true;
      return;
    }
    throw fail("tensor-size", "has " + std::to_string(size_) + " bytes, expected 128 and " +
                                  std::to_string(header_.data_bytes) + " of data; the file is " +
                                  (after < header_.data_bytes ? "cut" : "too long"));
  }

  ByteSpan start_;
  uint64_t size_;
  const std::string& name_;
  const TensorFileOptions& options_;
  Header header_;
};

// The stored integers one after the other, as 64 bits: little-endian bytes, or a stream of bits, most
// significant first.
class IntegerStream {
 public:
  IntegerStream(ByteSpan data, uint32_t bits, bool is_signed)
      : data_(data), bits_(bits), is_signed_(is_signed) {}

  uint64_t next() {
    uint64_t value = 0;
    if (bits_ % 8 == 0) {
      for (uint32_t i = 0; i < bits_; i += 8) value |= std::to_integer<uint64_t>(data_[at_++]) << i;
    } else {
      for (uint32_t left = bits_; left > 0;) {
        const uint32_t room = 8 - used_, take = std::min(room, left);
        const uint32_t byte = std::to_integer<uint32_t>(data_[at_]);
        value = (value << take) | ((byte >> (room - take)) & ((1U << take) - 1));
        used_ += take;
        left -= take;
        if (used_ == 8) {
          used_ = 0;
          ++at_;
        }
      }
    }
    if (is_signed_ && bits_ < 64 && ((value >> (bits_ - 1)) & 1) != 0) value |= ~uint64_t{0} << bits_;
    return value;
  }

 private:
  ByteSpan data_;
  uint32_t bits_;
  bool is_signed_;
  size_t at_ = 0;
  uint32_t used_ = 0;  // bits of the current byte
};

template <class T>
void unpack_integers(Tensor& to, IntegerStream stream) {
  T* out = to.mutable_data<T>();
  for (int64_t i = 0; i < to.size(); ++i) out[i] = static_cast<T>(stream.next());
}

Tensor decode_integers(const Header& header, ByteSpan data) {
  Tensor out = Tensor::uninitialized(header.dtype, header.shape);
  const IntegerStream stream(data, header.info.bits, header.is_signed);
  switch (item_size(header.dtype)) {
    case 1: unpack_integers<uint8_t>(out, stream); break;
    case 2: unpack_integers<uint16_t>(out, stream); break;
    case 4: unpack_integers<uint32_t>(out, stream); break;
    default: unpack_integers<uint64_t>(out, stream); break;
  }
  return out;
}

// The algorithms of NNEF 1.0 to 1.0.2, which kept min and max in the header.
Tensor decode_levels(const Header& header, ByteSpan data) {
  Tensor out = Tensor::uninitialized(DataType::f32, header.shape);
  float* to = out.mutable_data<float>();
  IntegerStream stream(data, header.info.bits, false);
  const double steps = std::ldexp(1.0, static_cast<int>(header.info.bits)) - 1;
  const double min = header.min, max = header.max;
  for (int64_t i = 0; i < out.size(); ++i) {
    const auto q = static_cast<double>(stream.next());
    to[i] = static_cast<float>(header.encoding == Encoding::linear
                                   ? q / steps * (max - min) + min
                                   : std::exp2(q + std::ceil(std::log2(max)) - steps));
  }
  return out;
}

Tensor decode_bools(const Header& header, ByteSpan data, const std::shared_ptr<const void>& owner) {
  if (header.info.bits == 8 && owner &&
      std::all_of(data.begin(), data.end(), [](std::byte b) { return b <= std::byte{1}; })) {
    return Tensor::wrap(DataType::boolean, header.shape, owner, data.data());
  }
  Tensor out = Tensor::uninitialized(DataType::boolean, header.shape);
  std::byte* to = out.mutable_bytes();
  for (size_t i = 0; i < static_cast<size_t>(out.size()); ++i) {
    to[i] = header.info.bits == 8 ? static_cast<std::byte>(data[i] != std::byte{0})
                                  : (data[i / 8] >> (7 - i % 8)) & std::byte{1};
  }
  return out;
}

Tensor decode_strings(const Header& header, ByteSpan data, const std::string& name) {
  std::vector<std::string> strings(static_cast<size_t>(volume_of(header.shape)));
  size_t at = 0;
  for (size_t i = 0; i < strings.size(); ++i) {
    const size_t left = data.size() - at;
    const uint64_t length = left < 4 ? UINT64_MAX : load_little_endian<uint32_t>(data.data() + at);
    if (left < 4 || length > left - 4) {
      throw Error("tensor-string", "`" + name + "` ends inside of string " + std::to_string(i));
    }
    strings[i] = as_text(data.subspan(at + 4, static_cast<size_t>(length)));
    if (!is_utf8(strings[i]))
      throw Error("tensor-string", "`" + name + "`: string " + std::to_string(i) + " is no valid UTF-8");
    at += 4 + static_cast<size_t>(length);
  }
  if (at != data.size()) {
    throw Error("tensor-size",
                "`" + name + "` has " + std::to_string(data.size() - at) + " bytes after its last string");
  }
  return Tensor::of_strings(header.shape, std::move(strings));
}

Tensor decode_complex_integers(const Header& header, ByteSpan data) {
  Tensor out = Tensor::uninitialized(header.dtype, header.shape);
  IntegerStream stream(data, header.info.bits / 2, true);
  for (int64_t i = 0; i < 2 * out.size(); ++i) {
    const auto part = static_cast<int64_t>(stream.next());
    if (header.dtype == DataType::complex64) {
      out.mutable_data<float>()[i] = static_cast<float>(part);
    } else {
      out.mutable_data<double>()[i] = static_cast<double>(part);
    }
  }
  return out;
}

size_t alignment_of(DataType dtype) {
  if (is_block_quantized(dtype)) return 2;
  return is_complex(dtype) ? item_size(dtype) / 2 : item_size(dtype);
}

Tensor decode_plain(const Header& header, ByteSpan data, const std::shared_ptr<const void>& owner) {
  if (owner && reinterpret_cast<uintptr_t>(data.data()) % alignment_of(header.dtype) == 0) {
    return Tensor::wrap(header.dtype, header.shape, owner, data.data());
  }
  Tensor out = Tensor::uninitialized(header.dtype, header.shape);
  if (!data.empty()) std::memcpy(out.mutable_bytes(), data.data(), data.size());
  return out;
}

Tensor decode_q40_legacy(const Header& header, ByteSpan data) {
  Tensor out = decode_plain(header, data, nullptr);
  auto* blocks = out.mutable_data<BlockQ40>();
  for (size_t i = 0; i < data.size() / sizeof(BlockQ40); ++i) blocks[i] = q40_from_legacy(blocks[i]);
  return out;
}

}  // namespace

TensorFile read_tensor_file(ByteSpan bytes, const std::string& name, const TensorFileOptions& options,
                            const std::shared_ptr<const void>& owner) {
  const Header header = HeaderReader(bytes, bytes.size(), name, options).read();
  const ByteSpan data =
      bytes.subspan(static_cast<size_t>(header.data_offset), static_cast<size_t>(header.data_bytes));
  TensorFile out;
  out.info = header.info;
  switch (header.encoding) {
    case Encoding::plain: out.tensor = decode_plain(header, data, owner); break;
    case Encoding::boolean: out.tensor = decode_bools(header, data, owner); break;
    case Encoding::integer: out.tensor = decode_integers(header, data); break;
    case Encoding::linear:
    case Encoding::logarithmic: out.tensor = decode_levels(header, data); break;
    case Encoding::complex_integer: out.tensor = decode_complex_integers(header, data); break;
    case Encoding::string: out.tensor = decode_strings(header, data, name); break;
    case Encoding::q40_legacy: out.tensor = decode_q40_legacy(header, data); break;
  }
  return out;
}

void check_tensor_header(ByteSpan start, uint64_t size, const std::string& name,
                         const TensorFileOptions& options) {
  HeaderReader(start, size, name, options).read();
}

namespace {

Tensor pack_bools(const Tensor& tensor) {
  Tensor out = Tensor::zeros(DataType::u8, {(tensor.size() + 7) / 8});
  std::byte* to = out.mutable_bytes();
  for (size_t i = 0; i < static_cast<size_t>(tensor.size()); ++i) {
    if (tensor.bytes()[i] != std::byte{0}) to[i / 8] |= std::byte{0x80} >> (i % 8);
  }
  return out;
}

Tensor pack_strings(const Tensor& tensor) {
  std::string packed;
  for (const std::string& text : tensor.strings()) {
    append_little_endian<uint32_t>(packed, static_cast<uint32_t>(text.size()));
    packed += text;
  }
  Tensor out = Tensor::uninitialized(DataType::u8, {static_cast<int64_t>(packed.size())});
  std::memcpy(out.mutable_bytes(), packed.data(), packed.size());
  return out;
}

Tensor widen_bf16(const Tensor& tensor) {
  Tensor out = Tensor::uninitialized(DataType::f32, tensor.shape());
  float* to = out.mutable_data<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) to[i] = static_cast<float>(tensor.data<BFloat16>()[i]);
  return out;
}

}  // namespace

EncodedTensorFile encode_tensor_file(const Tensor& tensor, TensorFileForm form) {
  const DataType dtype = tensor.dtype();
  const bool khronos = form == TensorFileForm::khronos, engine = form == TensorFileForm::engine;
  const auto refuse = [&] {
    return Error("tensor-item-type", "a tensor of " + std::string(name_of(dtype)) + " has no item type in " +
                                         (khronos ? "NNEF 1.0; write it in tract's form"
                                                  : "tract's tensor files; dequantise it first"));
  };
  if (tensor.rank() > 8)
    throw Error("tensor-rank",
                "a tensor file holds at most rank 8, this tensor has shape " + to_string(tensor.shape()));
  EncodedTensorFile out;
  out.data = tensor;
  TensorFileInfo info;
  info.bits = static_cast<uint32_t>(8 * item_size(dtype));
  if (dtype == DataType::bf16 && engine) {
    info.vendor = kVendorEngine;
    info.item_type = static_cast<uint16_t>(dtype);
  } else if (dtype == DataType::bf16) {
    out.data = widen_bf16(tensor);
    info.bits = 32;
  } else if (is_unsigned_integer(dtype)) {
    info.item_type = khronos ? kUnsigned : kQuantizedUnsigned;
  } else if (is_signed_integer(dtype)) {
    info.item_type = khronos ? kSigned : kQuantizedSigned;
  } else if (dtype == DataType::boolean) {
    info.item_type = kBool;
    if (khronos) {
      out.data = pack_bools(tensor);
      info.bits = 1;
    }
  } else if (!is_float(dtype)) {
    if (khronos) throw refuse();
    info.vendor = kVendorTract;
    if (is_complex(dtype)) {
      info.item_type = kTractComplexFloat;
    } else {
      info.bits = kVariableBits;
      switch (dtype) {
        case DataType::string:
          info.item_type = kTractString;
          out.data = pack_strings(tensor);
          break;
        case DataType::q4_0: info.item_type = kTractQ40; break;
        case DataType::q8_1:
          info.item_type = kTractQ81;
          break;  // 0x3081 is what tract writes, but cannot read
        case DataType::q8_0:
          if (!engine) throw refuse();
          info.vendor = kVendorEngine;
          info.item_type = static_cast<uint16_t>(dtype);
          break;
        default: throw refuse();
      }
    }
  }
  // tract writes 24 bytes for each string, the size of the object that held it
  const uint64_t length =
      dtype == DataType::string ? 24 * static_cast<uint64_t>(tensor.size()) : out.data.byte_size();
  bool fits = length <= UINT32_MAX;
  for (const int64_t extent : tensor.shape()) fits = fits && extent <= int64_t{UINT32_MAX};
  if (!fits) {
    throw Error("tensor-limit", "a tensor of shape " + to_string(tensor.shape()) + " and " +
                                    std::to_string(length) +
                                    " bytes does not fit in a tensor file, which ends at 4 GiB");
  }
  out.header = std::string("\x4E\xEF\x01\x00", 4);
  append_little_endian<uint32_t>(out.header, static_cast<uint32_t>(length));
  append_little_endian<uint32_t>(out.header, static_cast<uint32_t>(tensor.rank()));
  for (int axis = 0; axis < 8; ++axis) {
    append_little_endian<uint32_t>(out.header,
                                   axis < tensor.rank() ? static_cast<uint32_t>(tensor.dim(axis)) : 0);
  }
  append_little_endian<uint32_t>(out.header, info.bits);
  append_little_endian<uint16_t>(out.header, info.item_type);
  append_little_endian<uint16_t>(out.header, info.vendor);
  out.header.resize(kTensorHeaderBytes, '\0');
  return out;
}

void write_tensor_file(const ByteSink& sink, const Tensor& tensor, TensorFileForm form) {
  const EncodedTensorFile file = encode_tensor_file(tensor, form);
  sink(as_byte_span(file.header));
  sink({file.data.bytes(), file.data.byte_size()});
}

}  // namespace nnefrun
