// Reading tars: TarHeaders finds the members; this file decides what becomes of their data.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "nnef_parser/archive_store.h"
#include "nnef_parser/byte_stream.h"
#include "nnef_parser/tar_headers.h"

namespace nnefrun {
namespace {

constexpr size_t kPiece = size_t{1} << 18;
// Padding after the end of the tar inside of a packed stream, read for the sake of its checksum.
constexpr uint64_t kMaxPadding = uint64_t{64} << 20;

// Counts what is read from the packed side.
class CountingStream final : public ByteStream {
 public:
  CountingStream(std::unique_ptr<ByteStream> inner, uint64_t& count)
      : inner_(std::move(inner)), count_(count) {}
  size_t read(std::span<std::byte> to) override {
    const size_t got = inner_->read(to);
    count_ += got;
    return got;
  }

 private:
  std::unique_ptr<ByteStream> inner_;
  uint64_t& count_;
};

// Bytes that were read ahead, then the rest.
class ReplayStream final : public ByteStream {
 public:
  ReplayStream(std::vector<std::byte> start, std::unique_ptr<ByteStream> rest)
      : start_(std::move(start)), rest_(std::move(rest)) {}
  size_t read(std::span<std::byte> to) override {
    if (at_ == start_.size()) return rest_->read(to);
    const size_t bytes = std::min(to.size(), start_.size() - at_);
    std::memcpy(to.data(), start_.data() + at_, bytes);
    at_ += bytes;
    return bytes;
  }

 private:
  std::vector<std::byte> start_;
  std::unique_ptr<ByteStream> rest_;
  size_t at_ = 0;
};

class TarReader {
 public:
  // A plain tar whose members can be left in the source.
  TarReader(std::shared_ptr<const ByteSource> source, const ArchiveLimits& limits)
      : name_(source->name()), limits_(limits), source_(std::move(source)), stream_(stream_of(source_)) {}
  // A stream: members are copied out of it. `packed` counts what was read before unpacking (null: nothing is
  // packed).
  TarReader(std::string name, std::unique_ptr<ByteStream> stream, const uint64_t* packed,
            const ArchiveLimits& limits)
      : name_(std::move(name)), limits_(limits), stream_(std::move(stream)), packed_(packed) {}

  std::shared_ptr<ListStore> read() {
    auto store = std::make_shared<ListStore>(name_, limits_);
    TarEntry entry;
    while (headers_.next(entry)) member(entry, *store);
    drain();
    return store;
  }

 private:
  Error refuse(const std::string& member, const std::string& why) const {
    return Error("archive-member", "`" + name_ + "`: the member `" + shown_name(member) + "` " + why);
  }

  void member(TarEntry& entry, ListStore& store) {
    if (++members_ > limits_.max_members) {
      throw Error("archive-limit",
                  "`" + name_ + "` holds more than " + std::to_string(limits_.max_members) + " members");
    }
    std::string& name = entry.name;
    if (name.size() > limits_.max_name_length) {
      throw refuse(name, "has a name of " + std::to_string(name.size()) + " characters, the limit is " +
                             std::to_string(limits_.max_name_length));
    }
    switch (normalize_member_name(name)) {
      case NameFate::hidden: return;
      case NameFate::absolute: throw refuse(name, "has an absolute name");
      case NameFate::parent: throw refuse(name, "lies above the model");
      case NameFate::empty:
        if (entry.kind == TarKind::folder) return;  // "./"
        throw refuse(name, "has no name");
      case NameFate::good: break;
    }
    switch (entry.kind) {
      case TarKind::file: break;
      case TarKind::folder: return;
      case TarKind::hard_link: throw refuse(name, "is a hard link");
      case TarKind::symbolic_link: throw refuse(name, "is a symbolic link");
      case TarKind::other: throw refuse(name, "is a device or a pipe");
    }
    if (!entry.plain_size) throw refuse(name, "has no plain size");
    const uint64_t size = entry.size;
    const MemberKind kind = member_kind(name);
    const bool is_text =
        kind == MemberKind::graph || kind == MemberKind::quantization || kind == MemberKind::json;
    const uint64_t most = is_text ? limits_.max_text_bytes : limits_.max_member_bytes;
    if (size > most) {
      check_not_cut(size, name);
      throw Error("archive-limit", "`" + name_ + "`: the member `" + shown_name(name) + "` has " +
                                       std::to_string(size) + " bytes, the limit is " + std::to_string(most));
    }
    count(size, name);
    if (kind == MemberKind::none) {
      store.add(name, nullptr);
      return;
    }
    auto stored = std::make_shared<StoredMember>(name, size);
    take_data(kind, entry, *stored);
    store.add(name, std::move(stored));
  }

  void count(uint64_t size, const std::string& name) {
    total_ += size;
    if (total_ > limits_.max_total_bytes) {
      check_not_cut(size, name);
      throw Error("archive-limit", "`" + name_ + "` unpacks to more than " +
                                       std::to_string(limits_.max_total_bytes) + " bytes at its member `" +
                                       shown_name(name) + "`");
    }
  }
  // A claimed size that the source cannot hold is a cut archive, not a large one.
  void check_not_cut(uint64_t size, const std::string& name) const {
    if (source_ != nullptr && size > source_->size()) {
      throw Error("archive-truncated", "`" + name_ + "`: the member `" + shown_name(name) + "` claims " +
                                           std::to_string(size) + " bytes, the archive has " +
                                           std::to_string(source_->size()));
    }
  }

