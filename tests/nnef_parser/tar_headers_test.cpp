#include "nnef_parser/tar_headers.h"

#include <archive.h>
#include <archive_entry.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"
#include "nnef_parser/archive.h"

using namespace nnefrun;

namespace {

struct File {
  std::string name, data;
};

// What libarchive makes of the files in one of its formats.
std::string tar_of(const std::vector<File>& files, int (*set_format)(archive*)) {
  std::string out(1 << 20, '\0');
  size_t used = 0;
  archive* a = archive_write_new();
  set_format(a);
  archive_write_open_memory(a, out.data(), out.size(), &used);
  for (const File& file : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, file.name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(file.data.size()));
    REQUIRE(archive_write_header(a, entry) >= ARCHIVE_WARN);  // it warns of accents
    archive_write_data(a, file.data.data(), file.data.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
  out.resize(used);
  return out;
}

std::vector<File> files_of(const std::string& tar) {
  auto stream = stream_of(memory_source("model", as_byte_span(tar)));
  TarHeaders headers("model", *stream);
  std::vector<File> out;
  TarEntry entry;
  while (headers.next(entry)) {
    File file{entry.name, std::string(entry.size, '\0')};
    if (entry.offset + entry.size <= tar.size()) CHECK(entry.plain_size);
    headers.read({reinterpret_cast<std::byte*>(file.data.data()), file.data.size()});
    out.push_back(std::move(file));
  }
  return out;
}

std::string code_of(const std::string& tar) {
  try {
    files_of(tar);
  } catch (const Error& error) {
    return error.code();
  }
  return "fine";
}

// A header without its checksum, which `sealed` adds.
std::string header(const std::string& name, uint64_t size, char type) {
  std::string h(512, '\0');
  h.replace(0, name.size(), name);
  std::string digits(12, '\0');
  for (size_t i = 11; i-- > 0; size /= 8) digits[i] = static_cast<char>('0' + size % 8);
  h.replace(124, 12, digits);
  h[156] = type;
  return h;
}
std::string sealed(std::string h) {
  h.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  for (size_t i = 6; i-- > 0; sum /= 8) h[148 + i] = static_cast<char>('0' + sum % 8);
  h[154] = '\0';
  return h;
}
std::string padded(std::string data) {
  data.resize((data.size() + 511) / 512 * 512, '\0');
  return data;
}

}  // namespace

TEST_CASE("tar: every form that libarchive writes comes back", "[tar]") {
  const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'e') + "/w.dat";
  const std::vector<File> short_names = {
      {"graph.nnef", "text"}, {"a/b.dat", std::string(1500, 'x')}, {"c", ""}};
  std::vector<File> long_names = short_names;
  long_names.push_back({deep, "deep"});
  std::vector<File> longest = long_names;
  longest.push_back({std::string(300, 'n') + ".dat", std::string(512, 'y')});
  longest.push_back({"h\xC3\xA9.dat", "accent"});
  const auto check = [](const std::vector<File>& files, int (*set_format)(archive*)) {
    const std::vector<File> found = files_of(tar_of(files, set_format));
    REQUIRE(found.size() == files.size());
    for (size_t i = 0; i < files.size(); ++i) {
      CHECK(found[i].name == files[i].name);
      CHECK(found[i].data == files[i].data);
    }
  };
  check(short_names, archive_write_set_format_v7tar);
  check(long_names, archive_write_set_format_ustar);
  check(longest, archive_write_set_format_gnutar);
  check(longest, archive_write_set_format_pax);
  check(longest, archive_write_set_format_pax_restricted);
}

