// What a gzip file holds (RFC 1952, RFC 1951). Internal to nnef_parser.
#pragma once

#include <memory>
#include <string>

#include "nnef_parser/byte_stream.h"

namespace nnefrun {

// The unpacked bytes of `packed`, all members as one. Models are mostly numbers that do not get smaller, and
// many writers store them as they are: stored blocks are read right into place; from a member's first other
// block on, zlib does the rest. Throws Error[archive-truncated | archive-corrupt], also for a checksum or a
// length that is wrong, when the end of its member is reached. `name` is for messages.
std::unique_ptr<ByteStream> gunzipped(std::unique_ptr<ByteStream> packed, std::string name);

}  // namespace nnefrun
