// NumPy's .npz files: a zip of .npy members, stored or deflated, with zip64 and data descriptors.
//
// The key of an array is its member's name without ".npy"; members of other kinds are left alone. The order
// of the members is kept. A zip without members is a valid, empty .npz. Refused, with Error[npz-malformed]: a
// zip that is cut, members that lie outside of the file, two arrays of one name, encryption, other
// compressions, a wrong checksum. Nothing is allocated for a size that the file is too small to hold.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/npy.h"

namespace nnefrun {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Lists the arrays first and reads them one by one, so that a caller can refuse by name, dtype or shape
// before an array costs memory. May be read from several threads.
class NpzReader {
 public:
  // Throws Error[file-unreadable | npz-malformed | io-limit].
  static NpzReader open(const std::string& path, const IoLimits& limits = {});
  NpzReader(std::shared_ptr<const ByteSource> source, const IoLimits& limits = {});

  size_t size() const { return members_.size(); }
  const std::string& name(size_t index) const { return members_[index].name; }
  // Index of the array of that name, or -1.
  int find(std::string_view name) const;
  // Throws Error[npy-malformed | npy-unsupported | npy-object | npz-malformed].
  NpyHeader header(size_t index) const;
  Tensor read(size_t index) const;

 private:
  struct Member {
    std::string name;
    uint64_t offset = 0;  // of the local header
    uint64_t packed = 0, unpacked = 0;
    uint32_t crc = 0;
    uint16_t method = 0;  // 0 stored, 8 deflated
  };
  void read_directory();
  uint64_t data_offset(const Member& member) const;

  std::shared_ptr<const ByteSource> source_;
  IoLimits limits_;
  std::vector<Member> members_;
};

NamedTensors load_npz(const std::string& path, const IoLimits& limits = {});
NamedTensors read_npz(ByteSpan bytes, const std::string& name, const IoLimits& limits = {});

// `path` "-" is standard output. Throws Error[file-unwritable | npy-text].
void save_npz(const std::string& path, const NamedTensors& items, bool deflate = false);
void write_npz(const ByteSink& sink, const NamedTensors& items, bool deflate = false);

}  // namespace nnefrun