TEST_CASE("tar: what is written is read by libarchive", "[tar]") {
  const std::string deep = std::string(150, 'd') + "/h\xC3\xA9";
  const std::vector<ArchiveMember> members = {text_member("graph.nnef", "text"), text_member(deep, "deep"),
                                              text_member("empty", "")};
  for (const ArchiveForm form : {ArchiveForm::tar, ArchiveForm::tgz}) {
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    write_archive("/proc/self/fd/" + std::to_string(fileno(file)), members, form);
    archive* a = archive_read_new();
    archive_read_support_format_tar(a);
    archive_read_support_filter_gzip(a);
    std::rewind(file);
    REQUIRE(archive_read_open_FILE(a, file) == ARCHIVE_OK);
    archive_entry* entry = nullptr;
    for (const ArchiveMember& member : members) {
      REQUIRE(archive_read_next_header(a, &entry) >= ARCHIVE_WARN);
      const char* name = archive_entry_pathname_utf8(entry);
      CHECK(std::string(name != nullptr ? name : archive_entry_pathname(entry)) == member.name);
      CHECK(archive_entry_filetype(entry) == AE_IFREG);
      std::string data(64, '\0');
      data.resize(static_cast<size_t>(archive_read_data(a, data.data(), data.size())));
      CHECK(data == member.head);
    }
    CHECK(archive_read_next_header(a, &entry) == ARCHIVE_EOF);
    archive_read_free(a);
    std::fclose(file);
  }
}

TEST_CASE("tar: headers of headers, sizes in base 256, kinds", "[tar]") {
  const std::string end(1024, '\0');
  std::string large = header("w", 0, '0');
  large.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x03", 12));
  CHECK(files_of(sealed(large) + padded("abc") + end).at(0).data == "abc");
  const std::string records = "13 size=0003\n16 path=a/b.dat\n30 mtime=1350244992.023960108\n";
  const auto with_pax =
      files_of(sealed(header("x", records.size(), 'x')) + padded(records) + sealed(header("w", 0, '0')) +
               padded("abc") + sealed(header("v", 0, '0')) + end);
  REQUIRE(with_pax.size() == 2);
  CHECK(with_pax[0].name == "a/b.dat");
  CHECK(with_pax[0].data == "abc");
  CHECK(with_pax[1].name == "v");  // it holds for one member
  auto stream_text = sealed(header("d", 0, '5')) + sealed(header("e/", 0, '0')) +
                     sealed(header("l", 9, '2')) + sealed(header("h", 0, '1')) + sealed(header("p", 0, '6')) +
                     sealed(header("s", 0, 'S')) + end;
  auto stream = stream_of(memory_source("model", as_byte_span(stream_text)));
  TarHeaders headers("model", *stream);
  TarEntry entry;
  for (const TarKind kind : {TarKind::folder, TarKind::folder, TarKind::symbolic_link, TarKind::hard_link,
                             TarKind::other, TarKind::file}) {
    REQUIRE(headers.next(entry));
    CHECK(entry.kind == kind);
    CHECK(entry.plain_size == (entry.name != "s"));  // a sparse file
  }
  CHECK_FALSE(headers.next(entry));
}

TEST_CASE("tar: what is damaged is refused", "[tar]") {
  const std::string end(1024, '\0');
  CHECK(code_of(end) == "fine");
  CHECK(code_of("") == "archive-malformed");
  CHECK(code_of(header("w", 0, '0') + end) == "archive-malformed");  // no checksum
  for (const std::string& records :
       {std::string("99 path=a\n"), std::string("9 path=a"), std::string("x"), std::string("4 a\n"),
        std::string("12 size=12x\n"), std::string("99999999999999999999999 path=a\n")}) {
    INFO(records);
    CHECK(code_of(sealed(header("x", records.size(), 'x')) + padded(records) + sealed(header("w", 0, '0')) +
                  end) == "archive-malformed");
  }
  CHECK(code_of(sealed(header("x", uint64_t{2} << 20, 'x')) + end) == "archive-malformed");
  CHECK(code_of(sealed(header("L", 600, 'L')) + end.substr(0, 512)) == "archive-truncated");
  CHECK(code_of(sealed(header("w", 600, '0')) + end.substr(0, 512)) == "archive-truncated");
  std::string negative = header("w", 0, '0');
  negative.replace(124, 12, std::string(12, '\xFF'));
  auto text = sealed(negative) + end;
  auto stream = stream_of(memory_source("model", as_byte_span(text)));
  TarHeaders headers("model", *stream);
  TarEntry entry;
  REQUIRE(headers.next(entry));
  CHECK_FALSE(entry.plain_size);
}