  void take_data(MemberKind kind, const TarEntry& entry, StoredMember& stored) {
    if (entry.size == 0) return stored.hold(nullptr, nullptr);
    if (source_ != nullptr) return leave_in_source(entry, stored);
    // The header of a tensor file first: a wrong one ends it here.
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(entry.size, kTensorHeaderBytes));
    std::byte start[kTensorHeaderBytes];
    headers_.read({start, wanted});
    if (kind == MemberKind::tensor && !header_is_good({start, wanted}, stored)) {
      auto kept = allocate_bytes(wanted);
      std::memcpy(kept.get(), start, wanted);
      return stored.hold_start(std::move(kept), wanted);
    }
    hold_all(stored, {start, wanted});
  }

  bool header_is_good(ByteSpan start, const StoredMember& stored) const {
    try {
      check_tensor_header(start, stored.size(), stored.name());
      return true;
    } catch (const Error&) {
      return false;  // told again when somebody asks for the tensor
    }
  }

  void leave_in_source(const TarEntry& entry, StoredMember& stored) const {
    if (entry.size > source_->size() - entry.offset) {
      throw Error("archive-truncated", "`" + name_ + "`: the member `" + shown_name(stored.name()) +
                                           "` claims " + std::to_string(entry.size) + " bytes, " +
                                           std::to_string(source_->size() - entry.offset) + " are left");
    }
    if (source_->memory() != nullptr) {
      stored.hold(source_, source_->memory() + entry.offset);
    } else {
      stored.leave_in(source_, entry.offset);
    }
  }

  // Unpacks right into the place where the member stays. A member that lies about its size costs addresses,
  // not memory: pages exist when they are written.
  void hold_all(StoredMember& stored, ByteSpan start) {
    const auto size = static_cast<size_t>(stored.size());
    auto buffer = allocate_bytes(size);
    std::memcpy(buffer.get(), start.data(), start.size());
    for (size_t done = start.size(); done < size;) {
      const size_t bytes = std::min(size - done, kPiece);
      populate_pages(buffer.get() + done, buffer.get() + done + bytes);
      headers_.read({buffer.get() + done, bytes});
      done += bytes;
      check_expansion(bytes, stored.name());
    }
    const std::byte* data = buffer.get();
    stored.hold(std::move(buffer), data);
  }

  void check_expansion(size_t more, const std::string& name) {
    held_ += more;
    if (packed_ == nullptr || held_ <= limits_.free_expansion || held_ / limits_.max_expansion <= *packed_)
      return;
    throw Error("archive-limit", "`" + name_ + "` unpacks to more than " +
                                     std::to_string(limits_.max_expansion) +
                                     " times its size at its member `" + shown_name(name) +
                                     "`; if it is no bomb, raise the limit");
  }

  // Up to the end of the packed stream, where its checksum is.
  void drain() {
    if (packed_ == nullptr) return;
    uint64_t padding = 0;
    std::vector<std::byte> buffer(size_t{1} << 14);
    while (const size_t got = stream_->read(buffer)) {
      padding += got;
      if (padding > kMaxPadding) {
        throw Error("archive-limit", "`" + name_ + "` goes on for more than " + std::to_string(kMaxPadding) +
                                         " bytes after the end of its tar archive");
      }
    }
  }

  std::string name_;
  const ArchiveLimits& limits_;
  std::shared_ptr<const ByteSource> source_;
  std::unique_ptr<ByteStream> stream_;
  const uint64_t* packed_ = nullptr;
  TarHeaders headers_{name_, *stream_};
  uint64_t total_ = 0, held_ = 0;
  size_t members_ = 0;
};

std::shared_ptr<ListStore> read_stream(const std::string& name, std::unique_ptr<ByteStream> stream,
                                       Compression compression, const ArchiveLimits& limits) {
  uint64_t packed = 0;
  if (compression == Compression::none) return TarReader(name, std::move(stream), nullptr, limits).read();
  auto counting = std::make_unique<CountingStream>(std::move(stream), packed);
  return TarReader(name, unpacked(std::move(counting), compression, name), &packed, limits).read();
}

Error empty(const std::string& name) {
  return Error("archive-malformed", "`" + name + "` is empty, expected a model");
}

}  // namespace

std::shared_ptr<ArchiveStore> tar_store(std::shared_ptr<const ByteSource> source,
                                        const ArchiveLimits& limits) {
  std::byte start[6] = {};
  const auto known = static_cast<size_t>(std::min<uint64_t>(source->size(), sizeof start));
  if (known == 0) throw empty(source->name());
  source->read_at(0, {start, known});
  const Compression compression = compression_of({start, known});
  if (compression == Compression::none) return TarReader(std::move(source), limits).read();
  const std::string name = source->name();
  return read_stream(name, stream_of(std::move(source)), compression, limits);
}

std::shared_ptr<ArchiveStore> tar_store_of_standard_input(const ArchiveLimits& limits) {
  const std::string name = "standard input";
  auto input = standard_input_stream();
  std::vector<std::byte> start(6);
  size_t known = 0;
  while (known < start.size()) {
    const size_t got = input->read(std::span(start).subspan(known));
    if (got == 0) break;
    known += got;
  }
  if (known == 0) throw empty(name);
  start.resize(known);
  const Compression compression = compression_of(start);
  return read_stream(name, std::make_unique<ReplayStream>(std::move(start), std::move(input)), compression,
                     limits);
}

}  // namespace nnefrun
