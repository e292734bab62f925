// Bytes from and to files, memory and the standard streams, for the file formats (io, nnef_parser). Not used
// by the runtime, which never opens a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nnefrun {

using ByteSpan = std::span<const std::byte>;

inline ByteSpan as_byte_span(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Little-endian integers at any alignment.
template <class T>
T load_little_endian(const std::byte* from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(value | static_cast<T>(static_cast<T>(std::to_integer<uint8_t>(from[i])) << (8 * i)));
  }
  return value;
}
template <class T>
void store_little_endian(std::byte* to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
}
template <class T>
void append_little_endian(std::string& to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) to += static_cast<char>((value >> (8 * i)) & 0xFF);
}

// Immutable bytes with random access. Several threads may read one source.
class ByteSource {
 public:
  ByteSource(std::string name, uint64_t size) : name_(std::move(name)), size_(size) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }  // for messages
  uint64_t size() const { return size_; }
  // Fills `to` from `offset` on. Throws Error[file-truncated] past the end, also when the file shrank
  // meanwhile (files are read, never mapped, so that a shrinking file cannot raise a signal),
  // Error[file-unreadable] on failure.
  virtual void read_at(uint64_t offset, std::span<std::byte> to) const = 0;
  // The whole content where it lies in memory, else null.
  virtual const std::byte* memory() const { return nullptr; }

 private:
  std::string name_;
  uint64_t size_;
};

// Throws Error[file-unreadable] unless `path` is a readable regular file (links are followed).
std::shared_ptr<const ByteSource> open_file(const std::string& path);
// Bytes kept alive by `owner` (null: by the caller).
std::shared_ptr<const ByteSource> memory_source(std::string name, ByteSpan bytes,
                                                std::shared_ptr<const void> owner = nullptr);
// The whole source as text. Throws Error[file-limit] when it is longer than max_bytes.
std::string read_text(const ByteSource& source, uint64_t max_bytes);

// 64-byte aligned memory, not initialised. Throws Error[out-of-memory].
std::shared_ptr<std::byte> allocate_bytes(size_t bytes);
// Whether allocate_bytes made what `owner` keeps.
bool is_allocated(const std::shared_ptr<const void>& owner);
// Gives the whole pages between `begin` and `end`, memory of allocate_bytes, back to the system; what they hold
// afterwards is unspecified.
void release_pages(const std::byte* begin, const std::byte* end);
// Memory of allocate_bytes that is about to be written: its pages come at once, which costs less than one by one.
void populate_pages(std::byte* begin, std::byte* end);
// For memory of allocate_bytes that is written here and there, while other memory is given back: pages come one by
// one. And when it is full, may be read often: the system makes large pages of them, if it can.
void use_small_pages(const std::byte* begin, const std::byte* end);
void use_large_pages(const std::byte* begin, const std::byte* end);

// Takes consecutive pieces.
using ByteSink = std::function<void(ByteSpan)>;
// Calls `body` with a sink into the file at `path`, or into standard output when it is "-". A file is removed
// again when `body` throws. Throws Error[file-unwritable].
void write_file(const std::string& path, const std::function<void(const ByteSink&)>& body);

// Valid UTF-8 without surrogates, nothing longer than needed, up to U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace nnefrun
