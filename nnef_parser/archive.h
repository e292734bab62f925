// Archive: the members of a model by name, wherever they come from (NNEF reference section 1; tract-opl 1).
//
// A model is a folder, a tar, a tar packed with gzip (or xz, zstd), the path of a graph.nnef, standard input
// ("-"), or members in memory. Packing is recognised by the first bytes. An archive is read once, from front
// to back, without temporary files. Tensors are decoded when they are asked for: in a folder and in a plain
// tar their bytes stay in the file until then, from a packed archive they are kept as one aligned buffer
// each, which the Tensor shares. Data of members that no reader knows, and of tensor files whose header is
// wrong, is never held.
//
// Names: a leading "./" goes, members with a hidden component (".git/x", "._w.dat") are left alone. Refused,
// with the member's name in the message: absolute names, "..", links, devices and pipes, two members of one
// name (Error[archive-member]), names that are too long, and what passes a limit (Error[archive-limit]). In a
// folder, symbolic links are followed only to files inside of it.
//
// An Archive is a handle: copies share everything. Reading from several threads is safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "nnef_parser/tensor_file.h"

namespace nnefrun {

// The defaults pass every real model and stop what only pretends to be one.
struct ArchiveLimits {
  uint64_t max_total_bytes = uint64_t{64} << 30;  // all members together, unpacked, also those that are
                                                  // skipped; of a folder, the files that are opened
  uint64_t max_member_bytes = uint64_t{32} << 30;  // one member
  uint64_t max_text_bytes = uint64_t{256} << 20;   // a graph.nnef, graph.quant or JSON
  size_t max_members = 100'000;
  size_t max_name_length = 1024;
  int max_depth = 4;  // sub-models in sub-models
  // Past `free_expansion` bytes held, a packed archive may not hold more than this many times what was read.
  // Trained weights pack to no less than a tenth; a bomb of gzip to a thousandth.
  uint64_t free_expansion = uint64_t{512} << 20;
  uint64_t max_expansion = 200;
};

// What the writers take: the bytes are those of `head`, then those of `tail`.
struct ArchiveMember {
  std::string name;
  std::string head;
  Tensor tail;  // only its bytes count
};
ArchiveMember text_member(std::string name, std::string text);
// `label`.dat, without leading slashes. Throws as encode_tensor_file does.
ArchiveMember tensor_member(std::string_view label, const Tensor& tensor, TensorFileForm form);

struct ArchiveText {
  std::string member;  // "graph.nnef"
  std::string text;
};

class ArchiveStore;  // where members lie: nnef_parser/archive_store.h

class Archive {
 public:
  // A folder, an archive or the path of a *.nnef text, which stands for its folder; "-" is standard input.
  // Throws Error[file-unreadable | archive-malformed | archive-truncated | archive-corrupt |
  // archive-compression | archive-member | archive-limit].
  static Archive open(const std::string& path, const ArchiveLimits& limits = {});
  // A tar, packed or not. Plain ones share the source's bytes.
  static Archive of_source(std::shared_ptr<const ByteSource> source, const ArchiveLimits& limits = {});
  // Members in memory. Throws Error[archive-member] for illegal and twin names.
  static Archive of_members(const std::string& name, const std::vector<ArchiveMember>& members,
                            const ArchiveLimits& limits = {});

  const std::string& name() const;  // for messages
  // Names of all members that a reader knows, in their order (a folder: sorted).
  std::vector<std::string> members() const;
  // The raw bytes of a member, or nothing. `Bytes` keeps them alive.
  struct Bytes {
    std::shared_ptr<const void> owner;
    ByteSpan span;
  };
  std::optional<Bytes> bytes(const std::string& member) const;
  std::optional<std::string> text(const std::string& member) const;

  // The *.nnef texts that are not in a sub-folder.
  std::vector<std::string> graphs() const;
  // The graph called `name` ("encoder" or "encoder.nnef"); "" is the one that open() was given, or
  // graph.nnef. Throws Error[graph-missing], whose notes list what there is.
  ArchiveText graph(const std::string& name = {}) const;
  // The quantisation file that goes with a graph's member: its own ("encoder.quant"), else graph.quant.
  std::optional<ArchiveText> quantization(const std::string& graph_member = "graph.nnef") const;

  // The tensor of a `variable` label: `label`.dat, then an entry of a *.safetensors. Tried exactly, without
  // leading slashes, then in any case. Nothing when there is none. Throws Error[tensor-label] for a label
  // that is empty or leaves the model, and the errors of read_tensor_file.
  std::optional<TensorFile> tensor(std::string_view label, const TensorFileOptions& options = {}) const;
  // All labels of .dat members and safetensors entries.
  std::vector<std::string> labels() const;

  // The model inside of this one called `label`: a member label.nnef.tar or .nnef.tgz, or a folder with a
  // graph.nnef.
  std::optional<Archive> submodel(std::string_view label) const;
  // The text of `id`.json.
  std::optional<std::string> json(std::string_view id) const;

 private:
  explicit Archive(std::shared_ptr<const ArchiveStore> store) : store_(std::move(store)) {}
  std::shared_ptr<const ArchiveStore> store_;
};

enum class ArchiveForm {
  automatic,  // by the path: .tgz and .gz packed; .tar and "-" plain; else a folder
  folder,
  tar,
  tgz,
};
// Writes the members in the given order, with mode 0644 and no dates: equal members give equal bytes. Throws
// Error[file-unwritable], Error[archive-member] for illegal or twin names.
void write_archive(const std::string& path, const std::vector<ArchiveMember>& members,
                   ArchiveForm form = ArchiveForm::automatic);

}  // namespace nnefrun
