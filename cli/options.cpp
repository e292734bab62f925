#include "cli/options.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "cli/flags.h"
#include "cli/version.h"

namespace nnefrun::cli {
namespace {

Error usage(std::string message) { return Error("usage", std::move(message)); }

std::pair<std::string, std::string> split_pair(const std::string& flag, const std::string& text,
                                               const char* form) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    throw usage(flag + " wants " + form + ", not `" + text + "`");
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

int64_t parse_integer(const std::string& flag, const std::string& text) {
  errno = 0;
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || std::isspace(static_cast<unsigned char>(text[0])) != 0) {
    throw usage(flag + " wants an integer, not `" + text + "`");
  }
  return value;
}

uint64_t parse_count(const std::string& flag, const std::string& text) {
  const int64_t value = parse_integer(flag, text);
  if (value < 1) throw usage(flag + " must be at least 1, not " + text);
  return static_cast<uint64_t>(value);
}

Stage parse_stage(const std::string& flag, const std::string& text) {
  if (const auto stage = stage_from_name(text)) return *stage;
  throw usage(flag + " is parsed, typed, decluttered or optimized, not `" + text + "`");
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() > end.size() && std::string_view(text).substr(text.size() - end.size()) == end;
}

void interpret_limits(Options& o, const RawFlags& raw) {
  if (!raw.limit_memory.empty()) o.limits.memory = parse_bytes("--limit-memory", raw.limit_memory);
  if (!raw.limit_archive.empty()) o.limits.archive = parse_bytes("--limit-archive", raw.limit_archive);
  if (!raw.limit_member.empty()) o.limits.member = parse_bytes("--limit-member", raw.limit_member);
  if (!raw.limit_text.empty()) o.limits.text = parse_bytes("--limit-text", raw.limit_text);
  if (!raw.limit_members.empty()) o.limits.members = parse_count("--limit-members", raw.limit_members);
  if (!raw.limit_nodes.empty()) o.limits.nodes = parse_count("--limit-nodes", raw.limit_nodes);
}

void check_results(const Options& o) {
  if (o.verb == Verb::quantize) return;
  if (!o.output.empty() && o.output != "-" && !ends_with(o.output, ".npz") && !ends_with(o.output, ".npy")) {
    throw usage("--output wants a name that ends in .npz or .npy, or -, not `" + o.output + "`");
  }
  if (o.output == "-" && !o.steps.empty()) {
    throw usage("--output - holds the results of one run only; with --steps give a name, such as out.npz");
  }
  if (o.html == "-" || o.trace_events == "-") {
    throw usage("--html and --trace-events want the name of a file: standard output holds the report");
  }
  const size_t runs = std::max<size_t>(o.steps.size(), 1);
  if (!o.expect.empty() && o.expect.size() != runs) {
    throw usage("--expect names " + std::to_string(o.expect.size()) + " files for " + std::to_string(runs) +
                (o.steps.empty() ? " run" : " steps"));
  }
  if (!o.labels.empty() && o.top == 0) throw usage("--labels goes with --top");
  if (o.rtol && !(*o.rtol >= 0)) throw usage("--rtol must not be negative");
  if (o.atol && !(*o.atol >= 0)) throw usage("--atol must not be negative");
  if (!(o.outliers >= 0 && o.outliers <= 1)) throw usage("--outliers is a fraction from 0 to 1");
}

void interpret_quantizing(Options& o, const RawFlags& raw) {
  QuantizeFlags& q = o.quantize;
  if (o.output.empty()) throw usage("quantize wants -o: the model to write");
  if (o.html == "-") throw usage("--html wants the name of a file: standard output holds the report");
  if (q.int8 == !q.weights.empty()) throw usage("quantize wants either --int8 or --weights");
  if (q.int8 && q.calibrate.empty()) throw usage("--int8 wants --calibrate: inputs to learn ranges from");
  if (!q.int8 && q.max_error) throw usage("--max-error goes with --int8");
  if (!q.weights.empty() && !weight_scheme_from_name(q.weights)) {
    throw usage("--weights is q40, q80, int8, int4-group32, int8-group32 or nf4-group32, not `" + q.weights +
                "`");
  }
  const auto method = range_method_from_name(raw.ranges);
  if (!method) throw usage("--ranges is minmax, percentile or mse, not `" + raw.ranges + "`");
  q.method = *method;
  char* end = nullptr;
  const double percent = std::strtod(raw.percentile.c_str(), &end);
  if (raw.percentile.empty() || *end != '\0' || !(percent > 50 && percent <= 100)) {
    throw usage("--percentile must be from 50 to 100, not `" + raw.percentile + "`");
  }
  q.kept = percent / 100;
  if (q.max_error && !(*q.max_error >= 0)) throw usage("--max-error must not be negative");
}

// What remains to be said of the flags once CLI11 has read them.
void interpret(Options& o, const RawFlags& raw, const CLI::App& app) {
  if (raw.dialect == "khronos") {
    o.dialect = Dialect::khronos;
  } else if (raw.dialect == "tract") {
    o.dialect = Dialect::tract;
  } else if (raw.dialect != "auto") {
    throw usage("--dialect is auto, khronos or tract, not `" + raw.dialect + "`");
  }
  if (!raw.accuracy.empty() && raw.accuracy != "exact" && raw.accuracy != "fast") {
    throw usage("--accuracy is exact or fast, not `" + raw.accuracy + "`");
  }
  if (!raw.accuracy.empty()) o.fast = raw.accuracy == "fast";
  if (raw.winograd != "auto" && raw.winograd != "off") {
    throw usage("--winograd is auto or off, not `" + raw.winograd + "`");
  }
  o.winograd = raw.winograd == "auto";
  o.optimize = !raw.no_optimize;
  if (!raw.via_text.empty()) {
    o.via_text = raw.via_text == "true" ? Stage::optimized : parse_stage("--via-text", raw.via_text);
  }
  o.stage = parse_stage("--stage", raw.stage);
  for (const std::string& text : raw.symbols) {
    const auto pair = split_pair("--set", text, "NAME=VALUE");
    for (const auto& other : o.symbols) {
      if (other.first == pair.first) throw usage("--set gives symbol `" + pair.first + "` twice");
    }
    o.symbols.emplace_back(pair.first, parse_integer("--set " + pair.first, pair.second));
  }
  for (const std::string& text : raw.feedback)
    o.feedback.push_back(split_pair("--feedback", text, "result=input"));
  if (o.verb == Verb::run && !o.feedback.empty() && o.steps.empty()) {
    throw usage("--feedback goes with --steps: one run has no next one");
  }
  interpret_limits(o, raw);
  if (o.verb == Verb::quantize) interpret_quantizing(o, raw);
  check_results(o);
  if (o.threads < 1 || o.threads > 256) {
    throw usage("--threads must be from 1 to 256, not " + std::to_string(o.threads));
  }
  const auto given = [&](const char* name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  };
  if (given("--max-rewrites") && o.max_rewrites < 0) throw usage("--max-rewrites must not be negative");
  if (given("--top") && (o.top < 1 || o.top > 1'000'000)) throw usage("--top must be from 1 to 1000000");
  constexpr double kDay = 86400;
  if (!(o.min_time >= 0 && o.min_time <= kDay)) throw usage("--min-time must be from 0 to 86400 seconds");
  if (!(o.warmup >= 0 && o.warmup <= kDay)) throw usage("--warmup must be from 0 to 86400 seconds");
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// What was left over: an unknown flag or a stray word.
Error unexpected(const std::string& word, const CLI::App& app) {
  if (word.size() > 1 && word[0] == '-') {
    const std::string flag = word.substr(0, word.find('='));
    Error error = usage("unknown option `" + flag + "`");
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        if (edit_distance(flag, "--" + name) <= 2) error.note("did you mean --" + name + "?");
      }
    }
    return error;
  }
  Error error = usage("unexpected argument `" + word + "`");
  if (ends_with(word, ".npy") || ends_with(word, ".npz")) error.note("inputs are given with --input " + word);
  return error;
}

