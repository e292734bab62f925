// The members of a tar as they come: ustar, the tars before it, GNU's long names, pax. Internal to
// nnef_parser.
//
// Read by the project itself, so that the command loads neither libarchive nor what hangs on it for the
// packings that models come in.
#pragma once

#include <string>

#include "nnef_parser/byte_stream.h"

namespace nnefrun {

enum class TarKind { file, folder, hard_link, symbolic_link, other };

struct TarEntry {
  std::string name;
  TarKind kind = TarKind::file;
  uint64_t size = 0;       // of the data that follows
  uint64_t offset = 0;     // of that data in the tar
  bool plain_size = true;  // false: sparse, or a size that is no number
};

class TarHeaders {
 public:
  // `name` is for messages.
  TarHeaders(std::string name, ByteStream& stream) : name_(std::move(name)), stream_(stream) {}

  // Passes what is left of the last member; false at the end of the tar, with or without its two empty
  // blocks. Throws Error[archive-malformed] for what is no tar, Error[archive-truncated] for one that is cut.
  bool next(TarEntry& entry);
  // The next bytes of the member's data. Throws Error[archive-truncated] when there are fewer.
  void read(std::span<std::byte> to);

 private:
  static constexpr size_t kBlock = 512;
  struct Extended {  // what headers of headers say about the next one
    std::string name;
    bool has_size = false, sparse = false;
    uint64_t size = 0;
  };

  size_t fill(std::span<std::byte> to);
  void pass();
  bool next_block(std::byte (&block)[kBlock]);
  std::string special_data();
  void take_pax(const std::string& records, Extended& extended) const;
  [[noreturn]] void malformed(const std::string& why) const;
  [[noreturn]] void cut() const;

  std::string name_;
  ByteStream& stream_;
  std::string member_;  // for messages
  uint64_t at_ = 0, left_ = 0, padding_ = 0;
  bool first_ = true;
};

}  // namespace nnefrun
