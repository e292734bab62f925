// PlanBuilder: from a typed graph to the tables of a Plan.
//
// The builder walks the nodes in order and asks each row to lower itself into steps; a node whose row has no
// lowering, or whose lowering declines, becomes an `evaluate` step. Then lives are computed, and results that
// may overwrite their argument are made to. May throw; never runs on a device.
//
// Layouts. A node for which BlockedLayouts says so is lowered in the channel-blocked layout: while it is,
// values, results and temporaries that it asks for are blocked ones. A wire may exist in both layouts; the
// missing one is made by a repack step in front of the first step that wants it.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "engine/graph/op_def.h"
#include "engine/plan/layout.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/steps.h"

namespace nnefrun {

// A result that is an input with more behind it along `axis`: concat([input, new], axis). It is written into
// a buffer of the caller's, the plan's input `buffer`, which may have room to spare along the axis:
// `out_pitch` is the symbol that says how many places there are, `in_pitch` the same of the bytes that the
// input is read from. When both are the same bytes, what is there already stays.
struct PlanCache {
  uint32_t input = 0, output = 0;  // of the graph
  uint32_t axis = 0;
  uint32_t buffer = 0;
  std::string in_pitch, out_pitch;
};

// An owned plan. Immutable once built; shared by the Runtimes that run it.
struct Plan {
  std::vector<SizeExpression> expressions;
  std::vector<uint32_t> dims;
  std::vector<PlanValue> values;
  std::vector<PlanStep> steps;
  std::vector<uint32_t> operands;
  std::vector<uint8_t> parameters;
  std::vector<uint32_t> inputs;   // the graph's inputs, one for each updated variable, one for each cache
  std::vector<uint32_t> outputs;  // the graph's outputs, then one for each update
  std::vector<std::string> symbols;
  std::vector<PlanCache> caches;
  std::vector<Tensor> constants;                    // weights as the steps want them (packed)
  std::vector<const std::byte*> constant_data;      // of each, for the Runtime
  std::vector<std::string> step_notes;              // for profiles: "conv 3x3 s2 32->64", may be empty
  std::vector<std::shared_ptr<const Plan>> bodies;  // of loops
  std::vector<PlanBody> body_views;                 // of each, for the Runtime

  PlanView view() const;
  size_t constant_bytes() const;
};

struct PlanOptions {
  BlockedLayouts layouts;
  bool fast = false;   // products with Q4_0 weights quantise their activations
  bool caches = true;  // whether callers know of Plan::caches
  // Called with each constant when no later step and no evaluation will look at its bytes: its owner lets go
  // of it, and has the second one from then on: null, or, for nodes that want the form that exists already,
  // one of the same type and shape without bytes.
  std::function<std::shared_ptr<const Tensor>(Outlet, std::shared_ptr<const Tensor>)> take_constant;
};

// A constant that is about to be packed. Who reads it in order says what will not be read again, so that a
// large one and its packed form never exist whole at the same time.
struct PackSource {
  const Tensor& tensor;
  bool is_exclusive = false;
  // Items [begin, end) have been read for the last time.
  void done(int64_t begin, int64_t end) const {
    const auto bytes = [&](int64_t items) {
      return static_cast<size_t>(items) / block_items(tensor.dtype()) * block_bytes(tensor.dtype());
    };
    if (is_exclusive) tensor.release(bytes(begin), bytes(end));
  }
};

// Where a cache lies: dense but for its axis, which has `pitch` places.
struct CacheLayout {
  uint32_t value = 0;
  size_t axis = 0;
  Dim pitch;
  std::vector<Dim> strides(const DimShape& shape) const;  // items
};

class PlanBuilder {
 public:
  // nullopt, with the reason in `why`, when the graph cannot be planned: an extent that only the data tells,
  // strings.
  static std::optional<Plan> build(const Graph& graph, std::string* why = nullptr,
                                   const PlanOptions& options = {});