void configure(CLI::App& app, const VerbRow& row, Options& o, RawFlags& raw) {
  app.name(std::string("nnefrun ") + row.name);
  app.footer(row.examples);
  app.allow_extras();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  add_flags(app, row.verb, o, raw);
}

// Whether the flag takes its value from the next word, for some verb.
bool takes_value(const std::string& flag) {
  for (const VerbRow& row : verb_rows()) {
    CLI::App app;
    Options o;
    RawFlags raw;
    add_flags(app, row.verb, o, raw);
    const CLI::Option* option = app.get_option_no_throw(flag);
    if (option != nullptr) return option->get_items_expected_max() > 0;
  }
  return false;
}

// Throws for a word in the place of the verb that is neither one nor a model: it has no dot and no slash, as
// the names of models have, and no file or folder is called so.
void refuse_unknown_verb(const std::string& word) {
  std::error_code ignored;
  if (word == "-" || word.find_first_of("./") != std::string::npos || std::filesystem::exists(word, ignored))
    return;
  Error error = usage("unknown verb `" + word + "`, and there is no model of that name");
  for (const VerbRow& row : verb_rows()) {
    if (edit_distance(word, row.name) <= 2) error.note("did you mean " + std::string(row.name) + "?");
  }
  throw std::move(error).note("the verbs are: " + verb_names());
}

