#include "nnef_parser/archive.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "nnef_parser/archive_store.h"
#include "nnef_parser/byte_stream.h"

namespace nnefrun {
namespace {

// The member's name without its last extension: what labels and ids are.
std::string without_extension(const std::string& name) { return name.substr(0, name.rfind('.')); }

// A label as a member's name without extension; nothing when no member can have it (a hidden component).
std::optional<std::string> member_of_label(std::string_view label) {
  std::string name(label.substr(std::min(label.find_first_not_of('/'), label.size())));
  switch (normalize_member_name(name)) {
    case NameFate::good: return name;
    case NameFate::hidden: return std::nullopt;
    case NameFate::empty: throw Error("tensor-label", "an empty label names no tensor");
    default: break;
  }
  throw Error("tensor-label", "the label `" + shown_name(label) + "` leads out of the model");
}

ArchiveLimits nested_limits(const ArchiveLimits& limits, const std::string& name) {
  ArchiveLimits inner = limits;
  if (--inner.max_depth < 0) {
    throw Error("archive-limit", "`" + shown_name(name) + "`: models inside of models are nested too deep");
  }
  return inner;
}

bool looks_like_tar(const ByteSource& source) {
  std::byte magic[5];
  if (source.size() < 512) return false;
  source.read_at(257, magic);
  return as_text(magic) == "ustar";
}

uint16_t item_type_of(DataType dtype) {
  return dtype == DataType::boolean ? 5 : is_signed_integer(dtype) ? 4 : is_unsigned_integer(dtype) ? 1 : 0;
}

TensorFile read_safetensors_entry(const ArchiveStore::SafetensorsPlace& place) {
  const SafetensorsEntry& entry = place.entry;
  if (!entry.unsupported.empty()) {
    throw Error("safetensors-type", "`" + shown_name(entry.name) + "` in `" + shown_name(place.file->name()) +
                                        "` has items of type " + entry.unsupported +
                                        ", which is not supported");
  }
  const Archive::Bytes bytes = place.file->part(entry.offset, entry.bytes);
  TensorFile out;
  out.info.item_type = item_type_of(entry.dtype);
  out.info.bits = static_cast<uint32_t>(8 * item_size(entry.dtype));
  const size_t alignment = is_complex(entry.dtype) ? item_size(entry.dtype) / 2 : item_size(entry.dtype);
  if (bytes.owner && entry.dtype != DataType::boolean &&
      reinterpret_cast<uintptr_t>(bytes.span.data()) % alignment == 0) {
    out.tensor = Tensor::wrap(entry.dtype, entry.shape, bytes.owner, bytes.span.data());
    return out;
  }
  out.tensor = Tensor::uninitialized(entry.dtype, entry.shape);
  std::byte* to = out.tensor.mutable_bytes();
  if (!bytes.span.empty()) std::memcpy(to, bytes.span.data(), bytes.span.size());
  if (entry.dtype == DataType::boolean) {
    for (size_t i = 0; i < bytes.span.size(); ++i) to[i] = static_cast<std::byte>(to[i] != std::byte{0});
  }
  return out;
}

}  // namespace

ArchiveMember text_member(std::string name, std::string text) {
  return {std::move(name), std::move(text), Tensor()};
}

ArchiveMember tensor_member(std::string_view label, const Tensor& tensor, TensorFileForm form) {
  EncodedTensorFile file = encode_tensor_file(tensor, form);
  const std::string_view trimmed = label.substr(std::min(label.find_first_not_of('/'), label.size()));
  return {std::string(trimmed) + ".dat", std::move(file.header), std::move(file.data)};
}

Archive Archive::open(const std::string& path, const ArchiveLimits& limits) {
  if (path == "-") return Archive(tar_store_of_standard_input(limits));
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return Archive(folder_store(path, limits));
  auto source = open_file(path);
  std::byte start[6] = {};
  const auto known = static_cast<size_t>(std::min<uint64_t>(source->size(), sizeof start));
  source->read_at(0, {start, known});
  if (has_suffix(path, ".nnef") && compression_of({start, known}) == Compression::none &&
      !looks_like_tar(*source)) {
    const std::filesystem::path graph(path);
    const std::string folder = graph.has_parent_path() ? graph.parent_path().string() : ".";
    auto store = folder_store(folder, limits);
    store->default_graph = graph.filename().string();
    return Archive(std::move(store));
  }
  return Archive(tar_store(std::move(source), limits));
}

Archive Archive::of_source(std::shared_ptr<const ByteSource> source, const ArchiveLimits& limits) {
  return Archive(tar_store(std::move(source), limits));
}

Archive Archive::of_members(const std::string& name, const std::vector<ArchiveMember>& members,
                            const ArchiveLimits& limits) {
  auto store = std::make_shared<ListStore>(name, limits);
  for (const ArchiveMember& member : members) {
    std::string member_name = member.name;
    if (normalize_member_name(member_name) != NameFate::good) {
      throw Error("archive-member", "`" + shown_name(member.name) + "` cannot be the name of a member");
    }
    const size_t size = member.head.size() + member.tail.byte_size();
    auto buffer = allocate_bytes(size);
    std::memcpy(buffer.get(), member.head.data(), member.head.size());
    if (member.tail.byte_size() > 0) {
      std::memcpy(buffer.get() + member.head.size(), member.tail.bytes(), member.tail.byte_size());
    }
    auto stored = std::make_shared<StoredMember>(member_name, size);
    const std::byte* data = buffer.get();
    stored->hold(std::move(buffer), data);
    store->add(member_name, std::move(stored));
  }
  return Archive(std::move(store));
}

const std::string& Archive::name() const { return store_->name(); }

std::vector<std::string> Archive::members() const { return store_->list(); }

std::optional<Archive::Bytes> Archive::bytes(const std::string& member) const {
  const MemberPointer found = store_->find(member);
  if (found == nullptr) return std::nullopt;
  return found->bytes();
}

std::optional<std::string> Archive::text(const std::string& member) const {
  const MemberPointer found = store_->find(member);
  if (found == nullptr) return std::nullopt;
  if (found->size() > store_->limits().max_text_bytes) {
    throw Error("archive-limit", "`" + shown_name(member) + "` has " + std::to_string(found->size()) +
                                     " bytes, the limit for a text is " +
                                     std::to_string(store_->limits().max_text_bytes));
  }
  return std::string(as_text(found->bytes().span));
}

std::vector<std::string> Archive::graphs() const {
  std::vector<std::string> out;
  for (const std::string& name : members()) {
    if (member_kind(name) == MemberKind::graph && name.find('/') == std::string::npos) out.push_back(name);
  }
  return out;
}

ArchiveText Archive::graph(const std::string& name) const {
  std::vector<std::string> candidates = {name, name + ".nnef"};
  if (name.empty()) candidates = {store_->default_graph};
  for (std::string& candidate : candidates) {
    if (!has_suffix(candidate, ".nnef") || normalize_member_name(candidate) != NameFate::good) continue;
    if (auto found = text(candidate)) return {candidate, std::move(*found)};
  }
  Error error("graph-missing",
              "`" + this->name() + "` holds no " +
                  (name.empty() ? store_->default_graph : "graph `" + shown_name(name) + "`"));
  std::string known;
  for (const std::string& graph : graphs()) known += (known.empty() ? "" : ", ") + shown_name(graph);
  if (!known.empty()) error.note("it holds the graphs " + known + "; choose one with --graph");
  throw error;
}

std::optional<ArchiveText> Archive::quantization(const std::string& graph_member) const {
  for (const std::string& name : {without_extension(graph_member) + ".quant", std::string("graph.quant")}) {
    if (auto found = text(name)) return ArchiveText{name, std::move(*found)};
  }
  return std::nullopt;
}

std::optional<TensorFile> Archive::tensor(std::string_view label, const TensorFileOptions& options) const {
  const std::optional<std::string> name = member_of_label(label);
  if (!name) return std::nullopt;
  const auto decode = [&](const MemberPointer& member) {
    const Bytes bytes = member->tensor_bytes(options);
    return read_tensor_file(bytes.span, shown_name(member->name()), options, bytes.owner);
  };
  if (const MemberPointer exact = store_->find(*name + ".dat")) return decode(exact);
  const auto& entries = store_->safetensors();
  auto entry = entries.find(std::string(label));
  if (entry == entries.end()) entry = entries.find(*name);
  if (entry != entries.end()) return read_safetensors_entry(entry->second);
  if (const MemberPointer loose = store_->find_loosely(*name + ".dat")) return decode(loose);
  return std::nullopt;
}

std::vector<std::string> Archive::labels() const {
  std::vector<std::string> out;
  for (const std::string& name : members()) {
    if (member_kind(name) == MemberKind::tensor) out.push_back(without_extension(name));
  }
  for (const auto& [name, place] : store_->safetensors()) out.push_back(name);
  return out;
}

std::optional<Archive> Archive::submodel(std::string_view label) const {
  const std::optional<std::string> name = member_of_label(label);
  if (!name) return std::nullopt;
  for (const char* extension : {".nnef.tar", ".nnef.tgz", ".nnef.tar.gz"}) {
    const MemberPointer member = store_->find(*name + extension);
    if (member == nullptr) continue;
    const ArchiveLimits limits = nested_limits(store_->limits(), *name);
    const Bytes bytes = member->bytes();
    return Archive(tar_store(memory_source(shown_name(member->name()), bytes.span, bytes.owner), limits));
  }
  if (store_->find(*name + "/graph.nnef") == nullptr) return std::nullopt;
  return Archive(subfolder_store(store_, *name + "/", nested_limits(store_->limits(), *name)));
}

std::optional<std::string> Archive::json(std::string_view id) const {
  const std::optional<std::string> name = member_of_label(id);
  return name ? text(*name + ".json") : std::nullopt;
}

}  // namespace nnefrun
