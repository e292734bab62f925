// Reading tars. libarchive understands the headers (ustar, GNU, pax); this file decides what becomes of the
// data.
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "base/error.h"
#include "nnef_parser/archive_store.h"
#include "nnef_parser/byte_stream.h"

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
      : name_(source->name()), limits_(limits), source_(std::move(source)) {}
  // A stream: members are copied out of it. `packed` counts what was read before unpacking (null: nothing is
  // packed).
  TarReader(std::string name, std::unique_ptr<ByteStream> stream, const uint64_t* packed,
            const ArchiveLimits& limits)
      : name_(std::move(name)), limits_(limits), stream_(std::move(stream)), packed_(packed) {}

  std::shared_ptr<ListStore> read() {
    if (!archive_) throw Error("out-of-memory", "cannot start to read `" + name_ + "`");
    auto store = std::make_shared<ListStore>(name_, limits_);
    archive* a = archive_.get();
    archive_read_support_format_tar(a);
    archive_read_set_read_callback(a, &TarReader::supply);
    if (source_ != nullptr) archive_read_set_skip_callback(a, &TarReader::skip);
    archive_read_set_callback_data(a, this);
    check(archive_read_open1(a), "");
    archive_entry* entry = nullptr;
    while (true) {
      const int status = archive_read_next_header(a, &entry);
      if (status == ARCHIVE_EOF) break;
      check(status, "");
      member(entry, *store);
    }
    drain();
    return store;
  }

 private:
  static la_ssize_t supply(archive* a, void* self, const void** buffer) {
    auto* reader = static_cast<TarReader*>(self);
    try {
      return static_cast<la_ssize_t>(reader->next_piece(buffer));
    } catch (...) {  // not through C code
      reader->failure_ = std::current_exception();
      archive_set_error(a, EIO, "cannot read");
      return -1;
    }
  }
  static la_int64_t skip(archive*, void* self, la_int64_t bytes) {
    auto* reader = static_cast<TarReader*>(self);
    const uint64_t left = reader->source_->size() - reader->at_;
    const uint64_t skipped = std::min<uint64_t>(left, static_cast<uint64_t>(std::max<la_int64_t>(bytes, 0)));
    reader->at_ += skipped;
    return static_cast<la_int64_t>(skipped);
  }

  size_t next_piece(const void** buffer) {
    if (source_ == nullptr) {
      if (buffer_.empty()) buffer_.resize(kPiece);
      *buffer = buffer_.data();
      return stream_->read(buffer_);
    }
    piece_offset_ = at_;
    if (source_->memory() != nullptr) {
      piece_ = source_->memory() + at_;
      piece_size_ = static_cast<size_t>(source_->size() - at_);
    } else {
      // Members stay in the file: only headers are read here.
      constexpr size_t kHeaderPiece = size_t{1} << 14;
      if (buffer_.empty()) buffer_.resize(kHeaderPiece);
      piece_ = buffer_.data();
      piece_size_ = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), source_->size() - at_));
      source_->read_at(at_, {buffer_.data(), piece_size_});
    }
    at_ += piece_size_;
    *buffer = piece_;
    return piece_size_;
  }

  void check(int status, const std::string& member) {
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return;
    if (failure_) std::rethrow_exception(failure_);
    const char* text = archive_error_string(archive_.get());
    const std::string why = text != nullptr ? text : "no tar archive";
    const bool cut = why.find("runcated") != std::string::npos;
    const std::string where =
        "`" + name_ + "`" + (member.empty() ? "" : ", member `" + shown_name(member) + "`");
    if (cut) throw Error("archive-truncated", where + ": the archive is cut");
    throw Error("archive-malformed", where + " is no readable tar archive: " + why);
  }

  Error refuse(const std::string& member, const std::string& why) const {
    return Error("archive-member", "`" + name_ + "`: the member `" + shown_name(member) + "` " + why);
  }

  void member(archive_entry* entry, ListStore& store) {
    if (++members_ > limits_.max_members) {
      throw Error("archive-limit",
                  "`" + name_ + "` holds more than " + std::to_string(limits_.max_members) + " members");
    }
    const char* text = archive_entry_pathname(entry);
    if (text == nullptr) text = archive_entry_pathname_utf8(entry);  // a name that the locale cannot spell
    std::string name = text != nullptr ? text : "";
    if (name.size() > limits_.max_name_length) {
      throw refuse(name, "has a name of " + std::to_string(name.size()) + " characters, the limit is " +
                             std::to_string(limits_.max_name_length));
    }
    switch (normalize_member_name(name)) {
      case NameFate::hidden: return skip_data(entry, name);
      case NameFate::absolute: throw refuse(name, "has an absolute name");
      case NameFate::parent: throw refuse(name, "lies above the model");
      case NameFate::empty:
        if (archive_entry_filetype(entry) == AE_IFDIR) return;  // "./"
        throw refuse(name, "has no name");
      case NameFate::good: break;
    }
    if (archive_entry_hardlink(entry) != nullptr) throw refuse(name, "is a hard link");
    switch (archive_entry_filetype(entry)) {
      case AE_IFREG: break;
      case AE_IFDIR: return;
      case AE_IFLNK: throw refuse(name, "is a symbolic link");
      default: throw refuse(name, "is a device or a pipe");
    }
    if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0 ||
        archive_entry_sparse_count(entry) > 0) {
      throw refuse(name, "has no plain size");
    }
    const auto size = static_cast<uint64_t>(archive_entry_size(entry));
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
      return skip_data(entry, name);
    }
    auto stored = std::make_shared<StoredMember>(name, size);
    take_data(kind, *stored);
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

  void skip_data(archive_entry* entry, const std::string& name) {
    if (archive_entry_size(entry) > 0) check(archive_read_data_skip(archive_.get()), name);
  }

  // The next run of the member's data; false at its end.
  bool next_block(const std::string& name, ByteSpan& block) {
    const void* data = nullptr;
    size_t bytes = 0;
    la_int64_t offset = 0;
    while (true) {
      const int status = archive_read_data_block(archive_.get(), &data, &bytes, &offset);
      if (status == ARCHIVE_EOF) return false;
      check(status, name);
      if (bytes > 0) break;
    }
    block = {static_cast<const std::byte*>(data), bytes};
    return true;
  }

  void take_data(MemberKind kind, StoredMember& stored) {
    const uint64_t size = stored.size();
    const std::string& name = stored.name();
    ByteSpan block;
    if (size == 0 || !next_block(name, block)) {
      if (size > 0)
        throw Error("archive-truncated", "`" + name_ + "`: the member `" + shown_name(name) + "` is cut");
      stored.hold(nullptr, nullptr);
      return;
    }
    if (leave_in_source(stored, block)) {
      check(archive_read_data_skip(archive_.get()), name);
      return;
    }
    // The header of a tensor file first: a wrong one ends it here.
    std::vector<std::byte> start(block.begin(), block.end());
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(size, kTensorHeaderBytes));
    while (start.size() < wanted && next_block(name, block))
      start.insert(start.end(), block.begin(), block.end());
    if (kind == MemberKind::tensor && start.size() >= wanted && !header_is_good(start, stored)) {
      auto kept = allocate_bytes(wanted);
      std::memcpy(kept.get(), start.data(), wanted);
      stored.hold_start(std::move(kept), wanted);
      check(archive_read_data_skip(archive_.get()), name);
      return;
    }
    hold_all(stored, start);
  }

  bool header_is_good(const std::vector<std::byte>& start, const StoredMember& stored) const {
    try {
      check_tensor_header(ByteSpan(start).first(std::min(start.size(), kTensorHeaderBytes)), stored.size(),
                          stored.name());
      return true;
    } catch (const Error&) {
      return false;  // told again when somebody asks for the tensor
    }
  }

  bool leave_in_source(StoredMember& stored, ByteSpan first_block) {
    if (source_ == nullptr) return false;
    if (first_block.data() < piece_ || first_block.data() >= piece_ + piece_size_)
      return false;  // libarchive copied it
    const uint64_t offset = piece_offset_ + static_cast<uint64_t>(first_block.data() - piece_);
    if (stored.size() > source_->size() - offset) {
      throw Error("archive-truncated", "`" + name_ + "`: the member `" + shown_name(stored.name()) +
                                           "` claims " + std::to_string(stored.size()) + " bytes, " +
                                           std::to_string(source_->size() - offset) + " are left");
    }
    if (source_->memory() != nullptr) {
      stored.hold(source_, source_->memory() + offset);
    } else {
      stored.leave_in(source_, offset);
    }
    return true;
  }

  void hold_all(StoredMember& stored, const std::vector<std::byte>& start) {
    const auto size = static_cast<size_t>(stored.size());
    // No more memory at once than a cut or lying archive is worth; it grows as the data comes.
    constexpr size_t kTrusted = size_t{64} << 20;
    size_t capacity = std::min(size, kTrusted);
    auto buffer = allocate_bytes(capacity);
    size_t done = 0;
    const auto append = [&](ByteSpan block) {
      if (block.size() > size - done) throw refuse(stored.name(), "has more data than its size");
      if (block.size() > capacity - done) {
        capacity = std::min(size, std::max(capacity * 4, done + block.size()));
        auto larger = allocate_bytes(capacity);
        std::memcpy(larger.get(), buffer.get(), done);
        buffer = std::move(larger);
      }
      std::memcpy(buffer.get() + done, block.data(), block.size());
      done += block.size();
      check_expansion(block.size(), stored.name());
    };
    append(start);
    ByteSpan block;
    while (done < size && next_block(stored.name(), block)) append(block);
    if (done < size) {
      throw Error("archive-truncated",
                  "`" + name_ + "`: the member `" + shown_name(stored.name()) + "` is cut");
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
    if (stream_ == nullptr || packed_ == nullptr) return;
    uint64_t padding = 0;
    while (const size_t got = stream_->read(buffer_)) {
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
  std::vector<std::byte> buffer_;
  const std::byte* piece_ = nullptr;  // what libarchive got last, of source_
  size_t piece_size_ = 0;
  uint64_t piece_offset_ = 0, at_ = 0;
  uint64_t total_ = 0, held_ = 0;
  size_t members_ = 0;
  std::exception_ptr failure_;
  std::unique_ptr<archive, int (*)(archive*)> archive_{archive_read_new(), archive_read_free};
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