  // --- for lower() ---
  // The value of a wire that an earlier node computed, or of a constant, in the layout of the node at hand. A
  // blocked constant gets the rank of the node's first result (ones behind); of a single item, rank 0.
  uint32_t value_of(Outlet outlet);
  // The buffer of a wire that is a cache, for steps that read by strides; value_of makes it dense.
  std::optional<CacheLayout> cache_of(Outlet outlet) const;
  // The same in the plain layout, also while a blocked node is lowered.
  uint32_t plain_value_of(Outlet outlet);
  // Of a wire of codes: channels-last, also while a plain node is lowered (then it is repacked for this node
  // alone).
  uint32_t channels_last_value(Outlet outlet);
  // Whether an earlier node computed the wire in the blocked layout.
  bool is_computed_blocked(Outlet outlet) const {
    return known(outlet).blocked != kNone && known(outlet).plain == kNone;
  }
  // Channels in a block while a blocked node is lowered, else 0.
  int64_t block() const { return blocked_ ? options_.layouts.block : 0; }
  const BlockedLayouts& layouts() const { return options_.layouts; }
  // Whether the node at hand is lowered in a layout of its own: channel-blocked, or codes channels-last.
  bool in_layout() const { return blocked_; }
  // The extents of what value_of and result give, and of a temporary of that logical shape.
  DimShape layout_of(const DimShape& logical, DataType dtype = DataType::f32) const;
  // A constant made from another one (a packed weight): made once for each `form`, however many nodes want
  // it. May take the source out of the graph; a lowering calls it when it will not decline any more.
  uint32_t derived_constant(Outlet source, const std::string& form,
                            const std::function<Tensor(const PackSource&)>& make);
  // A value that steps make from another one: made once for each `form`, however many nodes want it.
  uint32_t derived_value(Outlet source, const std::string& form, const std::function<uint32_t()>& make);
  bool is_fast() const { return options_.fast; }
  // The value that result `result` of `node` is written to; created by the first call.
  uint32_t result(uint32_t node, uint32_t result = 0);
  // Result `result` of `node` is the bytes of `value` under the result's shape, from item `offset` on. For
  // reshape and its kin, and for parts that lie together.
  void alias_result(uint32_t node, uint32_t result, uint32_t value, const Dim& offset = 0);
  // Whether `value` is the part of `whole` from item `offset` on: an argument of concat that was computed in
  // its place.
  bool lies_in(uint32_t value, uint32_t whole, const Dim& offset);
  // A temporary between two steps of one lowering.
  uint32_t temporary(DataType dtype, const DimShape& shape);
  // A constant that the steps need (a packed weight, a table).
  uint32_t constant(Tensor value);
  // A plan that one of the steps will run; its index among the plan's bodies.
  uint32_t body(std::shared_ptr<const Plan> plan);
  // Why the node at hand is going to be evaluated, for people; a lowering says so before it declines.
  void decline(std::string why) { why_evaluated_ = std::move(why); }
  // How many nodes and outputs read a wire.
  uint32_t readers_of(Outlet outlet);
  // The parameters of the last step, when it is of that kind and writes `value`; null otherwise. Valid until
  // the next step.
  template <class P>
  P* last_step(StepKind kind, uint32_t value) {
    return static_cast<P*>(last_parameters(kind, value, sizeof(P)));
  }
  // Gives the last step one more argument, behind the others, and adds to its note. Its parameters stay where
  // they are.
  void add_argument_to_last_step(uint32_t value, std::string_view note);
  // Index of the size expression that computes the Dim.
  uint32_t size(const Dim& dim);
  // Appends a step. P is a struct of step_parameters.h, trivially copyable.
  template <class P>
  void step(StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs,
            const P& parameters, std::string note = {}) {
    static_assert(std::is_trivially_copyable_v<P>);
    add_step(kind, inputs, outputs, &parameters, sizeof(P), std::move(note));
  }
  void step(StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs) {
    add_step(kind, inputs, outputs, nullptr, 0, {});
  }
  // The last step computes the results of a later node than the one at hand.
  void last_step_is_of(uint32_t node) { plan_.steps.back().node = node; }
  const Graph& graph() const { return graph_; }

