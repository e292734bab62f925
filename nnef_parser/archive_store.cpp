#include "nnef_parser/archive_store.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/error.h"

namespace nnefrun {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string_view last_component(std::string_view name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

bool has_suffix(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

MemberKind member_kind(std::string_view name) {
  const std::string_view last = last_component(name);
  if (has_suffix(last, ".dat")) return MemberKind::tensor;
  if (has_suffix(last, ".nnef")) return MemberKind::graph;
  if (has_suffix(last, ".quant")) return MemberKind::quantization;
  if (has_suffix(last, ".safetensors")) return MemberKind::safetensors;
  if (has_suffix(last, ".json")) return MemberKind::json;
  if (has_suffix(last, ".nnef.tar") || has_suffix(last, ".nnef.tgz") || has_suffix(last, ".nnef.tar.gz")) {
    return MemberKind::model;
  }
  return MemberKind::none;
}

std::string shown_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  if (out.size() > 120) out = out.substr(0, 60) + "..." + out.substr(out.size() - 50);
  return out;
}

NameFate normalize_member_name(std::string& name) {
  if (!name.empty() && name[0] == '/') return NameFate::absolute;
  std::string out;
  bool hidden = false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view component = std::string_view(name).substr(begin, end - begin);
    begin = end + 1;
    if (component.empty() || component == ".") continue;
    if (component == "..") return NameFate::parent;
    hidden = hidden || component[0] == '.';
    if (!out.empty()) out += '/';
    out += component;
  }
  if (hidden) return NameFate::hidden;
  if (out.empty()) return NameFate::empty;
  name = std::move(out);
  return NameFate::good;
}

// StoredMember

Archive::Bytes StoredMember::part(uint64_t offset, uint64_t bytes) const {
  if (source_ == nullptr) return {held_, {data_ + offset, static_cast<size_t>(bytes)}};
  if (bytes > SIZE_MAX / 2)
    throw Error("out-of-memory", "`" + shown_name(name_) + "` does not fit in memory");
  const auto buffer = allocate_bytes(static_cast<size_t>(bytes));
  source_->read_at(offset_ + offset, {buffer.get(), static_cast<size_t>(bytes)});
  return {buffer, {buffer.get(), static_cast<size_t>(bytes)}};
}

Archive::Bytes StoredMember::bytes() const {
  if (source_ == nullptr) return part(0, kept_);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (auto recent = recent_.lock()) {
    const std::byte* data = recent.get();
    return {std::move(recent), {data, static_cast<size_t>(size_)}};
  }
  Archive::Bytes out = part(0, size_);
  recent_ = std::static_pointer_cast<const std::byte>(out.owner);
  return out;
}

Archive::Bytes StoredMember::tensor_bytes(const TensorFileOptions& options) const {
  const std::string shown = shown_name(name_);
  if (source_ != nullptr) {  // a wrong header must not cost the memory of what follows
    const Archive::Bytes start = part(0, std::min<uint64_t>(size_, kTensorHeaderBytes));
    check_tensor_header(start.span, size_, shown, options);
  } else if (kept_ < size_) {
    check_tensor_header({data_, static_cast<size_t>(kept_)}, size_, shown, options);
    throw Error("tensor-size", "`" + shown + "` was left out: its header is not one of a tensor file");
  }
  return bytes();
}

// ArchiveStore

MemberPointer ArchiveStore::find_loosely(const std::string& name) const {
  if (MemberPointer exact = find(name)) return exact;
  std::call_once(lowered_once_, [&] {
    for (const std::string& member : list()) lowered_.emplace(lower(member), member);
  });
  const auto found = lowered_.find(lower(name));
  return found == lowered_.end() ? nullptr : find(found->second);
}

const std::map<std::string, ArchiveStore::SafetensorsPlace>& ArchiveStore::safetensors() const {
  std::call_once(safetensors_once_, [&] {
    std::map<std::string, SafetensorsPlace> places;
    for (const std::string& name : list()) {
      if (member_kind(name) != MemberKind::safetensors) continue;
      const MemberPointer file = find(name);
      if (file == nullptr) continue;
      const std::string shown = shown_name(name);
      const Archive::Bytes length = file->part(0, std::min<uint64_t>(file->size(), 8));
      const uint64_t end = safetensors_directory_end(length.span, file->size(), shown);
      const Archive::Bytes start = file->part(0, end);
      for (SafetensorsEntry& entry : read_safetensors_directory(start.span, file->size(), shown)) {
        const std::string key = entry.name;
        if (!places.try_emplace(key, SafetensorsPlace{file, std::move(entry)}).second) {
          throw Error("archive-member", "two safetensors files hold a tensor `" + shown_name(key) + "`");
        }
      }
    }
    safetensors_ = std::move(places);
  });
  return safetensors_;
}

// ListStore

void ListStore::add(const std::string& member_name, MemberPointer member) {
  const bool known = member != nullptr;
  if (!members_.emplace(member_name, std::move(member)).second) {
    throw Error("archive-member",
                "`" + name() + "` holds two members named `" + shown_name(member_name) + "`");
  }
  if (known) order_.push_back(member_name);
}

MemberPointer ListStore::find(const std::string& name) const {
  const auto found = members_.find(name);
  return found == members_.end() ? nullptr : found->second;
}

// Folders

namespace {

namespace fs = std::filesystem;

class FolderStore final : public ArchiveStore {
 public:
  FolderStore(const std::string& path, const ArchiveLimits& limits) : ArchiveStore(path, limits) {
    std::error_code failed;
    root_ = fs::canonical(path, failed);
    if (failed) throw Error("file-unreadable", "cannot read `" + path + "`: " + failed.message());
  }

