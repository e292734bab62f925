#include "io/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/error.h"

namespace nnefrun {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy itself reads headers up to 10,000 characters; plain types never need 1,000.
constexpr uint64_t kMaxHeaderBytes = 1 << 16;
constexpr size_t kMaxAxes = 64;  // NumPy's own limit

Error malformed(const std::string& name, const std::string& why) {
  return Error("npy-malformed", "`" + name + "` is no valid .npy array: " + why);
}

// The header is a Python dictionary of a string, a bool and a tuple of integers; nothing more is read.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  void parse() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr") {
        if (peek() == '[')
          throw Error("npy-unsupported", "`" + name_ + "` holds structured items, expected plain numbers");
        once(has_descr_, key);
        descr = string();
      } else if (key == "fortran_order") {
        once(has_order_, key);
        fortran_order = boolean();
      } else if (key == "shape") {
        once(has_shape_, key);
        tuple();
      } else {
        throw malformed(name_, "unknown key '" + std::string(key.substr(0, 40)) + "' in the header");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (peek() != '\0') throw malformed(name_, "text after the header's dictionary");
    if (!has_descr_ || !has_order_ || !has_shape_) {
      throw malformed(name_, std::string("the header has no '") +
                                 (!has_shape_   ? "shape"
                                  : !has_descr_ ? "descr"
                                                : "fortran_order") +
                                 "'");
    }
  }

  std::string_view descr;
  bool fortran_order = false;
  Shape shape;

 private:
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) throw malformed(name_, std::string("expected '") + c + "' in the header");
  }
  void once(bool& seen, std::string_view key) {
    if (seen) throw malformed(name_, "'" + std::string(key) + "' occurs twice in the header");
    seen = true;
  }
  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') throw malformed(name_, "expected a string in the header");
    const size_t begin = ++at_;
    const size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) throw malformed(name_, "unterminated string in the header");
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    }
    throw malformed(name_, "fortran_order is neither True nor False");
  }
  void tuple() {
    expect('(');
    while (!accept(')')) {
      peek();
      int64_t extent = 0;
      const char* begin = text_.data() + at_;
      const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), extent);
      if (status != std::errc()) throw malformed(name_, "an extent of the shape is no integer");
      if (extent < 0) throw malformed(name_, "negative extent " + std::to_string(extent) + " in the shape");
      at_ += static_cast<size_t>(end - begin);
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2
      shape.push_back(extent);
      if (shape.size() > kMaxAxes) throw malformed(name_, "more than 64 axes");
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  bool has_descr_ = false, has_order_ = false, has_shape_ = false;
};

void interpret_descr(std::string_view descr, NpyHeader& header, const std::string& name) {
  const auto refuse = [&] {
    return Error("npy-unsupported",
                 "`" + name + "` holds items of type '" + std::string(descr.substr(0, 40)) +
                     "', expected bool, int8 to 64, uint8 to 64, float16 to 64, complex64, "
                     "complex128 or str");
  };
  std::string_view kind = descr;
  if (!kind.empty() && std::string_view("<>|=").find(kind[0]) != std::string_view::npos) {
    header.big_endian = kind[0] == '>' || (kind[0] == '=' && std::endian::native == std::endian::big);
    kind.remove_prefix(1);
  }
  if (kind.empty()) throw refuse();
  if (kind[0] == 'O') {
    throw Error("npy-object", "`" + name +
                                  "` holds pickled Python objects, which are never unpickled; "
                                  "save numbers or strings instead");
  }
  if (kind[0] == 'U') {
    uint32_t characters = 0;
    const auto [end, status] = std::from_chars(kind.data() + 1, kind.data() + kind.size(), characters);
    if (status != std::errc() || end != kind.data() + kind.size()) throw refuse();
    header.dtype = DataType::string;
    header.item_bytes = size_t{4} * characters;
    return;
  }
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    if (numpy_name_of(type) == kind) {
      header.dtype = type;
      header.item_bytes = item_size(type);
      return;
    }
  }
  throw refuse();
}

void append_utf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// REQUIRES: valid UTF-8.
std::vector<uint32_t> code_points_of(std::string_view text) {
  std::vector<uint32_t> out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t point = length == 1 ? lead : lead & (0xFFU >> (length + 1));
    for (size_t k = 1; k < length; ++k) point = (point << 6) | (static_cast<uint8_t>(text[i + k]) & 0x3FU);
    out.push_back(point);
    i += length;
  }
  return out;
}

