// Writing models: folders, tars and packed tars.
#include <archive.h>
#include <archive_entry.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <unordered_set>

#include "base/error.h"
#include "nnef_parser/archive_store.h"

namespace nnefrun {
namespace {

void write_folder(const std::string& path, const std::vector<ArchiveMember>& members) {
  for (const ArchiveMember& member : members) {
    const std::filesystem::path target = std::filesystem::path(path) / member.name;
    std::error_code failed;
    std::filesystem::create_directories(target.parent_path(), failed);
    if (failed) {
      throw Error("file-unwritable",
                  "cannot make the folder `" + target.parent_path().string() + "`: " + failed.message());
    }
    write_file(target.string(), [&](const ByteSink& sink) {
      sink(as_byte_span(member.head));
      sink({member.tail.bytes(), member.tail.byte_size()});
    });
  }
}

class TarWriter {
 public:
  TarWriter(const ByteSink& sink, bool packed)
      : sink_(sink), archive_(archive_write_new(), archive_write_free) {
    archive* a = archive_.get();
    if (a == nullptr) throw Error("out-of-memory", "cannot start to write an archive");
    check(archive_write_set_format_pax_restricted(a));  // ustar wherever it suffices
    if (packed) {
      check(archive_write_add_filter_gzip(a));
      check(archive_write_set_filter_option(a, "gzip", "timestamp", nullptr));
    }
    check(archive_write_set_bytes_in_last_block(a, 1));
    check(archive_write_open(a, this, nullptr, &TarWriter::take, nullptr));
  }

  void add(const ArchiveMember& member) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                         archive_entry_free);
    archive_entry_set_pathname(entry.get(), member.name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_size(entry.get(),
                           static_cast<la_int64_t>(member.head.size() + member.tail.byte_size()));
    check(archive_write_header(archive_.get(), entry.get()));
    write(as_byte_span(member.head));
    write({member.tail.bytes(), member.tail.byte_size()});
  }
  void close() { check(archive_write_close(archive_.get())); }

 private:
  static la_ssize_t take(archive* a, void* self, const void* data, size_t bytes) {
    auto* writer = static_cast<TarWriter*>(self);
    try {
      writer->sink_({static_cast<const std::byte*>(data), bytes});
      return static_cast<la_ssize_t>(bytes);
    } catch (...) {  // not through C code
      if (!writer->failure_) writer->failure_ = std::current_exception();
      archive_set_error(a, EIO, "cannot write");
      return -1;
    }
  }
  void write(ByteSpan bytes) {
    while (!bytes.empty()) {
      const la_ssize_t done = archive_write_data(archive_.get(), bytes.data(), bytes.size());
      if (done <= 0) check(ARCHIVE_FATAL);
      bytes = bytes.subspan(static_cast<size_t>(done));
    }
  }
  void check(int status) {
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return;
    if (failure_) std::rethrow_exception(failure_);
    const char* why = archive_error_string(archive_.get());
    throw Error("file-unwritable",
                std::string("cannot write the archive: ") + (why != nullptr ? why : "unknown reason"));
  }

  const ByteSink& sink_;
  std::exception_ptr failure_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
};

}  // namespace

void write_archive(const std::string& path, const std::vector<ArchiveMember>& members, ArchiveForm form) {
  std::vector<ArchiveMember> checked = members;
  std::unordered_set<std::string> names;
  for (ArchiveMember& member : checked) {
    if (normalize_member_name(member.name) != NameFate::good) {
      throw Error("archive-member", "`" + shown_name(member.name) + "` cannot be the name of a member");
    }
    if (!names.insert(member.name).second) {
      throw Error("archive-member", "two members are named `" + shown_name(member.name) + "`");
    }
  }
  if (form == ArchiveForm::automatic) {
    form = has_suffix(path, ".tgz") || has_suffix(path, ".gz") ? ArchiveForm::tgz
           : path == "-" || has_suffix(path, ".tar")           ? ArchiveForm::tar
                                                               : ArchiveForm::folder;
  }
  if (form == ArchiveForm::folder) return write_folder(path, checked);
  write_file(path, [&](const ByteSink& sink) {
    TarWriter writer(sink, form == ArchiveForm::tgz);
    for (const ArchiveMember& member : checked) writer.add(member);
    writer.close();
  });
}

}  // namespace nnefrun