  MemberPointer find(const std::string& name) const override {
    std::error_code failed;
    const fs::path target = fs::canonical(root_ / name, failed);
    if (failed) {
      if (fs::is_symlink(fs::symlink_status(root_ / name, failed))) throw leads_out(name);
      return nullptr;
    }
    const auto [end, unused] = std::mismatch(root_.begin(), root_.end(), target.begin(), target.end());
    if (end != root_.end()) throw leads_out(name);
    if (fs::is_directory(target, failed)) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    MemberPointer& member = open_[name];
    if (member == nullptr) {
      auto source = open_file(target.string());
      if (source->size() > limits().max_member_bytes) {
        throw Error("archive-limit", "`" + shown_name(name) + "` has " + std::to_string(source->size()) +
                                         " bytes, the limit for one member is " +
                                         std::to_string(limits().max_member_bytes));
      }
      opened_bytes_ += source->size();
      if (opened_bytes_ > limits().max_total_bytes) {
        throw Error("archive-limit", "the files of `" + this->name() +
                                         "` that the model needs have more than " +
                                         std::to_string(limits().max_total_bytes) + " bytes together");
      }
      auto stored = std::make_shared<StoredMember>(name, source->size());
      stored->leave_in(std::make_shared<Reopened>(target.string(), source->size()), 0);
      member = std::move(stored);
    }
    return member;
  }

  std::vector<std::string> list() const override {
    std::vector<std::string> out;
    size_t seen = 0;
    std::error_code failed;
    fs::recursive_directory_iterator it(root_, fs::directory_options::skip_permission_denied, failed), end;
    for (; !failed && it != end; it.increment(failed)) {
      if (++seen > limits().max_members) {
        throw Error("archive-limit",
                    "`" + name() + "` holds more than " + std::to_string(limits().max_members) + " files");
      }
      const std::string last = it->path().filename().string();
      if (last[0] == '.' || it.depth() > 30) {
        it.disable_recursion_pending();
        continue;
      }
      std::error_code ignored;
      if (it->is_directory(ignored) || member_kind(last) == MemberKind::none) continue;
      out.push_back(it->path().lexically_relative(root_).generic_string());
    }
    if (failed) throw Error("file-unreadable", "cannot list `" + name() + "`: " + failed.message());
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  // Opened for each read, so that a model of many files needs no handle for each of them.
  class Reopened final : public ByteSource {
   public:
    using ByteSource::ByteSource;
    void read_at(uint64_t offset, std::span<std::byte> to) const override {
      open_file(name())->read_at(offset, to);
    }
  };

  Error leads_out(const std::string& name) const {
    return Error("archive-member", "`" + shown_name(name) + "` in `" + this->name() +
                                       "` is a link that does not lead to a file inside of the folder");
  }

  fs::path root_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, MemberPointer> open_;
  mutable uint64_t opened_bytes_ = 0;
};

class SubfolderStore final : public ArchiveStore {
 public:
  SubfolderStore(std::shared_ptr<const ArchiveStore> parent, const std::string& prefix,
                 const ArchiveLimits& limits)
      : ArchiveStore(parent->name() + ":" + prefix, limits), parent_(std::move(parent)), prefix_(prefix) {}

  MemberPointer find(const std::string& name) const override { return parent_->find(prefix_ + name); }
  std::vector<std::string> list() const override {
    std::vector<std::string> out;
    for (const std::string& name : parent_->list()) {
      if (name.size() > prefix_.size() && name.compare(0, prefix_.size(), prefix_) == 0) {
        out.push_back(name.substr(prefix_.size()));
      }
    }
    return out;
  }

 private:
  std::shared_ptr<const ArchiveStore> parent_;
  std::string prefix_;
};

}  // namespace

std::shared_ptr<ArchiveStore> folder_store(const std::string& path, const ArchiveLimits& limits) {
  return std::make_shared<FolderStore>(path, limits);
}

std::shared_ptr<ArchiveStore> subfolder_store(std::shared_ptr<const ArchiveStore> parent,
                                              const std::string& prefix, const ArchiveLimits& limits) {
  return std::make_shared<SubfolderStore>(std::move(parent), prefix, limits);
}

}  // namespace nnefrun
