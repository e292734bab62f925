#include "cli/model.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "engine/rewrites/rewrite.h"
#include "kernels/isa.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"

// A sanitizer's shadow memory is larger than any limit.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NNEFRUN_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NNEFRUN_SANITIZED 1
#endif
#endif

namespace nnefrun::cli {
namespace {

std::string isa_list() {
  int count = 0;
  const kernels::IsaName* names = kernels::isa_names(&count);
  std::string out;
  for (int i = 0; i < count; ++i) {
    if (!kernels::supports(kernels::detected_isa(), names[i].features)) continue;
    out += (out.empty() ? "" : ", ") + std::string(names[i].name);
  }
  return out;
}

[[noreturn]] void refuse_isa(const std::string& who, const std::string& name, kernels::IsaStatus status) {
  throw Failure{kWrongUsage, Error("usage", who + (status == kernels::IsaStatus::unknown
                                                       ? ": there is no instruction set called `" + name + "`"
                                                       : ": this machine cannot run `" + name + "`"))
                                 .note("this machine runs: " + isa_list())};
}

// Parser, rewrites and planner are half of the program's text, and no run needs them. Pages of text come back
// from the file's cache when somebody calls what is in them; until then they are not the process's memory.
// Not in builds to debug: breakpoints would go, too.
void forget_text() {
#if defined(__GLIBC__) && defined(NDEBUG)
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void*) {
        const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& segment = object->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 || (segment.p_flags & PF_W) != 0)
            continue;
          const uintptr_t begin = object->dlpi_addr + segment.p_vaddr,
                          first = (begin + page - 1) / page * page,
                          last = (begin + segment.p_memsz) / page * page;
          if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
        }
        return 0;
      },
      nullptr);
#endif
}

// Whether `name` stands in the text as a word of its own.
bool mentions_word(const std::string& text, const std::string& name) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const bool begins = at == 0 || !is_word(text[at - 1]);
    const size_t end = at + name.size();
    if (begins && (end == text.size() || !is_word(text[end]))) return true;
  }
  return false;
}

}  // namespace

void check_symbols(const Archive& archive, const Graph& graph, const Options& options) {
  for (const auto& symbol : options.symbols) {
    const auto& known = graph.symbols;
    if (std::find(known.begin(), known.end(), symbol.first) != known.end()) continue;
    // Models of before `tract_symbol` use symbols that they do not declare.
    if (mentions_word(archive.graph(options.graph).text, symbol.first)) continue;
    Error error("symbol-unknown", "--set: the model has no symbol `" + symbol.first + "`");
    std::string names;
    for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
    throw std::move(error).note(names.empty() ? "it has no symbols" : "its symbols are: " + names);
  }
}

namespace {

// The passes of the pipeline, found by sending an empty graph through it.
std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  CompileOptions probe;
  probe.after_pass = [&](const std::string& pass, const Graph&, int64_t, double) { names.push_back(pass); };
  rewrite_graph(Graph(), Stage::optimized, probe);
  return names;
}

void require_name(const std::string& flag, const std::string& name, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  std::string names;
  for (const std::string& other : known) names += (names.empty() ? "" : ", ") + other;
  throw Failure{
      kWrongUsage,
      Error("usage", flag + ": there is nothing called `" + name + "`").note("there are: " + names)};
}

void check_names(const Options& options) {
  if (options.disabled.empty() && options.dump_after.empty()) return;
  std::vector<std::string> names = pass_names();
  if (!options.dump_after.empty() && options.dump_after != "all") {
    require_name("--dump-after", options.dump_after, names);
  }
  names.emplace_back(kBlockedLayouts);
  for (const Rewrite* rewrite : all_rewrites()) names.emplace_back(rewrite->name);
  for (const std::string& name : options.disabled) require_name("--disable", name, names);
}

void dump_passes(CompileOptions& compile, const std::string& wanted) {
  if (wanted.empty()) return;
  compile.after_pass = [wanted](const std::string& pass, const Graph& after, int64_t applied,
                                double seconds) {
    if (pass != wanted && wanted != "all") return;
    const std::string text = print_graph(after).text;
    std::fprintf(stderr, "# after %s: %lld patches, %s\n%s\n", pass.c_str(), static_cast<long long>(applied),
                 time_text(seconds * 1e9).c_str(), text.c_str());
  };
}

