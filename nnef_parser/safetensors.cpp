#include "nnef_parser/safetensors.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "base/error.h"

namespace nnefrun {
namespace {

constexpr uint64_t kMaxDirectory = 100'000'000;

Error malformed(const std::string& name, const std::string& why) {
  return Error("safetensors-malformed", "`" + name + "` is no valid safetensors file: " + why);
}

struct TypeRow {
  std::string_view name;
  DataType dtype;
};
constexpr TypeRow kTypes[] = {
    {"BOOL", DataType::boolean}, {"U8", DataType::u8},        {"I8", DataType::i8},
    {"U16", DataType::u16},      {"I16", DataType::i16},      {"F16", DataType::f16},
    {"BF16", DataType::bf16},    {"U32", DataType::u32},      {"I32", DataType::i32},
    {"F32", DataType::f32},      {"U64", DataType::u64},      {"I64", DataType::i64},
    {"F64", DataType::f64},      {"C64", DataType::complex64}};

// Just the JSON that the format allows; its depth is fixed, so nothing recurses.
class DirectoryParser {
 public:
  DirectoryParser(std::string_view text, uint64_t data_begin, uint64_t data_bytes, const std::string& name)
      : text_(text), data_begin_(data_begin), data_bytes_(data_bytes), name_(name) {}

  std::vector<SafetensorsEntry> run() {
    std::vector<SafetensorsEntry> out;
    std::unordered_set<std::string> names;
    object([&](std::string key) {
      if (!names.insert(key).second) throw malformed(name_, "`" + key + "` occurs twice");
      if (key == "__metadata__") {
        object([&](const std::string&) { string(); });
      } else {
        out.push_back(entry(std::move(key)));
      }
    });
    if (peek() != '\0') throw malformed(name_, "text after its directory");
    return out;
  }

 private:
  char peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void expect(char c) {
    if (peek() != c)
      throw malformed(
          name_, std::string("expected `") + c + "` at byte " + std::to_string(at_) + " of its directory");
    ++at_;
  }
  template <class Read>
  void object(const Read& read) {
    expect('{');
    if (peek() == '}') {
      ++at_;
      return;
    }
    while (true) {
      std::string key = string();
      expect(':');
      read(std::move(key));
      if (peek() != ',') break;
      ++at_;
    }
    expect('}');
  }
  std::string string() {
    expect('"');
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_++];
      if (c != '\\') {
        out += c;
        continue;
      }
      c = at_ < text_.size() ? text_[at_++] : '\0';
      switch (c) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case '"':
        case '\\':
        case '/': out += c; break;
        case 'u': unicode(out); break;
        default: throw malformed(name_, "an unknown escape in its directory");
      }
    }
    expect('"');
    if (!is_utf8(out)) throw malformed(name_, "a name that is no UTF-8");
    return out;
  }
  uint32_t four_digits() {
    uint32_t value = 0;
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (status != std::errc() || digits.size() < 4 || end != digits.data() + 4)
      throw malformed(name_, "a broken \\u escape");
    at_ += 4;
    return value;
  }
  void unicode(std::string& out) {
    static constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
    uint32_t point = four_digits();
    if (point >= 0xD800 && point < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const uint32_t low = four_digits();
      if (low < 0xDC00 || low > 0xDFFF) throw malformed(name_, "a broken \\u escape");
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    // A lone surrogate becomes invalid UTF-8, which string() refuses.
    if (point < 0x80) {
      out += static_cast<char>(point);
      return;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    out += static_cast<char>(kLead[more] | (point >> (6 * more)));
    for (int i = more; i-- > 0;) out += static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3F));
  }
  uint64_t number() {
    peek();
    uint64_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (status != std::errc())
      throw malformed(name_, "expected a number at byte " + std::to_string(at_) + " of its directory");
    at_ += static_cast<size_t>(end - begin);
    return value;
  }
  std::vector<uint64_t> numbers() {
    std::vector<uint64_t> out;
    expect('[');
    if (peek() == ']') {
      ++at_;
      return out;
    }
    while (true) {
      out.push_back(number());
      if (out.size() > 64) throw malformed(name_, "a list of more than 64 numbers");
      if (peek() != ',') break;
      ++at_;
    }
    expect(']');
    return out;
  }

  SafetensorsEntry entry(std::string key) {
    SafetensorsEntry out;
    out.name = std::move(key);
    std::string dtype;
    std::vector<uint64_t> offsets;
    bool has_shape = false;
    object([&](const std::string& field) {
      if (field == "dtype") {
        dtype = string();
      } else if (field == "shape") {
        has_shape = true;
        for (const uint64_t extent : numbers()) {
          if (extent > INT64_MAX)
            throw malformed(name_, "`" + out.name + "` has an extent that does not fit in 64 bits");
          out.shape.push_back(static_cast<int64_t>(extent));
        }
      } else if (field == "data_offsets") {
        offsets = numbers();
      } else {
        throw malformed(name_, "`" + out.name + "` has an unknown field `" + field + "`");
      }
    });
    if (dtype.empty() || !has_shape || offsets.size() != 2) {
      throw malformed(name_, "`" + out.name + "` needs dtype, shape and two data_offsets");
    }
    if (offsets[0] > offsets[1] || offsets[1] > data_bytes_) {
      throw malformed(name_, "`" + out.name + "` lies at bytes " + std::to_string(offsets[0]) + " to " +
                                 std::to_string(offsets[1]) + " of " + std::to_string(data_bytes_));
    }
    out.offset = data_begin_ + offsets[0];
    out.bytes = offsets[1] - offsets[0];
    out.unsupported = dtype;
    for (const TypeRow& row : kTypes) {
      if (row.name != dtype) continue;
      out.dtype = row.dtype;
      out.unsupported.clear();
      size_t needed = 0;
      try {
        needed = byte_size_of(out.dtype, out.shape);
      } catch (const Error& error) {
        throw malformed(name_, "`" + out.name + "`: " + error.message());
      }
      if (needed != out.bytes) {
        throw malformed(name_, "`" + out.name + "` of shape " + to_string(out.shape) + " needs " +
                                   std::to_string(needed) + " bytes, it has " + std::to_string(out.bytes));
      }
    }
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
  uint64_t data_begin_, data_bytes_;
  const std::string& name_;
};

