#include "nnef_parser/tar_headers.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "nnef_parser/archive_store.h"

namespace nnefrun {
namespace {

// Names and pax records are short; what claims to be longer is no model.
constexpr uint64_t kMaxSpecial = uint64_t{1} << 20;

std::string_view field(const std::byte* block, size_t at, size_t width) {
  const std::string_view text = as_text({block + at, width});
  return text.substr(0, text.find('\0'));
}

// Octal digits between spaces, or (the first bit set) an integer in base 256.
std::optional<uint64_t> number(const std::byte* block, size_t at, size_t width) {
  uint64_t value = 0;
  if ((std::to_integer<unsigned>(block[at]) & 0x80) != 0) {
    if (std::to_integer<unsigned>(block[at]) != 0x80) return std::nullopt;  // negative, or beyond 64 bits
    for (size_t i = 1; i < width; ++i) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | std::to_integer<uint64_t>(block[at + i]);
    }
    return value;
  }
  std::string_view text = field(block, at, width);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  for (const char c : text.substr(0, text.find(' '))) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return value;
}

bool is_empty(ByteSpan block) {
  return std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Some old writers summed signed characters.
bool checksum_is_good(ByteSpan block) {
  constexpr size_t kAt = 148, kWidth = 8;
  const std::optional<uint64_t> expected = number(block.data(), kAt, kWidth);
  if (!expected) return false;
  int64_t of_unsigned = 0, of_signed = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kAt && i < kAt + kWidth;
    const auto byte = own ? uint8_t{' '} : std::to_integer<uint8_t>(block[i]);
    of_unsigned += byte;
    of_signed += static_cast<int8_t>(byte);
  }
  const auto sum = static_cast<int64_t>(*expected);
  return sum == of_unsigned || sum == of_signed;
}

}  // namespace

void TarHeaders::malformed(const std::string& why) const {
  throw Error("archive-malformed", "`" + name_ + "`" +
                                       (member_.empty() ? "" : ", after `" + shown_name(member_) + "`,") +
                                       " is no readable tar archive: " + why);
}

void TarHeaders::cut() const {
  throw Error("archive-truncated", "`" + name_ + "`" +
                                       (member_.empty() ? "" : ", member `" + shown_name(member_) + "`") +
                                       ": the archive is cut");
}

size_t TarHeaders::fill(std::span<std::byte> to) {
  size_t done = 0;
  while (done < to.size()) {
    const size_t got = stream_.read(to.subspan(done));
    if (got == 0) break;
    done += got;
  }
  at_ += done;
  return done;
}

void TarHeaders::read(std::span<std::byte> to) {
  if (to.size() > left_ || fill(to) < to.size()) cut();
  left_ -= to.size();
}

void TarHeaders::pass() {
  if (left_ > uint64_t{1} << 62) cut();
  const uint64_t rest = left_ + padding_, done = stream_.skip(rest);
  at_ += done;
  if (done < rest) cut();
  left_ = padding_ = 0;
}

bool TarHeaders::next_block(std::byte (&block)[kBlock]) {
  const size_t got = fill(block);
  if (got < kBlock) {
    if (first_) malformed("it is shorter than the header of a member");
    if (got > 0) cut();
    return false;
  }
  if (is_empty(block)) return false;
  if (!checksum_is_good(block)) malformed("the checksum of a header is wrong");
  first_ = false;
  const std::optional<uint64_t> size = number(block, 124, 12);
  left_ = size.value_or(0);
  padding_ = (kBlock - left_ % kBlock) % kBlock;
  return true;
}

std::string TarHeaders::special_data() {
  if (left_ > kMaxSpecial) malformed("a header of " + std::to_string(left_) + " bytes");
  std::string data(static_cast<size_t>(left_), '\0');
  read({reinterpret_cast<std::byte*>(data.data()), data.size()});
  pass();
  return data;
}

// "LENGTH KEY=VALUE\n", where the length counts itself.
void TarHeaders::take_pax(const std::string& records, Extended& extended) const {
  std::string_view rest = records;
  while (!rest.empty() && rest[0] != '\0') {
    size_t length = 0;
    const auto [end, status] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<size_t>(end - rest.data());
    if (status != std::errc() || length > rest.size() || length < digits + 3 || rest[digits] != ' ' ||
        rest[length - 1] != '\n')
      malformed("its pax records are damaged");
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) malformed("its pax records are damaged");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") {
      extended.name = value;
    } else if (key == "size") {
      const auto [stop, bad] = std::from_chars(value.data(), value.data() + value.size(), extended.size);
      if (bad != std::errc() || stop != value.data() + value.size()) malformed("its pax size is no number");
      extended.has_size = true;
    } else if (key.substr(0, 11) == "GNU.sparse.") {
      extended.sparse = true;
    }
  }
}

bool TarHeaders::next(TarEntry& entry) {
  pass();
  Extended extended;
  std::byte block[kBlock];
  while (true) {
    if (!next_block(block)) return false;
    const char type = static_cast<char>(block[156]);
    if (type == 'L') {
      const std::string data = special_data();
      extended.name = data.substr(0, data.find('\0'));
    } else if (type == 'x' || type == 'X') {
      take_pax(special_data(), extended);
    } else if (type == 'K' || type == 'g' || type == 'V') {
      pass();  // a long target of a link, what holds for all members, the name of a tape
    } else {
      break;
    }
  }
  const bool numeric = number(block, 124, 12).has_value();
  entry = TarEntry();
  entry.name = field(block, 0, 100);
  if (as_text({block + 257, 6}) == std::string_view("ustar\0", 6) && !field(block, 345, 155).empty()) {
    entry.name = std::string(field(block, 345, 155)) + "/" + entry.name;
  }
  if (!extended.name.empty()) entry.name = extended.name;
  if (extended.has_size) {
    left_ = extended.size;
    padding_ = (kBlock - left_ % kBlock) % kBlock;
  }
  switch (static_cast<char>(block[156])) {
    case '1': entry.kind = TarKind::hard_link; break;
    case '2': entry.kind = TarKind::symbolic_link; break;
    case '3':
    case '4':
    case '6': entry.kind = TarKind::other; break;
    case '5': entry.kind = TarKind::folder; break;
    case 'S': extended.sparse = true; break;
    default:
      if (!entry.name.empty() && entry.name.back() == '/') entry.kind = TarKind::folder;
      break;
  }
  if (entry.kind != TarKind::file) left_ = padding_ = 0;
  entry.size = left_;
  entry.offset = at_;
  entry.plain_size = !extended.sparse && (numeric || extended.has_size);
  member_ = entry.name;
  return true;
}

}  // namespace nnefrun
