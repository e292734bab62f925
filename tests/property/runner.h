// Runs a drawn case optimised and by naive evaluation, and compares.
#pragma once

#include <string>

#include "tests/property/draw.h"

namespace nnefrun::property {

struct Outcome {
  std::string difference;  // "" when both ways agree
  std::string text;        // the graph as it was compiled, filled when there is a difference
  bool refused = false;    // both ways refused, with the same code
};

// Compiles the printed and reloaded graph with all rewrites and a plan, and compares every run with the naive
// evaluation of the graph as it was drawn. One session runs all bindings, one after another. When they
// differ and `keep` names a folder, the model and the inputs are written there for `nnefrun`.
Outcome run_case(Draw& drawn, const std::string& keep);

}  // namespace nnefrun::property
