#include "nnef_parser/stdlib.h"

#include <catch2/catch.hpp>
#include <set>

#include "nnef_parser/check.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"

using namespace nnefrun;

TEST_CASE("the standard has 118 operations", "[stdlib]") {
  CHECK(list_standard(Dialect::khronos).size() == 118);
  CHECK(standard_files(Dialect::khronos).size() == 1);
}

TEST_CASE("every name is declared once in its file, and the dialects see them in order", "[stdlib]") {
  for (const Dialect dialect : {Dialect::khronos, Dialect::tract, Dialect::engine}) {
    std::set<std::string_view> all;
    for (const StandardFile& file : standard_files(dialect)) {
      std::set<std::string_view> names;
      ParseOptions options;
      options.require_graph = false;
      options.dialect = dialect == Dialect::khronos ? dialect : Dialect::engine;
      const Document whole = parse_document(std::string(file.text), std::string(file.name), options);
      REQUIRE(whole.fragments.size() == file.fragments.size());
      for (size_t i = 0; i < whole.fragments.size(); ++i) {
        const FragmentDefinition& fragment = *file.fragments[i];
        INFO(file.name << ": " << fragment.name);
        CHECK(fragment.name == whole.fragments[i].name);
        CHECK(fragment.locate(fragment.place).line ==
              whole.fragments[i].locate(whole.fragments[i].place).line);
        CHECK(names.insert(fragment.name).second);
        CHECK(standard_file_of(fragment) == file.name);
        const bool hidden = !all.insert(fragment.name).second;
        CHECK((find_standard(fragment.name, dialect) == &fragment) != hidden);
      }
    }
    CHECK(list_standard(dialect).size() == all.size());
  }
  CHECK(find_standard("tract_core_cast", Dialect::khronos) == nullptr);
  CHECK(find_standard("nnefrun_scan", Dialect::tract) == nullptr);
  REQUIRE(find_standard("tract_moe_ffn", Dialect::tract));
  CHECK(find_standard("recip", Dialect::engine)->has_body);
}

TEST_CASE("the standard's own file passes the strict check", "[stdlib]") {
  // Under other names, because a document may not redefine a standard operation.
  ParseOptions library;
  library.require_graph = false;
  library.dialect = Dialect::khronos;
  std::string text =
      print(parse_document(std::string(standard_files(Dialect::khronos)[0].text), "nnef.nnef", library));
  size_t count = 0;
  for (size_t at = text.find("\nfragment "); at != std::string::npos; at = text.find("\nfragment ", at + 1)) {
    text.insert(at + 10, "own_");
    ++count;
  }
  REQUIRE(count == 118);
  text += "\ngraph G(x) -> (y) { x = external(shape = [1]); y = copy(x); }\n";
  ParseOptions options;
  options.dialect = Dialect::khronos;
  const Document document = parse_document(text, "nnef.nnef", options);
  std::string findings;
  for (const Error& error : check(document)) findings += error.render();
  CHECK(findings == "");
}

TEST_CASE("bodies only call operations that exist", "[stdlib]") {
  for (const FragmentDefinition* fragment : list_standard(Dialect::engine)) {
    std::set<std::string_view> known;
    for (const Assignment& assignment : fragment->body) {
      for_each_invocation(*assignment.right, [&](const Invocation& call) {
        INFO(fragment->name << " calls " << call.name);
        const FragmentDefinition* callee = find_standard(call.name, Dialect::engine);
        REQUIRE(callee);
        for (const Argument& argument : call.arguments) {
          INFO(argument.name);
          CHECK((argument.name.empty() || callee->parameter_index(argument.name) >= 0));
        }
      });
    }
  }
}

TEST_CASE("conventions of the declarations", "[stdlib]") {
  const FragmentDefinition* sdpa = find_standard("tract_transformers_sdpa", Dialect::tract);
  REQUIRE(sdpa);
  CHECK(is_optional(sdpa->parameters[static_cast<size_t>(sdpa->parameter_index("mask"))]));
  CHECK_FALSE(is_optional(sdpa->parameters[static_cast<size_t>(sdpa->parameter_index("is_causal"))]));
  CHECK_FALSE(is_optional(sdpa->parameters[0]));
  CHECK(has_variable_results(*find_standard("tract_core_scan", Dialect::tract)));
  CHECK_FALSE(has_variable_results(*find_standard("split", Dialect::tract)));
  CHECK(is_registry("pulse"));
  CHECK_FALSE(is_registry("acme_core"));
  const FragmentDefinition* quantize = find_standard("min_max_linear_quantize", Dialect::khronos);
  CHECK(lenient_default(*quantize, "signed") == true);
  CHECK(lenient_default(*quantize, "symmetric") == false);
  CHECK_FALSE(lenient_default(*quantize, "bits").has_value());
}
