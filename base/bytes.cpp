#include "base/bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/error.h"

namespace nnefrun {
namespace {

constexpr uintptr_t kPage = 4096, kLargePage = uintptr_t{2} << 20;

struct FreeBytes {
  std::align_val_t alignment;
  void operator()(std::byte* bytes) const { ::operator delete(bytes, alignment); }
};

Error unreadable(const std::string& name, const std::string& why) {
  return Error("file-unreadable", "cannot read `" + name + "`: " + why);
}

Error truncated(const std::string& name, uint64_t end, uint64_t size) {
  return Error("file-truncated", "`" + name + "` ends after " + std::to_string(size) +
                                     " bytes, expected at least " + std::to_string(end));
}

// About the whole pages between the two; what the system refuses is no loss.
void advise(const std::byte* begin, const std::byte* end, int advice) {
  static const uintptr_t page = std::max(kPage, static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE)));
  const uintptr_t first = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const uintptr_t last = reinterpret_cast<uintptr_t>(end) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, advice);
}

class FileSource final : public ByteSource {
 public:
  FileSource(std::string name, uint64_t size, int descriptor)
      : ByteSource(std::move(name), size), descriptor_(descriptor) {}
  ~FileSource() override { ::close(descriptor_); }

  void read_at(uint64_t offset, std::span<std::byte> to) const override {
    if (offset > size() || to.size() > size() - offset) throw truncated(name(), offset + to.size(), size());
    size_t done = 0;
    while (done < to.size()) {
      const ssize_t got =
          ::pread(descriptor_, to.data() + done, std::min<size_t>(to.size() - done, size_t{1} << 30),
                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw unreadable(name(), std::strerror(errno));
      if (got == 0) throw truncated(name(), offset + to.size(), offset + done);
      done += static_cast<size_t>(got);
    }
  }

 private:
  int descriptor_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, ByteSpan bytes, std::shared_ptr<const void> owner)
      : ByteSource(std::move(name), bytes.size()), bytes_(bytes), owner_(std::move(owner)) {}

  void read_at(uint64_t offset, std::span<std::byte> to) const override {
    if (offset > size() || to.size() > size() - offset) throw truncated(name(), offset + to.size(), size());
    if (!to.empty()) std::memcpy(to.data(), bytes_.data() + offset, to.size());
  }
  const std::byte* memory() const override { return bytes_.data(); }

 private:
  ByteSpan bytes_;
  std::shared_ptr<const void> owner_;
};

}  // namespace

std::shared_ptr<const ByteSource> open_file(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw unreadable(path, std::strerror(errno));
  struct stat status = {};
  const bool known = ::fstat(descriptor, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const std::string why = !known                    ? std::strerror(errno)
                            : S_ISDIR(status.st_mode) ? "it is a directory"
                                                      : "not a regular file";
    ::close(descriptor);
    throw unreadable(path, why);
  }
  return std::make_shared<FileSource>(path, static_cast<uint64_t>(status.st_size), descriptor);
}

std::shared_ptr<const ByteSource> memory_source(std::string name, ByteSpan bytes,
                                                std::shared_ptr<const void> owner) {
  return std::make_shared<MemorySource>(std::move(name), bytes, std::move(owner));
}

std::string read_text(const ByteSource& source, uint64_t max_bytes) {
  if (source.size() > max_bytes) {
    throw Error("file-limit", "`" + source.name() + "` has " + std::to_string(source.size()) +
                                  " bytes, the limit for a text is " + std::to_string(max_bytes));
  }
  std::string text(static_cast<size_t>(source.size()), '\0');
  source.read_at(0, {reinterpret_cast<std::byte*>(text.data()), text.size()});
  return text;
}

std::shared_ptr<std::byte> allocate_bytes(size_t bytes) {
  // Filling fresh 4 KiB pages costs more than copying into them; large pages, of which only whole ones are
  // taken, make a large buffer twice as fast to fill. What alignment leaves out is address space, not memory.
  const bool is_large = sizeof(void*) == 8 && bytes >= kLargePage;
  const std::align_val_t alignment{is_large ? kLargePage : 64};
  auto* memory = static_cast<std::byte*>(::operator new(std::max<size_t>(bytes, 1), alignment, std::nothrow));
  if (memory == nullptr) throw Error("out-of-memory", "cannot allocate " + std::to_string(bytes) + " bytes");
#ifdef MADV_HUGEPAGE
  if (is_large) advise(memory, memory + bytes, MADV_HUGEPAGE);
#endif
  return {memory, FreeBytes{alignment}};
}

bool is_allocated(const std::shared_ptr<const void>& owner) {
  return std::get_deleter<FreeBytes>(owner) != nullptr;
}

void release_pages(const std::byte* begin, const std::byte* end) {
#ifdef MADV_DONTNEED
  advise(begin, end, MADV_DONTNEED);
#endif
}

void populate_pages(std::byte* begin, std::byte* end) {
#ifdef __linux__
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, of Linux 5.14; older ones refuse it
  constexpr ptrdiff_t kWorthwhile = 16 * kPage;
  if (end - begin >= kWorthwhile) advise(begin, end, kPopulateWrite);
#endif
}

void use_small_pages(const std::byte* begin, const std::byte* end) {
#ifdef MADV_NOHUGEPAGE
  advise(begin, end, MADV_NOHUGEPAGE);
#endif
}

void use_large_pages(const std::byte* begin, const std::byte* end) {
#ifdef MADV_HUGEPAGE
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, of Linux 6.1; older ones refuse it
  advise(begin, end, MADV_HUGEPAGE);
  advise(begin, end, kCollapse);
#endif
}

void write_file(const std::string& path, const std::function<void(const ByteSink&)>& body) {
  const bool standard = path == "-";
  std::FILE* file = standard ? stdout : std::fopen(path.c_str(), "wb");
  const auto failure = [&] {
    return Error("file-unwritable",
                 "cannot write `" + (standard ? "standard output" : path) + "`: " + std::strerror(errno));
  };
  if (file == nullptr) throw failure();
  try {
    body([&](ByteSpan bytes) {
      if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) throw failure();
    });
    if (std::fflush(file) != 0) throw failure();
  } catch (...) {
    if (!standard) {
      std::fclose(file);
      std::remove(path.c_str());
    }
    throw;
  }
  if (!standard && std::fclose(file) != 0) throw failure();
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<uint8_t>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    if (length >= 3) {  // too long a form, a surrogate, or past U+10FFFF
      const auto second = static_cast<uint8_t>(text[i + 1]);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

}  // namespace nnefrun