// The format wants the tensors one right after the other, from the directory to the end of the file: nothing
// can hide between them, and no byte belongs to two.
void require_full_cover(const std::vector<SafetensorsEntry>& entries, uint64_t begin, uint64_t end,
                        const std::string& name) {
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
  });
  uint64_t at = begin;
  std::string before = "the directory";
  for (const SafetensorsEntry* entry : order) {
    if (entry->offset < at) throw malformed(name, before + " and `" + entry->name + "` overlap");
    if (entry->offset > at) {
      throw malformed(name, "a hole of " + std::to_string(entry->offset - at) + " bytes between " + before +
                                " and `" + entry->name + "`");
    }
    at = entry->offset + entry->bytes;
    before = "`" + entry->name + "`";
  }
  if (at != end) {
    throw malformed(name, "a hole of " + std::to_string(end - at) + " bytes between " + before +
                              " and the end of the file");
  }
}

}  // namespace

uint64_t safetensors_directory_end(ByteSpan first_eight, uint64_t size, const std::string& name) {
  if (size < 8 || first_eight.size() < 8) throw malformed(name, "only " + std::to_string(size) + " bytes");
  const auto length = load_little_endian<uint64_t>(first_eight.data());
  if (length > size - 8) {
    throw malformed(
        name, "a directory of " + std::to_string(length) + " bytes in a file of " + std::to_string(size));
  }
  if (length > kMaxDirectory) throw malformed(name, "a directory of more than 100 MB");
  return 8 + length;
}

std::vector<SafetensorsEntry> read_safetensors_directory(ByteSpan start, uint64_t size,
                                                         const std::string& name) {
  const ByteSpan text = start.subspan(8);
  std::vector<SafetensorsEntry> entries =
      DirectoryParser(as_text(text), start.size(), size - start.size(), name).run();
  require_full_cover(entries, start.size(), size, name);
  return entries;
}

}  // namespace nnefrun
