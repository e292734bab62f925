// Bytes one after the other, as an archive is read: files, memory, standard input, and what is unpacked from
// them.
#pragma once

#include <cstddef>
#include <memory>

#include "base/bytes.h"

namespace nnefrun {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills the beginning of `to`; 0 only at the end (or when `to` is empty). Throws Error[file-unreadable |
  // archive-truncated | archive-corrupt].
  virtual size_t read(std::span<std::byte> to) = 0;
  // Passes so many bytes, less only at the end; tells how many.
  virtual uint64_t skip(uint64_t bytes);
};

std::unique_ptr<ByteStream> stream_of(std::shared_ptr<const ByteSource> source);
std::unique_ptr<ByteStream> standard_input_stream();

enum class Compression { none, gzip, xz, zstd, bzip2, zip };
// By the first bytes (six are enough).
Compression compression_of(ByteSpan start);

// The unpacked bytes of `packed`; gzip streams of several members are one. `name` is for messages. Checksums
// and lengths are verified when the end is reached. Throws Error[archive-compression] for bzip2, zip, and for
// xz and zstd where there is no libarchive that unpacks them: it is looked for when it is needed.
std::unique_ptr<ByteStream> unpacked(std::unique_ptr<ByteStream> packed, Compression compression,
                                     std::string name);

}  // namespace nnefrun
