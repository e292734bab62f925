#include "engine/compiler.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/accuracy.h"
#include "engine/import/importer.h"
#include "engine/ops/blocked_layout.h"
#include "engine/ops/lowering_groups.h"
#include "engine/graph/constant_pool.h"
#include "engine/rewrites/rewrite.h"
#include "nnef_parser/archive.h"
#include "nnef_parser/check.h"
#include "nnef_parser/parser.h"

namespace nnefrun {

std::optional<Stage> stage_from_name(std::string_view name) {
  if (name == "parsed") return Stage::parsed;
  if (name == "typed") return Stage::typed;
  if (name == "decluttered") return Stage::decluttered;
  if (name == "optimized") return Stage::optimized;
  return std::nullopt;
}

Document parse_graph(const Archive& archive, const CompileOptions& options) {
  ArchiveText text = archive.graph(options.graph_name);
  ParseOptions parse;
  parse.dialect = options.dialect;
  Document document = parse_document(std::move(text.text), text.member, parse);
  // What is wrong by the text alone comes before anything is computed; the first finding is the answer.
  const std::vector<Error> findings = check(document);
  if (!findings.empty()) throw Error(findings.front());
  return document;
}

Graph import_graph(const Document& document, const Archive& archive, const CompileOptions& options) {
  ImportSources sources;
  TensorFileOptions files;
  files.legacy = !document.strict;
  sources.tensor = [&](const std::string& label) {
    auto file = archive.tensor(label, files);
    if (file) file->tensor = pooled_constant(std::move(file->tensor));
    return file;
  };
  if (auto quantization = archive.quantization(*document.source->file)) {
    sources.quantization =
        parse_quantization_file(std::move(quantization->text), quantization->member, document.dialect);
  }
  sources.submodel = [&](const std::string& label) -> std::shared_ptr<const Graph> {
    const auto inner = archive.submodel(label);
    if (!inner) return nullptr;
    CompileOptions inner_options = options;
    inner_options.graph_name.clear();
    inner_options.on_error = nullptr;  // one error of a sub-model is one of the operation that names it
    return std::make_shared<const Graph>(load_graph(*inner, inner_options));
  };
  sources.resource = [&](const std::string& label) { return archive.json(label); };
  ImportOptions import;
  for (const auto& symbol : options.set_symbols) import.set_symbols[symbol.first] = symbol.second;
  import.max_nodes = options.max_nodes;
  import.to_the_letter = options.to_the_letter;
  import.on_error = options.on_error;
  return import_document(document, sources, import);
}

Graph load_graph(const Archive& archive, const CompileOptions& options, Dialect* read_as) {
  const Document document = parse_graph(archive, options);
  if (read_as != nullptr) *read_as = document.dialect;
  return import_graph(document, archive, options);
}

namespace {

// `rewrite` counts down over the graph and the bodies inside it.
Graph rewritten(Graph graph, Stage stage, const CompileOptions& options, RewriteOptions& rewrite,
                int64_t* total) {
  // One wrapper gives every pass its name, its time, its count and its switch.
  const auto pass = [&](const std::string& name, const std::function<Graph(Graph, int64_t*)>& run) {
    for (const std::string& disabled : options.disabled) {
      if (disabled == name) return;
    }
    if (rewrite.max_rewrites == 0) return;
    const auto start = std::chrono::steady_clock::now();
    int64_t applied = 0;
    graph = run(std::move(graph), &applied);
    *total += applied;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (options.after_pass) options.after_pass(name, graph, applied, seconds.count());
  };
  if (stage == Stage::parsed || stage == Stage::typed) return graph;

  // What nothing reads goes first, so that no rule looks at it.
  pass("dead-nodes", [](Graph g, int64_t*) { return without_dead_nodes(std::move(g)); });
  pass("common-subexpressions", [](Graph g, int64_t* n) { return without_repetitions(std::move(g), n); });
  pass("blocks-as-groups", [](Graph g, int64_t* n) { return with_blocks_as_groups(std::move(g), n); });
  // Weights that are computed from codes are recognised before constants are folded.
  pass("pack-groups", [&](Graph g, int64_t* n) {
    g = apply_rewrites(std::move(g), pack_rewrites(), rewrite, n);
    if (options.on_note) note_unrecognised_codes(g, options.on_note);
    unpack_groups(g, true, options.on_note);
    return g;
  });
  // Bodies of loops and sub-models are graphs of their own; they are not reported pass by pass.
  const auto has_bodies = [&] {
    return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                       [](const Node& node) { return !node.bodies.empty(); });
  };
  const auto rewrite_bodies = [&](Stage inner) {
    return [&, inner](const Graph& g, int64_t* n) {
      CompileOptions inside = options;
      inside.after_pass = nullptr;
      const bool outside = std::exchange(rewrite.in_body, true);
      Graph done = with_rewritten_bodies(
          g, [&](Graph body) { return rewritten(std::move(body), inner, inside, rewrite, n); });
      rewrite.in_body = outside;
      return done;
    };
  };
  if (has_bodies()) {
    // What is constant outside becomes so inside; a loop is looked at when its body says as little as it can.
    pass("declutter-around-bodies",
         [&](Graph g, int64_t* n) { return apply_rewrites(std::move(g), declutter_rewrites(), rewrite, n); });
    pass("bodies", rewrite_bodies(Stage::decluttered));
  }
  // Constants are folded, what does nothing is removed, spelled-out operators get their names back.
  pass("declutter",
       [&](Graph g, int64_t* n) { return apply_rewrites(std::move(g), declutter_rewrites(), rewrite, n); });
  if (stage == Stage::decluttered) return graph;