// Items of a Fortran-ordered buffer in row-major order; `item` bytes each.
void to_row_major(const std::byte* from, std::byte* to, const Shape& shape, size_t item) {
  const size_t rank = shape.size();
  std::vector<int64_t> index(rank, 0), stride(rank, 1);
  for (size_t axis = 1; axis < rank; ++axis) stride[axis] = stride[axis - 1] * shape[axis - 1];
  const int64_t volume = volume_of(shape);
  int64_t source = 0;
  for (int64_t i = 0; i < volume; ++i) {
    std::memcpy(to + static_cast<size_t>(i) * item, from + static_cast<size_t>(source) * item, item);
    for (size_t axis = rank; axis-- > 0;) {
      source += stride[axis];
      if (++index[axis] < shape[axis]) break;
      source -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

void reverse_items(std::byte* data, size_t bytes, size_t item) {
  for (size_t i = 0; i < bytes; i += item) std::reverse(data + i, data + i + item);
}

Tensor read_strings(const NpyHeader& header, const std::byte* data, const std::string& name) {
  const auto count = static_cast<size_t>(volume_of(header.shape));
  std::vector<std::string> strings(count);
  const size_t characters = header.item_bytes / 4;
  for (size_t i = 0; i < count; ++i) {
    const std::byte* item = data + i * header.item_bytes;
    size_t length = characters;
    const auto point_at = [&](size_t k) { return load_little_endian<uint32_t>(item + 4 * k); };
    while (length > 0 && point_at(length - 1) == 0) --length;  // NumPy pads with zeros
    for (size_t k = 0; k < length; ++k) {
      const uint32_t point = point_at(k);
      if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
        throw malformed(name, "string " + std::to_string(i) + " holds an illegal character code " +
                                  std::to_string(point));
      }
      append_utf8(strings[i], point);
    }
  }
  return Tensor::of_strings(header.shape, std::move(strings));
}

}  // namespace

namespace npy {

NpyHeader read_header(const SequentialRead& read, uint64_t size, const std::string& name) {
  std::byte start[12];
  if (size < 10) throw malformed(name, "only " + std::to_string(size) + " bytes");
  read({start, 10});
  if (as_text({start, 6}) != kMagic) throw malformed(name, "wrong magic number");
  const auto major = std::to_integer<int>(start[6]);
  if (major < 1 || major > 3)
    throw malformed(name, "format version " + std::to_string(major) + ", expected 1, 2 or 3");
  uint64_t length = load_little_endian<uint16_t>(start + 8);
  size_t prefix = 10;
  if (major >= 2) {
    if (size < 12) throw malformed(name, "only " + std::to_string(size) + " bytes");
    read({start + 10, 2});
    length = load_little_endian<uint32_t>(start + 8);
    prefix = 12;
  }
  if (length > size - prefix) {
    throw malformed(name, "the header claims " + std::to_string(length) + " bytes, " +
                              std::to_string(size - prefix) + " are left");
  }
  if (length > kMaxHeaderBytes) throw malformed(name, "a header of " + std::to_string(length) + " bytes");
  std::string text(length, '\0');
  read({reinterpret_cast<std::byte*>(text.data()), text.size()});

  HeaderParser parser(text, name);
  parser.parse();
  NpyHeader header;
  interpret_descr(parser.descr, header, name);
  header.shape = std::move(parser.shape);
  header.fortran_order = parser.fortran_order;
  header.header_bytes = prefix + static_cast<size_t>(length);
  int64_t volume = 0;
  try {
    volume = volume_of(header.shape);
  } catch (const Error& error) {
    throw malformed(name, error.message());
  }
  if (__builtin_mul_overflow(static_cast<uint64_t>(volume), header.item_bytes, &header.data_bytes)) {
    throw malformed(name, "an array of shape " + to_string(header.shape) + " does not fit in memory");
  }
  const uint64_t left = size - header.header_bytes;
  if (header.data_bytes != left) {
    throw malformed(name, "shape " + to_string(header.shape) + " of " + std::string(name_of(header.dtype)) +
                              " needs " + std::to_string(header.data_bytes) + " bytes, the file has " +
                              std::to_string(left));
  }
  return header;
}

Tensor read_data(const NpyHeader& header, const SequentialRead& read, const std::string& name,
                 const IoLimits& limits) {
  uint64_t bytes = header.data_bytes;
  if (header.dtype == DataType::string) {  // each string costs memory, even an empty one of type `<U0`
    const auto count = static_cast<uint64_t>(volume_of(header.shape));
    bytes = count > limits.max_array_bytes / 64 ? limits.max_array_bytes + 1
                                                : bytes + count * sizeof(std::string);
  }
  if (bytes > limits.max_array_bytes) {
    throw Error("io-limit", "`" + name + "` of shape " + to_string(header.shape) +
                                " is larger than the limit of " + std::to_string(limits.max_array_bytes) +
                                " bytes for one array");
  }
  const bool string = header.dtype == DataType::string;
  Tensor raw = string ? Tensor::uninitialized(DataType::u8, {static_cast<int64_t>(header.data_bytes)})
                      : Tensor::uninitialized(header.dtype, header.shape);
  std::byte* data = raw.mutable_bytes();
  read({data, static_cast<size_t>(header.data_bytes)});
  if (header.data_bytes == 0) return string ? read_strings(header, data, name) : raw;

  if (header.big_endian != (std::endian::native == std::endian::big)) {
    const size_t part = string ? 4 : is_complex(header.dtype) ? header.item_bytes / 2 : header.item_bytes;
    if (part > 1) reverse_items(data, static_cast<size_t>(header.data_bytes), part);
  }
  if (header.fortran_order && header.shape.size() > 1) {
    Tensor turned = Tensor::uninitialized(raw.dtype(), raw.shape());
    to_row_major(data, turned.mutable_bytes(), header.shape, header.item_bytes);
    raw = std::move(turned);
    data = raw.mutable_bytes();
  }
  if (string) return read_strings(header, data, name);
  if (header.dtype == DataType::boolean) {
    for (uint64_t i = 0; i < header.data_bytes; ++i)
      data[i] = static_cast<std::byte>(data[i] != std::byte{0});
  }
  return raw;
}

Encoded encode(const Tensor& tensor) {
  Encoded out;
  out.data = tensor;
  std::string descr;
  if (tensor.dtype() == DataType::string) {
    std::vector<std::vector<uint32_t>> points;
    size_t longest = 1;
    for (const std::string& text : tensor.strings()) {
      if (!is_utf8(text))
        throw Error("npy-text", "a string is not valid UTF-8 and cannot be written to .npy");
      points.push_back(code_points_of(text));
      longest = std::max(longest, points.back().size());
    }
    out.data =
        Tensor::zeros(DataType::u32, {static_cast<int64_t>(points.size()), static_cast<int64_t>(longest)});
    auto* to = out.data.mutable_data<uint32_t>();
    for (size_t i = 0; i < points.size(); ++i)
      std::copy(points[i].begin(), points[i].end(), to + i * longest);
    descr = "<U" + std::to_string(longest);
  } else if (tensor.dtype() == DataType::bf16) {
    out.data = Tensor::uninitialized(DataType::f32, tensor.shape());
    auto* to = out.data.mutable_data<float>();
    for (int64_t i = 0; i < tensor.size(); ++i) to[i] = static_cast<float>(tensor.data<BFloat16>()[i]);
  } else if (tensor.dtype() == DataType::complex32) {
    out.data = Tensor::uninitialized(DataType::complex64, tensor.shape());
    auto* to = out.data.mutable_data<float>();
    for (int64_t i = 0; i < 2 * tensor.size(); ++i) to[i] = static_cast<float>(tensor.data<Half>()[i]);
  }
  Shape shape = tensor.shape();
  if (is_block_quantized(tensor.dtype())) {
    shape.back() = shape.back() / static_cast<int64_t>(block_items(tensor.dtype())) *
                   static_cast<int64_t>(block_bytes(tensor.dtype()));
    descr = "|u1";
  } else if (descr.empty()) {
    const std::string_view kind = numpy_name_of(out.data.dtype());
    descr = (item_size(out.data.dtype()) == 1 ? "|" : "<") + std::string(kind);
  }
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (const int64_t extent : shape) text += std::to_string(extent) + ", ";
  if (!shape.empty()) text.erase(text.size() - (shape.size() == 1 ? 1 : 2));  // "(3,)" but "(2, 3)"
  text += "), }";
  text.append(63 - (kMagic.size() + 4 + text.size()) % 64, ' ');  // the data begins at a multiple of 64
  text += '\n';
  out.header = std::string(kMagic) + std::string("\x01\x00", 2);
  append_little_endian<uint16_t>(out.header, static_cast<uint16_t>(text.size()));
  out.header += text;
  return out;
}

}  // namespace npy

namespace {

Tensor read_from(const ByteSource& source, const IoLimits& limits) {
  uint64_t at = 0;
  const npy::SequentialRead read = [&](std::span<std::byte> to) {
    source.read_at(at, to);
    at += to.size();
  };
  const NpyHeader header = npy::read_header(read, source.size(), source.name());
  return npy::read_data(header, read, source.name(), limits);
}

}  // namespace

Tensor read_npy(ByteSpan bytes, const std::string& name, const IoLimits& limits) {
  return read_from(*memory_source(name, bytes), limits);
}

Tensor load_npy(const std::string& path, const IoLimits& limits) {
  return read_from(*open_file(path), limits);
}

NpyHeader peek_npy(const std::string& path) {
  const auto source = open_file(path);
  uint64_t at = 0;
  return npy::read_header(
      [&](std::span<std::byte> to) {
        source->read_at(at, to);
        at += to.size();
      },
      source->size(), path);
}

void write_npy(const ByteSink& sink, const Tensor& tensor) {
  const npy::Encoded encoded = npy::encode(tensor);
  sink(as_byte_span(encoded.header));
  sink({encoded.data.bytes(), encoded.data.byte_size()});
}

void save_npy(const std::string& path, const Tensor& tensor) {
  write_file(path, [&](const ByteSink& sink) { write_npy(sink, tensor); });
}

}  // namespace nnefrun
