// Where the members of an Archive lie. Internal to nnef_parser.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nnef_parser/archive.h"
#include "nnef_parser/safetensors.h"

namespace nnefrun {

// What a reader would do with a member, by its name.
enum class MemberKind { none, graph, quantization, tensor, safetensors, json, model };
MemberKind member_kind(std::string_view name);

// A name for messages: control characters replaced, long ones cut in the middle.
std::string shown_name(std::string_view name);

enum class NameFate { good, hidden, absolute, parent, empty };
// `name` without "./", doubled and trailing slashes.
NameFate normalize_member_name(std::string& name);

bool has_suffix(std::string_view name, std::string_view suffix);

// The bytes of one member: held in memory, or a part of a source that is read on demand, or (of a tensor file
// with a wrong header) only the beginning.
class StoredMember {
 public:
  StoredMember(std::string name, uint64_t size) : name_(std::move(name)), size_(size) {}
  void hold(std::shared_ptr<const void> owner, const std::byte* data) {
    held_ = std::move(owner);
    data_ = data;
    kept_ = size_;
  }
  void hold_start(std::shared_ptr<const std::byte> start, size_t bytes) {
    data_ = start.get();
    held_ = std::move(start);
    kept_ = bytes;
  }
  void leave_in(std::shared_ptr<const ByteSource> source, uint64_t offset) {
    source_ = std::move(source);
    offset_ = offset;
  }

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  // All bytes. What was read on demand is shared for as long as somebody holds it.
  Archive::Bytes bytes() const;
  Archive::Bytes part(uint64_t offset, uint64_t bytes) const;
  // The bytes of a tensor file; throws what its header deserves when the rest was not kept.
  Archive::Bytes tensor_bytes(const TensorFileOptions& options) const;

 private:
  std::string name_;
  uint64_t size_ = 0;
  uint64_t kept_ = 0;  // of size_, in memory
  std::shared_ptr<const void> held_;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const ByteSource> source_;
  uint64_t offset_ = 0;
  mutable std::mutex mutex_;
  mutable std::weak_ptr<const std::byte> recent_;
};

using MemberPointer = std::shared_ptr<const StoredMember>;

class ArchiveStore {
 public:
  ArchiveStore(std::string name, const ArchiveLimits& limits) : name_(std::move(name)), limits_(limits) {}
  virtual ~ArchiveStore() = default;
  ArchiveStore(const ArchiveStore&) = delete;
  ArchiveStore& operator=(const ArchiveStore&) = delete;

  // By its exact, normalised name; null when there is none.
  virtual MemberPointer find(const std::string& name) const = 0;
  // Names of the members that a reader knows.
  virtual std::vector<std::string> list() const = 0;

  const std::string& name() const { return name_; }
  const ArchiveLimits& limits() const { return limits_; }
  std::string default_graph = "graph.nnef";

  // find(), then in any case.
  MemberPointer find_loosely(const std::string& name) const;
  struct SafetensorsPlace {
    MemberPointer file;
    SafetensorsEntry entry;
  };
  // The entries of all safetensors members by tensor name; read when first needed.
  const std::map<std::string, SafetensorsPlace>& safetensors() const;

 private:
  std::string name_;
  ArchiveLimits limits_;
  mutable std::once_flag lowered_once_, safetensors_once_;
  mutable std::unordered_map<std::string, std::string> lowered_;  // lower case to the name
  mutable std::map<std::string, SafetensorsPlace> safetensors_;
};

// A list of members in memory or in a plain tar.
class ListStore final : public ArchiveStore {
 public:
  using ArchiveStore::ArchiveStore;
  // `member` null: the name is taken, its content of no interest. Throws Error[archive-member] when the name
  // is taken already.
  void add(const std::string& member_name, MemberPointer member);
  size_t size() const { return members_.size(); }
  MemberPointer find(const std::string& name) const override;
  std::vector<std::string> list() const override { return order_; }

 private:
  std::unordered_map<std::string, MemberPointer> members_;
  std::vector<std::string> order_;
};

std::shared_ptr<ArchiveStore> folder_store(const std::string& path, const ArchiveLimits& limits);
// The members of `parent` below `prefix` (which ends in "/").
std::shared_ptr<ArchiveStore> subfolder_store(std::shared_ptr<const ArchiveStore> parent,
                                              const std::string& prefix, const ArchiveLimits& limits);
// A tar; throws as Archive::open does.
std::shared_ptr<ArchiveStore> tar_store(std::shared_ptr<const ByteSource> source,
                                        const ArchiveLimits& limits);
std::shared_ptr<ArchiveStore> tar_store_of_standard_input(const ArchiveLimits& limits);

}  // namespace nnefrun
