// nnefrun: the command. It turns every failure into an Error on standard error and an exit status.
#include <malloc.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cli/common.h"

using namespace nnefrun;
using namespace nnefrun::cli;

namespace {

int dispatch(const Options& options) {
  switch (options.verb) {
    case Verb::run: return run_verb(options);
    case Verb::check: return check_verb(options);
    case Verb::info: return info_verb(options);
    case Verb::print: return print_verb(options);
    case Verb::bench: return bench_verb(options);
    case Verb::profile: return profile_verb(options);
    case Verb::ops: return ops_verb(options);
    case Verb::kernels: return kernels_verb(options);
    case Verb::quantize: return quantize_verb(options);
  }
  return kWrongUsage;
}

bool wants_json_errors(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json-errors") == 0) return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  process_start();
#ifdef M_MMAP_THRESHOLD
  // What a model is made of comes and goes in large blocks while it loads; each goes back to the system at
  // once.
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
#endif
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, not a death
  const bool json = wants_json_errors(argc, argv);
  int status = kRunFailed;
  try {
    guarded(kRunFailed, [&] {
      const auto parsed = guarded_value<std::variant<Options, HelpText>>(
          kWrongUsage, [&] { return parse_command_line(argc, argv); });
      if (const auto* help = std::get_if<HelpText>(&parsed)) {
        print_out(help->text);
        status = kDone;
      } else {
        status = dispatch(std::get<Options>(parsed));
      }
    });
  } catch (const Failure& failure) {
    report(failure.error, json);
    status = failure.status;
  } catch (const NobodyReads&) {
    status = kDone;
  } catch (...) {
    status = kRunFailed;
  }
  std::fflush(stdout);
  std::fflush(stderr);
  return status;
}
