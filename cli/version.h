#pragma once

#include <string>

namespace nnefrun::cli {

// The version, the instruction sets of the build and the NNEF version that it reads.
std::string version_text();

}  // namespace nnefrun::cli
