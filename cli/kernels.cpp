// nnefrun kernels, and what --version says of the build.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "cli/model.h"
#include "cli/version.h"
#include "kernels/registry.h"

namespace nnefrun::cli {

std::string version_text() {
  std::vector<std::string> sets;
  for (int i = 0; i < kernels::kernel_row_count(); ++i) {
    const std::string set = kernels::kernel_row(i).isa_suffix;
    if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
  }
  std::string names;
  for (const std::string& set : sets) names += " " + set;
  return std::string("nnefrun " NNEFRUN_VERSION "\n") + "kernels for:" + names + "\n" +
         "this machine: " + kernels::isa_name(kernels::detected_isa()) + "\n" + "NNEF 1.0.5\n";
}

int kernels_verb(const Options& options) {
  apply_isa(options);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::string text, family;
  for (int i = 0; i < kernels::kernel_row_count(); ++i) {
    const kernels::KernelRow& row = kernels::kernel_row(i);
    const bool runs = kernels::supports(kernels::detected_isa(), row.requires_isa);
    const bool chosen = kernels::is_chosen(row);
    list.push_back({{"name", row.name},
                    {"family", row.family},
                    {"isa", row.isa_suffix},
                    {"supported", runs},
                    {"chosen", chosen},
                    {"verified", row.verified}});
    if (family != row.family) {
      text += (family.empty() ? "" : "\n") + std::string(row.family) + "\n";
      family = row.family;
    }
    text += std::string(chosen ? "* " : "  ") + row.name + (runs ? "" : "  (not on this machine)") +
            (row.verified ? "" : "  (unverified: no machine has run it)") + "\n";
  }
  print_out(options.json ? list.dump(1) + "\n"
                         : text + "\n* what this machine uses, with the instruction set " +
                               kernels::isa_name(kernels::host_isa()) + "\n");
  return kDone;
}

}  // namespace nnefrun::cli
