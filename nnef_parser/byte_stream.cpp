#include "nnef_parser/byte_stream.h"

#include <archive.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>

#include "base/error.h"
#include "nnef_parser/gzip_stream.h"

namespace nnefrun {
namespace {

constexpr size_t kPiece = size_t{1} << 16;

class SourceStream final : public ByteStream {
 public:
  explicit SourceStream(std::shared_ptr<const ByteSource> source) : source_(std::move(source)) {}
  size_t read(std::span<std::byte> to) override {
    const auto bytes = static_cast<size_t>(std::min<uint64_t>(to.size(), source_->size() - at_));
    source_->read_at(at_, to.first(bytes));
    at_ += bytes;
    return bytes;
  }
  uint64_t skip(uint64_t bytes) override {
    const uint64_t passed = std::min(bytes, source_->size() - at_);
    at_ += passed;
    return passed;
  }

 private:
  std::shared_ptr<const ByteSource> source_;
  uint64_t at_ = 0;
};

class StandardInputStream final : public ByteStream {
 public:
  size_t read(std::span<std::byte> to) override {
    while (true) {
      const ssize_t got = ::read(STDIN_FILENO, to.data(), to.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR)
        throw Error("file-unreadable", std::string("cannot read standard input: ") + std::strerror(errno));
    }
  }
};

// What FilterStream calls of libarchive. The library and the dozen that it needs are loaded when a model is
// packed in a way that zlib does not know; null where there is none.
struct Libarchive {
  decltype(&archive_read_new) read_new;
  decltype(&archive_read_free) read_free;
  decltype(&archive_read_support_filter_xz) support_xz;
  decltype(&archive_read_support_filter_zstd) support_zstd;
  decltype(&archive_read_support_format_raw) support_raw;
  decltype(&archive_read_set_read_callback) set_read_callback;
  decltype(&archive_read_set_callback_data) set_callback_data;
  decltype(&archive_read_open1) open;
  decltype(&archive_read_next_header) next_header;
  decltype(&archive_read_data) read_data;
  decltype(&archive_set_error) set_error;
  decltype(&archive_error_string) error_string;

  static const Libarchive* find() {
    static const std::optional<Libarchive> found = load();
    return found ? &*found : nullptr;
  }

 private:
  static std::optional<Libarchive> load() {
    void* library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::nullopt;
    Libarchive l = {};
    bool whole = true;
    const auto get = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      whole = whole && function != nullptr;
    };
    get(l.read_new, "archive_read_new");
    get(l.read_free, "archive_read_free");
    get(l.support_xz, "archive_read_support_filter_xz");
    get(l.support_zstd, "archive_read_support_filter_zstd");
    get(l.support_raw, "archive_read_support_format_raw");
    get(l.set_read_callback, "archive_read_set_read_callback");
    get(l.set_callback_data, "archive_read_set_callback_data");
    get(l.open, "archive_read_open1");
    get(l.next_header, "archive_read_next_header");
    get(l.read_data, "archive_read_data");
    get(l.set_error, "archive_set_error");
    get(l.error_string, "archive_error_string");
    return whole ? std::optional<Libarchive>(l) : std::nullopt;
  }
};

// xz and zstd, unpacked by libarchive.
class FilterStream final : public ByteStream {
 public:
  FilterStream(std::unique_ptr<ByteStream> packed, Compression compression, std::string name)
      : packed_(std::move(packed)), name_(std::move(name)), buffer_(kPiece) {
    if (l_ != nullptr) archive_ = {l_->read_new(), l_->read_free};
    // Anything but ARCHIVE_OK means that libarchive lacks the library and would start a program instead.
    const int status = !archive_                        ? ARCHIVE_FATAL
                       : compression == Compression::xz ? l_->support_xz(archive_.get())
                                                        : l_->support_zstd(archive_.get());
    if (status != ARCHIVE_OK) {
      throw Error("archive-compression",
                  "`" + name_ + "` is compressed with " + (compression == Compression::xz ? "xz" : "zstd") +
                      ", which needs libarchive (libarchive.so.13) with support for it; use gzip or no "
                      "compression");
    }
    l_->support_raw(archive_.get());
    l_->set_read_callback(archive_.get(), &FilterStream::supply);
    l_->set_callback_data(archive_.get(), this);
    archive_entry* entry = nullptr;
    check(l_->open(archive_.get()));
    check(l_->next_header(archive_.get(), &entry));
  }

  size_t read(std::span<std::byte> to) override {
    const la_ssize_t got = l_->read_data(archive_.get(), to.data(), to.size());
    if (got < 0) check(ARCHIVE_FATAL);
    return static_cast<size_t>(got);
  }

 private:
  static la_ssize_t supply(archive* a, void* self, const void** buffer) {
    auto* stream = static_cast<FilterStream*>(self);
    try {
      *buffer = stream->buffer_.data();
      return static_cast<la_ssize_t>(stream->packed_->read(stream->buffer_));
    } catch (...) {  // not through C code
      stream->failure_ = std::current_exception();
      stream->l_->set_error(a, EIO, "cannot read");
      return -1;
    }
  }
  void check(int status) {
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return;
    if (failure_) std::rethrow_exception(failure_);
    const char* why = l_->error_string(archive_.get());
    throw Error("archive-corrupt",
                "`" + name_ + "` cannot be unpacked: " + (why != nullptr ? why : "corrupt data"));
  }

  const Libarchive* l_ = Libarchive::find();
  std::unique_ptr<ByteStream> packed_;
  std::string name_;
  std::vector<std::byte> buffer_;
  std::exception_ptr failure_;
  std::unique_ptr<archive, int (*)(archive*)> archive_{nullptr, nullptr};
};

}  // namespace

uint64_t ByteStream::skip(uint64_t bytes) {
  std::byte buffer[4096];
  uint64_t done = 0;
  while (done < bytes) {
    const size_t got = read({buffer, static_cast<size_t>(std::min<uint64_t>(bytes - done, sizeof buffer))});
    if (got == 0) break;
    done += got;
  }
  return done;
}

std::unique_ptr<ByteStream> stream_of(std::shared_ptr<const ByteSource> source) {
  return std::make_unique<SourceStream>(std::move(source));
}

std::unique_ptr<ByteStream> standard_input_stream() { return std::make_unique<StandardInputStream>(); }

Compression compression_of(ByteSpan start) {
  const std::string_view text = as_text(start);
  const auto begins = [&](std::string_view magic) { return text.substr(0, magic.size()) == magic; };
  if (begins("\x1F\x8B")) return Compression::gzip;
  if (begins(std::string_view("\xFD"
                              "7zXZ\0",
                              6)))
    return Compression::xz;
  if (begins("\x28\xB5\x2F\xFD")) return Compression::zstd;
  if (begins("BZh")) return Compression::bzip2;
  if (begins("PK\x03\x04") || begins("PK\x05\x06")) return Compression::zip;
  return Compression::none;
}

std::unique_ptr<ByteStream> unpacked(std::unique_ptr<ByteStream> packed, Compression compression,
                                     std::string name) {
  switch (compression) {
    case Compression::none: return packed;
    case Compression::gzip: return gunzipped(std::move(packed), std::move(name));
    case Compression::xz:
    case Compression::zstd:
      return std::make_unique<FilterStream>(std::move(packed), compression, std::move(name));
    case Compression::bzip2:
      throw Error("archive-compression",
                  "`" + name + "` is compressed with bzip2; use gzip or no compression");
    case Compression::zip: break;
  }
  throw Error("archive-compression", "`" + name + "` is a zip file; a model is a folder, a .tar or a .tgz");
}

}  // namespace nnefrun
