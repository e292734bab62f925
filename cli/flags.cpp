#include "cli/flags.h"

namespace nnefrun::cli {
namespace {

constexpr VerbRow kVerbs[] = {
    {Verb::run, "run", "Run a model (the word `run` may be left out).",
     "Examples:\n"
     "  nnefrun model.nnef.tgz --input x.npy\n"
     "  nnefrun model.nnef.tgz --input image=cat.npy --top 5 --labels labels.txt\n"
     "  nnefrun model.nnef.tgz --input in.npz --output out.npz\n"
     "  nnefrun model.nnef.tgz --input in.npz --expect ref.npz --rtol 1e-3 --atol 1e-4\n"
     "  nnefrun model.nnef.tgz --input random --set S=16\n"
     "  nnefrun decoder.nnef.tgz --steps in-0.npz in-1.npz --feedback k_out=k --output out.npz\n"
     "  cat model.tgz | nnefrun - --input x.npy\n"
     "Exit status: 0 done, 1 results differ from --expect, 2 wrong usage, 3 the model cannot be loaded,\n"
     "4 the run was refused or failed.\n"},
    {Verb::check, "check", "Say everything that is wrong with a model, and what it needs.",
     "Examples:\n"
     "  nnefrun check model.nnef.tgz\n"
     "  nnefrun check folder/graph.nnef --dialect khronos\n"
     "  nnefrun check model.nnef.tgz --json-errors\n"
     "Exit status: 0 nothing is wrong, 2 wrong usage, 3 at least one error.\n"},
    {Verb::info, "info",
     "Inputs, outputs, symbols, state, operators, parameters, MACs and memory of a model.",
     "Examples:\n"
     "  nnefrun info model.nnef.tgz\n"
     "  nnefrun info model.nnef.tgz --set S=128 --json\n"},
    {Verb::print, "print", "Print the graph as NNEF text at a stage of the pipeline.",
     "Examples:\n"
     "  nnefrun print model.nnef.tgz\n"
     "  nnefrun print model.nnef.tgz --stage optimized --disable fuse-activation\n"},
    {Verb::bench, "bench", "Time a model.",
     "Examples:\n"
     "  nnefrun bench model.nnef.tgz --input x.npy --min-time 3\n"
     "  nnefrun bench model.nnef.tgz --input random --set S=16 --json\n"
     "Take the median of several runs on a quiet machine; --json prints one object for scripts.\n"},
    {Verb::profile, "profile", "Say where the time goes, by node and by operator, and what bounds it.",
     "Examples:\n"
     "  nnefrun profile model.nnef.tgz --input x.npy\n"
     "  nnefrun profile model.nnef.tgz --input random --html profile.html --trace-events profile.json\n"
     "  nnefrun profile model.nnef.tgz --input random --no-optimize --json\n"},
    {Verb::ops, "ops",
     "List the operations: signatures, dialects, element types, and which have a tuned kernel.",
     "Examples:\n"
     "  nnefrun ops\n"
     "  nnefrun ops conv\n"
     "  nnefrun ops --dialect khronos --json\n"},
    {Verb::kernels, "kernels",
     "List the kernels in this build; those that this machine would use are marked with *.",
     "Examples:\n"
     "  nnefrun kernels\n"
     "  nnefrun kernels --isa avx2\n"},
    {Verb::quantize, "quantize", "Write a quantised model and say what it costs.",
     "Examples:\n"
     "  nnefrun quantize model.nnef.tgz -o small.nnef.tgz --int8 --calibrate inputs/\n"
     "  nnefrun quantize model.nnef.tgz -o small.nnef.tgz --int8 --calibrate inputs/ --max-error 0.05 --html "
     "report.html\n"
     "  nnefrun quantize model.nnef.tgz -o small.nnef.tgz --int8 --calibrate set.npz --ranges mse --keep "
     "'head*'\n"
     "  nnefrun quantize model.nnef.tgz -o small.nnef.tgz --weights q40\n"},
};

// Adds flags to one group of the help.
class Adder {
 public:
  Adder(CLI::App& app, const char* group) : app_(app), group_(group) {}
  // A flag with one value.
  template <class T>
  void one(const char* names, T& into, const char* value, const char* help) {
    app_.add_option(names, into, help)->type_name(value)->group(group_);
  }
  // A flag with one value, which may be given again: what follows the value is never swallowed.
  void again(const char* names, std::vector<std::string>& into, const char* value, const char* help) {
    app_.add_option(names, into, help)
        ->type_size(1)
        ->allow_extra_args(false)
        ->type_name(value)
        ->group(group_);
  }
  // A flag that takes all words up to the next flag.
  void all(const char* names, std::vector<std::string>& into, const char* value, const char* help) {
    app_.add_option(names, into, help)->type_name(value)->group(group_);
  }
  template <class T>
  void on(const char* names, T& into, const char* help) {
    app_.add_flag(names, into, help)->group(group_);
  }

