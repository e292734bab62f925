// nnefrun print: the graph as NNEF text at a stage of the pipeline.
#include "cli/common.h"
#include "cli/model.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"

namespace nnefrun::cli {

int print_verb(const Options& options) {
  std::optional<Progress> progress(std::in_place, "loading " + options.model);
  const CompileOptions compile = compile_options(options);
  const Archive archive = open_archive(options);
  const std::string text = guarded_value<std::string>(kModelRefused, [&] {
    if (options.stage == Stage::parsed) return print(parse_graph(archive, compile));
    return print_graph(rewrite_graph(load_typed_graph(archive, options), options.stage, compile)).text;
  });
  progress.reset();
  print_out(text);
  return kDone;
}

}  // namespace nnefrun::cli