  if (has_bodies()) pass("bodies-2", rewrite_bodies(stage));
  // Recurrent cells are recognised while their parts are still apart.
  pass("cells",
       [&](Graph g, int64_t* n) { return apply_rewrites(std::move(g), recognise_rewrites(), rewrite, n); });
  // Then operators are fused into those that the engine has kernels for.
  pass("fuse",
       [&](Graph g, int64_t* n) { return apply_rewrites(std::move(g), optimize_rewrites(), rewrite, n); });
  pass("f16-in-f32", [](Graph g, int64_t* n) { return with_f32_arithmetic(std::move(g), n); });
  pass("common-subexpressions-2", [](Graph g, int64_t* n) { return without_repetitions(std::move(g), n); });
  // Those that nothing takes as codes become values.
  pass("unpack-groups", [&](Graph g, int64_t* n) {
    unpack_groups(g, false, options.on_note);
    std::vector<const Rewrite*> folding;
    for (const Rewrite& rule : constant_rewrites()) folding.push_back(&rule);
    return apply_rewrites(std::move(g), folding, rewrite, n);
  });
  pass("dead-nodes-2", [](Graph g, int64_t*) { return without_dead_nodes(std::move(g)); });
  return graph;
}

}  // namespace

Graph rewrite_graph(Graph graph, Stage stage, const CompileOptions& options) {
  RewriteOptions rewrite;
  rewrite.disabled = options.disabled;
  rewrite.max_rewrites = options.max_rewrites;
  rewrite.on_applied = options.on_rewrite;
  int64_t total = 0;
  return rewritten(std::move(graph), stage, options, rewrite, &total);
}

std::shared_ptr<const CompiledModel> compile_graph(Graph graph, const CompileOptions& options,
                                                   Dialect dialect) {
  auto model = std::make_shared<CompiledModel>();
  model->dialect = dialect;
  if (!options.optimize) {
    model->graph = std::move(graph);
    model->why_no_plan = "evaluation was asked for";
    return model;
  }
  model->graph = rewrite_graph(std::move(graph), Stage::optimized, options);
  PlanOptions plan;
  plan.fast = options.fast.value_or(asks_for_fast(model->graph));
  if (std::find(options.disabled.begin(), options.disabled.end(), kBlockedLayouts) ==
      options.disabled.end()) {
    BlockedLayoutOptions layouts;
    layouts.winograd = options.winograd;
    plan.layouts = choose_blocked_layouts(model->graph, layouts);
  }
  // Weights live on in the form that the steps want; what they were made from goes as soon as it has been
  // packed.
  plan.take_constant = [&](Outlet constant, std::shared_ptr<const Tensor> instead) {
    return std::exchange(model->graph.mutable_fact(constant).constant, std::move(instead));
  };
  model->plan = PlanBuilder::build(model->graph, &model->why_no_plan, plan);
  return model;
}

std::shared_ptr<const CompiledModel> compile_model(Archive archive, const CompileOptions& options) {
  Dialect dialect = Dialect::automatic;
  Graph graph = load_graph(archive, options, &dialect);
  { const Archive done = std::move(archive); }
  return compile_graph(std::move(graph), options, dialect);
}

}  // namespace nnefrun