 private:
  CLI::App& app_;
  const char* group_;
};

void add_general(CLI::App& app, Verb verb, Options& o, RawFlags& raw) {
  Adder add(app, "Options");
  if (has_model(verb)) {
    app.add_option("MODEL", o.model,
                   "An archive, a folder, the path of a graph.nnef, or - for standard input")
        ->type_name(" ");
    add.one("--graph", o.graph, "NAME", "Which *.nnef of an archive that holds several");
  }
  if (verb == Verb::ops) {
    app.add_option("OPERATION", o.operation, "Tell about this one only")->type_name(" ");
    add.on("--markdown", o.markdown, "The tables of docs/nnef-support.md");
  }
  add.one("--dialect", raw.dialect, "NAME",
          verb == Verb::ops ? "auto (all operations), khronos or tract [auto]"
                            : "auto, khronos (strict) or tract [auto]");
  add.again("--set", raw.symbols, "NAME=VALUE", "The value of a symbol (else from the inputs' shapes)");
  if (has_inputs(verb) || verb == Verb::info) add.one("--threads", o.threads, "N", "Threads, 1 to 256 [1]");
  if (has_inputs(verb) || verb == Verb::info || verb == Verb::kernels) {
    add.one("--isa", o.isa, "NAME",
            "Force an instruction set (also NNEFRUN_ISA); `nnefrun kernels` lists them");
  }
  if (verb == Verb::print) {
    add.one("--stage", raw.stage, "NAME", "parsed, typed, decluttered or optimized [parsed]");
  }
  if (verb == Verb::bench || verb == Verb::profile) {
    add.one("--min-time", o.min_time, "SECONDS", "How long to measure [1]");
    add.one("--warmup", o.warmup, "SECONDS", "How long to run before that, at most --min-time [0.1]");
  }
  if (verb == Verb::profile) {
    add.one("--html", o.html, "FILE", "Write the report as one HTML page that needs nothing else");
    add.one("--trace-events", o.trace_events, "FILE",
            "Write the last runs as a time line for chrome://tracing and Perfetto (JSON)");
  }
  if (verb != Verb::run && verb != Verb::check && verb != Verb::print && verb != Verb::quantize) {
    add.on("--json", o.json, "The report as JSON");
  }
  add.on("--json-errors", o.json_errors, "Errors as JSON, one object a line");
}

void add_quantizing(CLI::App& app, Options& o, RawFlags& raw) {
  Adder add(app, "Quantising");
  add.one("-o,--output", o.output, "PATH", "The model to write: .tgz, .tar or a folder");
  add.on("--int8", o.quantize.int8, "8-bit codes for weights (a scale for each channel) and activations");
  add.one("--weights", o.quantize.weights, "SCHEME",
          "Weights alone: q40, q80, int8, int4-group32, int8-group32 or nf4-group32");
  add.one("--calibrate", o.quantize.calibrate, "PATH",
          "Inputs to learn ranges from: an .npz keyed by the inputs' names, or a folder of them");
  add.one("--ranges", raw.ranges, "NAME", "minmax, percentile or mse [minmax]");
  add.one("--percentile", raw.percentile, "P",
          "Percent of the values that --ranges percentile keeps [99.99]");
  add.again("--keep", o.quantize.keep, "NODE",
            "Nodes that stay in float; * stands for any text (repeatable)");
  add.one("--max-error", o.quantize.max_error, "E",
          "Keep as few more nodes in float as it takes for a relative error of the results up to E");
  add.one("--accuracy", raw.accuracy, "NAME",
          "exact or fast: written into the model, which is then compiled so unless a run says otherwise");
  add.one("--html", o.html, "FILE", "Write the report as one HTML page that needs nothing else");
}

void add_limits(CLI::App& app, RawFlags& raw) {
  Adder add(app, "Limits (K, M, G and T are powers of 1024)");
  add.one("--limit-memory", raw.limit_memory, "BYTES", "Arena, scratch and inputs [3/4 of the memory]");
  add.one("--limit-archive", raw.limit_archive, "BYTES",
          "All members, unpacked, or all files that are read of a folder [64G]");
  add.one("--limit-member", raw.limit_member, "BYTES", "One member, unpacked [32G]");
  add.one("--limit-members", raw.limit_members, "N", "Number of members [100000]");
  add.one("--limit-text", raw.limit_text, "BYTES", "The graph's text [256M]");
  add.one("--limit-nodes", raw.limit_nodes, "N", "Nodes of the expanded graph [1000000]");
}

void add_compiling(CLI::App& app, Verb verb, Options& o, RawFlags& raw) {
  Adder add(app, "Compiling");
  add.again("--disable", o.disabled, "NAME", "A rewrite or pass that is not applied (repeatable)");
  add.one("--max-rewrites", o.max_rewrites, "N", "Stop rewriting after so many patches");
  add.one("--dump-after", o.dump_after, "PASS",
          "Print the graph after that pass to standard error; `all`: after each");
  if (verb == Verb::print) return;
  add.on("--no-optimize", raw.no_optimize, "The naive evaluation, the oracle");
  add.on("--via-text", raw.via_text,
         "--via-text[=STAGE]: print the graph at that stage [optimized], read the text again and run that");
  add.one("--accuracy", raw.accuracy, "NAME",
          "exact, or fast: products with Q4_0 weights quantise activations to 8 bits [what the model says,\n"
          "else exact]");
  add.one("--winograd", raw.winograd, "NAME",
          "auto, or off: convolutions as direct sums, without Winograd's rounding [auto]");
}

void add_inputs(CLI::App& app, Options& o, RawFlags& raw) {
  Adder add(app, "Inputs");
  add.again("-i,--input", o.inputs, "X",
            "x.npy (the next input), name=x.npy, set.npz (by key), name=zeros|ones|random[:SEED], or\n"
            "zeros|ones|random[:SEED] for all that are not given (repeatable)");
  add.on("--cast", o.cast, "Widen inputs whose type fits into the declared one");
  add.all("--steps", o.steps, "FILE",
          "in-0.npz in-1.npz ...: a sequence in one session, which keeps its state");
  add.again("--feedback", raw.feedback, "RESULT=INPUT",
            "With --steps: a result of one step is an input of the next; zeros, or an empty axis,\n"
            "before the first unless given (repeatable)");
}

void add_results(CLI::App& app, Options& o) {
  Adder add(app, "Results");
  add.one("-o,--output", o.output, "FILE", "Write them: .npz, .npy for one result, - for standard output");
  add.one("--top", o.top, "K", "The K largest entries of each row");
  add.one("--labels", o.labels, "FILE", "With --top: a text with one label a line");
  add.all("--expect", o.expect, "FILE", "Compare with these results (.npz; as many as --steps)");
  add.one("--rtol", o.rtol, "R", "Relative tolerance of --expect [1e-4, integers 0]");
  add.one("--atol", o.atol, "A", "Absolute tolerance of --expect [1e-5, integers 0]");
  add.one("--outliers", o.outliers, "F", "Fraction of values that may be off [0]");
  add.one("--trace", o.trace, "FOLDER", "Write every intermediate tensor to FOLDER/<name>.npy");
}

}  // namespace

std::span<const VerbRow> verb_rows() { return kVerbs; }

const VerbRow* find_verb(std::string_view name) {
  for (const VerbRow& row : kVerbs) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

void add_flags(CLI::App& app, Verb verb, Options& options, RawFlags& raw) {
  add_general(app, verb, options, raw);
  if (has_inputs(verb)) {
    add_inputs(app, options, raw);
    add_results(app, options);
  }
  if (has_inputs(verb) || verb == Verb::print || verb == Verb::info) add_compiling(app, verb, options, raw);
  if (verb == Verb::quantize) add_quantizing(app, options, raw);
  add_limits(app, raw);
}

}  // namespace nnefrun::cli