// Position of the word that is the verb, or 0 when it was left out. Throws when it must be a verb and is
// none.
int find_verb_word(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") return 0;
    if (word.size() < 2 || word[0] != '-') {
      if (find_verb(word) != nullptr) return i;
      refuse_unknown_verb(word);
      return 0;
    }
    if (word.find('=') == std::string::npos && takes_value(word)) ++i;
  }
  return 0;
}

std::string overview() {
  std::string out =
      "nnefrun: runs NNEF models\n\n"
      "  nnefrun MODEL --input X ... [options]\n"
      "  nnefrun VERB ...\n\nVerbs:\n";
  for (const VerbRow& row : verb_rows()) {
    out += "  " + std::string(row.name) + std::string(10 - std::strlen(row.name), ' ') + row.meaning + "\n";
  }
  return out +
         "\n`nnefrun VERB --help` lists the options of a verb, with examples; `nnefrun --version` says what "
         "this "
         "build is.\n";
}

}  // namespace

std::string verb_names() {
  std::string out;
  for (const VerbRow& row : verb_rows()) out += (out.empty() ? "" : ", ") + std::string(row.name);
  return out;
}

uint64_t parse_bytes(const std::string& flag, const std::string& text) {
  const Error wrong = usage(flag + " wants a number of bytes such as 4096, 64M or 1.5G, not `" + text + "`");
  if (text.empty() || (std::isdigit(static_cast<unsigned char>(text[0])) == 0 && text[0] != '.')) throw wrong;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit(end);
  for (const std::string_view tail : {"iB", "B"}) {
    if (ends_with(unit, tail) || unit == "B") {
      unit.resize(unit.size() - (unit == "B" ? 1 : tail.size()));
      break;
    }
  }
  double scale = 1;
  if (!unit.empty()) {
    const size_t power =
        std::string_view("kmgt").find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit[0]))));
    if (unit.size() != 1 || power == std::string_view::npos) throw wrong;
    scale = std::ldexp(1.0, 10 * (static_cast<int>(power) + 1));
  }
  const double bytes = number * scale;
  if (!(bytes >= 1) || bytes > 0x1p62) throw wrong;
  return static_cast<uint64_t>(bytes);
}

std::variant<Options, HelpText> parse_command_line(int argc, const char* const* argv) {
  if (argc < 2)
    throw usage("a model is missing").note("the verbs are: " + verb_names()).note("see nnefrun --help");
  const std::string first = argv[1];
  if (argc == 2 && (first == "--help" || first == "-h" || first == "help")) return HelpText{overview()};
  if (argc == 2 && first == "--version") return HelpText{version_text()};

  const int verb_at = find_verb_word(argc, argv);
  const VerbRow& row = verb_at > 0 ? *find_verb(argv[verb_at]) : verb_rows()[0];
  std::vector<const char*> words(argv, argv + argc);
  if (verb_at > 0) words.erase(words.begin() + verb_at);

  Options o;
  o.verb = row.verb;
  RawFlags raw;
  CLI::App app(row.meaning);
  configure(app, row, o, raw);
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::CallForHelp&) {
    return HelpText{app.help()};
  } catch (const CLI::ParseError& error) {
    throw usage(error.what()).note("see " + app.get_name() + " --help");
  }
  for (const std::string& word : app.remaining()) {
    if (word == "--version") return HelpText{version_text()};
    if (word != "--") throw unexpected(word, app).note("see " + app.get_name() + " --help");
  }
  if (has_model(row.verb) && o.model.empty()) {
    Error error = usage("a model is missing");
    if (!o.steps.empty() || o.expect.size() > 1)
      error.note("the model goes before --steps and --expect, or after `--`");
    throw std::move(error).note("see " + app.get_name() + " --help");
  }
  interpret(o, raw, app);
  return o;
}

}  // namespace nnefrun::cli