 private:
  PlanBuilder(const Graph& graph, const PlanOptions& options) : graph_(graph), options_(options) {}
  void lower_node();
  struct Cache {
    uint32_t value = 0;  // the buffer
    size_t axis = 0;
    Dim in_pitch, out_pitch;
  };
  void find_caches();
  void lower_cache(Cache& cache);
  uint32_t cache_buffer(const DimShape& shape, DataType dtype, size_t axis, const Dim& pitch, uint32_t input);
  uint32_t dense_cache(const Cache& cache, Outlet outlet);
  void find_places();
  uint32_t add_alias(DataType dtype, uint32_t value, const DimShape& shape, const Dim& offset);
  void find_readers();
  void finish_constants();
  bool is_finished(Outlet constant) const;
  bool is_repeated(uint32_t other, Outlet source) const;
  uint32_t blocked_value_of(Outlet outlet);
  uint32_t blocked_constant(const Tensor& constant);
  uint32_t repack(uint32_t value, DataType dtype, const DimShape& logical, bool to_blocked);
  uint32_t repack_codes(uint32_t value, DataType dtype, const DimShape& logical, bool to_last);
  void add_step(StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs,
                const void* parameters, size_t size, std::string note);
  uint32_t add_value(DataType dtype, Storage storage, uint32_t index, const DimShape& shape);
  static constexpr uint32_t kNone = UINT32_MAX;
  // What there is of a result.
  struct Known {
    uint32_t plain = kNone, blocked = kNone;  // values, by layout
    uint32_t place = kNone;                   // in places_
  };
  Known& known(Outlet outlet) { return known_[marks_[outlet.node].first_result + outlet.result]; }
  const Known& known(Outlet outlet) const { return known_[marks_[outlet.node].first_result + outlet.result]; }
  // The value in the layout at hand.
  uint32_t& known_value(Outlet outlet) { return blocked_ ? known(outlet).blocked : known(outlet).plain; }
  uint32_t symbol(std::string_view name);
  uint32_t atom(const Dim::Atom& atom);
  uint32_t expression(SizeExpression::Kind kind, int64_t a, int64_t b);
  void* last_parameters(StepKind kind, uint32_t value, size_t size);
  void evaluate_step(uint32_t node);
  void compute_lives();
  void overwrite_arguments();

  const Graph& graph_;
  const PlanOptions& options_;
  Plan plan_;
  struct Marks {
    uint32_t first_result = 0;  // in known_
    uint32_t readers = kNone;   // of a constant: in readers_
    bool is_given = false;      // an input, or a variable that is updated
    bool is_begun = false;      // a concat whose result exists because a part is computed in its place
    bool is_evaluated = false;  // a constant that an evaluate step reads
  };
  std::vector<Marks> marks_;          // of each node
  std::vector<Known> known_;          // of each result
  std::map<uint32_t, Cache> caches_;  // by the node of the concat
  std::map<Outlet, uint32_t> cached_inputs_;
  // Results that are computed where a concat wants them.
  struct Place {
    uint32_t concat;
    Dim offset;  // items
  };
  std::vector<Place> places_;
  std::map<std::pair<Outlet, std::string>, uint32_t> derived_;
  UseCounts use_counts_;  // of each result; empty until somebody asks
  std::map<std::pair<Outlet, std::string>, uint32_t> derived_values_;
  struct Readers {
    std::vector<uint32_t> nodes;
    size_t lowered = 0;  // so many of them, the one at hand not yet
  };
  std::vector<Readers> readers_;
  bool blocked_ = false;                             // the node at hand is lowered in the blocked layout
  std::unordered_map<std::string, uint32_t> sizes_;  // by the text of the Dim
  using ExpressionKey = std::array<int64_t, 3>;      // kind, a, b
  struct ExpressionHash {
    size_t operator()(const ExpressionKey& key) const {
      size_t hash = 0;
      for (const int64_t item : key) hash = mixed(hash, static_cast<size_t>(item));
      return hash;
    }
  };
  std::unordered_map<ExpressionKey, uint32_t, ExpressionHash> expressions_;
  uint32_t node_ = 0;
  std::string why_evaluated_;
};

}  // namespace nnefrun