// A backstop for what no room accounts for: allocations far beyond the limit fail, instead of waking the
// kernel's killer. Mapped files do not count.
void limit_address_space(uint64_t bytes) {
#if !defined(NNEFRUN_SANITIZED)
  constexpr uint64_t kSlack = uint64_t{512} << 20;
  rlimit limit{};
  if (getrlimit(RLIMIT_DATA, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, bytes + kSlack);
  setrlimit(RLIMIT_DATA, &limit);
#endif
}

}  // namespace

void apply_isa(const Options& options) {
  if (const char* name = std::getenv("NNEFRUN_ISA"); name != nullptr && options.isa.empty()) {
    const auto status = kernels::environment_isa_status();
    if (status != kernels::IsaStatus::ok) refuse_isa("NNEFRUN_ISA", name, status);
  }
  if (options.isa.empty()) return;
  const auto status = kernels::force_isa(options.isa.c_str());
  if (status != kernels::IsaStatus::ok) refuse_isa("--isa", options.isa, status);
}

uint64_t memory_limit(const Options& options) {
  if (options.limits.memory) return *options.limits.memory;
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  uint64_t machine =
      pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : uint64_t{4} << 30;
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    uint64_t group = 0;
    if (std::ifstream(path) >> group && group > 0) machine = std::min(machine, group);
  }
  return machine / 4 * 3;
}

Archive open_archive(const Options& options) {
  return guarded_value<Archive>(kModelRefused, [&] {
    limit_address_space(memory_limit(options));
    ArchiveLimits limits;
    limits.max_total_bytes = options.limits.archive;
    limits.max_member_bytes = options.limits.member;
    limits.max_text_bytes = options.limits.text;
    limits.max_members = static_cast<size_t>(options.limits.members);
    if (options.limits.memory) {
      limits.max_total_bytes = std::min(limits.max_total_bytes, *options.limits.memory);
      limits.max_member_bytes = std::min(limits.max_member_bytes, *options.limits.memory);
    }
    return Archive::open(options.model, limits);
  });
}

CompileOptions compile_options(const Options& options) {
  check_names(options);
  CompileOptions compile;
  compile.dialect = options.dialect;
  compile.graph_name = options.graph;
  compile.set_symbols = options.symbols;
  compile.optimize = options.optimize;
  compile.disabled = options.disabled;
  compile.max_rewrites = options.max_rewrites;
  compile.winograd = options.winograd;
  compile.fast = options.fast;
  compile.max_nodes = options.limits.nodes;
  compile.to_the_letter = options.verb == Verb::check && options.dialect == Dialect::khronos;
  dump_passes(compile, options.dump_after);
  return compile;
}

Graph load_typed_graph(const Archive& archive, const Options& options, Dialect* dialect) {
  return guarded_value<Graph>(kModelRefused, [&] {
    const CompileOptions compile = compile_options(options);
    Document document = parse_graph(archive, compile);
    if (dialect != nullptr) *dialect = document.dialect;
    if (options.via_text == Stage::parsed) {
      ParseOptions parse;
      parse.dialect =
          document.strict || document.dialect != Dialect::khronos ? document.dialect : Dialect::automatic;
      const std::string member = *document.source->file;
      document = parse_document(print(document), member, parse);
    }
    Graph graph = import_graph(document, archive, compile);
    check_symbols(archive, graph, options);
    if (!options.via_text || *options.via_text == Stage::parsed) return graph;
    return reload_graph(print_graph(rewrite_graph(std::move(graph), *options.via_text, compile)));
  });
}

std::shared_ptr<const CompiledModel> load_model(const Options& options) {
  const CompileOptions compile = compile_options(options);
  std::optional<Archive> archive = open_archive(options);
  return guarded_value<std::shared_ptr<const CompiledModel>>(kModelRefused, [&] {
    Dialect dialect = Dialect::automatic;
    Graph graph = load_typed_graph(*archive, options, &dialect);
    archive.reset();  // so that weights go as they are packed
    forget_text();
    auto model = compile_graph(std::move(graph), compile, dialect);
#ifdef __GLIBC__
    malloc_trim(0);  // what loading left between the weights
#endif
    forget_text();
    return model;
  });
}

Session start_session(std::shared_ptr<const CompiledModel> model, const Options& options) {
  return guarded_value<Session>(kModelRefused, [&] {
    SessionOptions session;
    session.memory_limit = static_cast<size_t>(memory_limit(options));
    session.threads = options.threads;
    return Session(std::move(model), session);
  });
}

}  // namespace nnefrun::cli
