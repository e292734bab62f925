// The checksum of gzip (RFC 1952): CRC-32 with the reflected polynomial 0xEDB88320. Internal to nnef_parser.
#pragma once

#include "base/bytes.h"

namespace nnefrun {

// Of what `crc` is the checksum of (0: of nothing), followed by `bytes`.
uint32_t crc32_of(uint32_t crc, ByteSpan bytes);

}  // namespace nnefrun
