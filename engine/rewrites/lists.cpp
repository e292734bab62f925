// Which rewrites run in which phase, in the order in which they are tried.

#include "engine/rewrites/rewrite.h"

namespace nnefrun {
namespace {

std::vector<const Rewrite*> joined(std::initializer_list<std::span<const Rewrite>> themes) {
  std::vector<const Rewrite*> all;
  for (const auto theme : themes) {
    for (const Rewrite& rewrite : theme) all.push_back(&rewrite);
  }
  return all;
}

}  // namespace

std::vector<const Rewrite*> declutter_rewrites() {
  return joined({constant_rewrites(), identity_rewrites(), axes_rewrites(), activation_rewrites(),
                 norm_rewrites(), einsum_rewrites(), attention_rewrites(), loop_rewrites(),
                 group_sum_rewrites(), group_rewrites(), group_reader_rewrites()});
}

std::vector<const Rewrite*> pack_rewrites() {
  return joined({group_sum_rewrites(), group_rewrites(), group_reader_rewrites()});
}

std::vector<const Rewrite*> recognise_rewrites() { return joined({cell_rewrites()}); }

std::vector<const Rewrite*> optimize_rewrites() { return joined({linear_rewrites(), code_rewrites()}); }

std::vector<const Rewrite*> all_rewrites() {
  auto all = declutter_rewrites();
  for (const Rewrite* rewrite : recognise_rewrites()) all.push_back(rewrite);
  for (const Rewrite* rewrite : optimize_rewrites()) all.push_back(rewrite);
  return all;
}

}  // namespace nnefrun
