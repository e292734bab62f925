#include <catch2/catch.hpp>
#include <iterator>
#include <sstream>

#include "tests/cli/command.h"

using namespace nnefrun;
using namespace nnefrun::test;

TEST_CASE("a wrong command line ends with 2 and says what is wrong", "[cli]") {
  const Desk desk;
  struct Row {
    std::vector<std::string> arguments;
    std::string said;
  };
  const std::vector<Row> rows = {
      {{}, "a model is missing"},
      {{"run"}, "a model is missing"},
      {{"bench", "--json"}, "a model is missing"},
      {{"add", "--inptu", "x.npy"}, "did you mean --input?"},
      {{"add", "x.npy"}, "inputs are given with --input x.npy"},
      {{"quantise", "add"}, "the verbs are: run, check, info, print, bench, profile, ops, kernels"},
      {{"compose", "add", "-o", "plan"}, "unknown verb `compose`"},
      {{"compose", "--help"}, "unknown verb `compose`"},
      {{"--threads", "2", "chek", "add"}, "did you mean check?"},
      {{"check", "add", "--input", "x.npy"}, "unknown option `--input`"},
      {{"ops", "max_pol"}, "there is no operation `max_pol`"},
      {{"ops", "max_pool", "conv"}, "unexpected argument `conv`"},
      {{"kernels", "add"}, "unexpected argument `add`"},
      {{"add", "--input"}, "--input"},
      {{"add", "--threads", "0"}, "1 to 256"},
      {{"add", "--threads", "-3"}, "1 to 256"},
      {{"add", "--threads", "100000"}, "1 to 256"},
      {{"add", "--threads", "many"}, "many"},
      {{"add", "--isa", "sse9"}, "this machine runs: generic"},
      {{"add", "--dialect", "onnx"}, "auto, khronos or tract"},
      {{"add", "--accuracy", "rough"}, "exact or fast"},
      {{"add", "--set", "S"}, "NAME=VALUE"},
      {{"add", "--set", "S=x"}, "integer"},
      {{"add", "--set", "S=1", "--set", "S=2"}, "twice"},
      {{"add", "--via-text=final"}, "parsed, typed, decluttered or optimized"},
      {{"print", "add", "--stage", "final"}, "parsed, typed, decluttered or optimized"},
      {{"add", "--disable", "no-such-rewrite"}, "declutter"},
      {{"add", "--dump-after", "no-such-pass"}, "declutter"},
      {{"add", "--max-rewrites", "-1"}, "--max-rewrites"},
      {{"add", "--output", "out.txt"}, ".npz or .npy"},
      {{"add", "--top", "0"}, "--top"},
      {{"add", "--labels", "labels.txt"}, "--top"},
      {{"add", "--rtol", "-1"}, "--rtol"},
      {{"add", "--rtol", "nan"}, "--rtol"},
      {{"add", "--outliers", "1.5"}, "fraction"},
      {{"add", "--limit-memory", "0"}, "--limit-memory"},
      {{"add", "--limit-memory", "-5"}, "--limit-memory"},
      {{"add", "--limit-memory", "12Q"}, "--limit-memory"},
      {{"add", "--limit-nodes", "0"}, "--limit-nodes"},
      {{"add", "--limit-nodes", "1.5"}, "--limit-nodes"},
      {{"cache", "--feedback", "c_out=c"}, "--steps"},
      {{"cache", "--feedback", "c_out", "--steps", "in-0.npz"}, "result=input"},
      {{"cache", "--steps", "in-0.npz", "in-1.npz", "--expect", "in-0.npz"}, "1 files for 2 steps"},
      {{"cache", "--steps", "in-0.npz", "--output", "-"}, "--steps"},
      {{"bench", "add", "--min-time", "inf"}, "--min-time"},
  };
  for (const Row& row : rows) {
    const Outcome got = desk.run(row.arguments);
    INFO((row.arguments.empty() ? std::string("nothing") : row.arguments.back()) << ": " << got.err);
    CHECK(got.status == 2);
    CHECK(got.says("error[usage]: "));
    CHECK(got.says(row.said));
    CHECK(got.out.empty());
  }
}

TEST_CASE("an unknown name in NNEFRUN_ISA is wrong usage, a known one is obeyed", "[cli]") {
  const Desk desk;
  const Outcome unknown = desk.run({"add", "--input", "x.npy"}, "/dev/null", "sse9");
  CHECK(unknown.status == 2);
  CHECK(unknown.says("NNEFRUN_ISA"));
  const Outcome known =
      desk.run({"bench", "add", "--input", "x.npy", "--min-time", "0", "--json"}, "/dev/null", "generic");
  CHECK(known.status == 0);
  CHECK(known.prints("\"isa\":\"generic\""));
  const Outcome flag =
      desk.run({"bench", "add", "--input", "x.npy", "--min-time", "0", "--json", "--isa", "generic"});
  CHECK(flag.prints("\"isa\":\"generic\""));
}

TEST_CASE("flags may come before or after the model and the verb", "[cli]") {
  const Desk desk;
  const std::string want = desk.run({"add", "--input", "x.npy"}).out;
  REQUIRE(want.find("y: f32 [2,3], min 1, max 6, mean 3.5") == 0);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"run", "add", "--input", "x.npy"},
                                                {"--input", "x.npy", "add"},
                                                {"--input=x.npy", "run", "add"},
                                                {"--threads", "1", "run", "add", "-i", "x.npy"},
                                                {"run", "--input", "x=x.npy", "add"},
                                                {"--no-optimize", "add", "--input", "x.npy"},
                                                {"add/graph.nnef", "--input", "x.npy"},
                                                {"--via-text", "add", "--input", "x.npy"}}) {
    const Outcome got = desk.run(words);
    INFO(words[0] << " " << words[1] << ": " << got.err);
    CHECK(got.status == 0);
    CHECK(got.out == want);
  }
}

TEST_CASE("every verb has help with an example", "[cli]") {
  const Desk desk;
  const Outcome all = desk.run({"--help"});
  CHECK(all.status == 0);
  for (const std::string verb : {"run", "check", "info", "print", "bench", "profile", "ops", "kernels"}) {
    CHECK(all.prints("\n  " + verb + " "));
    const Outcome own = desk.run({verb, "--help"});
    INFO(verb);
    CHECK(own.status == 0);
    CHECK(own.prints("Examples:"));
    CHECK(own.prints("--limit-memory"));
    CHECK(own.prints("--dialect"));
    CHECK(own.prints("--set"));
  }
}

// The words of the lines of a help text that begin with "  nnefrun ".
std::vector<std::vector<std::string>> examples_of(const std::string& help) {
  std::vector<std::vector<std::string>> examples;
  std::istringstream lines(help.substr(help.find("Examples:")));
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find("nnefrun ");
    if (at == std::string::npos) continue;
    std::istringstream words(line.substr(at));
    examples.emplace_back(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>());
  }
  return examples;
}

TEST_CASE("what the examples of a help text name exists", "[cli]") {
  const Desk desk;
  int flags = 0, names = 0;
  for (const std::string verb : {"run", "check", "info", "print", "bench", "profile", "ops", "kernels"}) {
    const std::string help = desk.run({verb, "--help"}).out;
    const std::string options = help.substr(0, help.find("Examples:"));
    for (const auto& words : examples_of(help)) {
      for (size_t i = 1; i < words.size(); ++i) {
        if (words[i].rfind("--", 0) != 0) continue;
        INFO(verb << ": " << words[i]);
        CHECK(options.find(words[i]) != std::string::npos);
        ++flags;
        if (words[i] != "--disable" && words[i] != "--stage" && words[i] != "--dump-after") continue;
        REQUIRE(i + 1 < words.size());
        CHECK(desk.run({"print", "add", words[i], words[i + 1]}).status == 0);
        ++names;
      }
    }
  }
  CHECK(flags > 10);
  CHECK(names >= 2);
}

TEST_CASE("--disable and --max-rewrites leave rewrites out", "[cli]") {
  const Desk desk;
  desk.model("twice",
             "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [2]);\n"
             "  a = copy(x);\n  b = mul(a, 1.0);\n  y = relu(b);\n}\n");
  const auto printed = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"print", "twice", "--stage", "decluttered"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome got = desk.run(words);
    INFO(got.err);
    CHECK(got.status == 0);
    return got;
  };
  CHECK_FALSE((printed({}).prints("copy(") || printed({}).prints("mul(")));
  CHECK((printed({"--disable", "drop-copy"}).prints("copy(") &&
         !printed({"--disable", "drop-copy"}).prints("mul(")));
  const Outcome none = printed({"--max-rewrites", "0"}), one = printed({"--max-rewrites", "1"}),
                two = printed({"--max-rewrites", "2"});
  CHECK((none.prints("copy(") && none.prints("mul(")));
  CHECK(one.prints("copy(") != one.prints("mul("));
  CHECK_FALSE((two.prints("copy(") || two.prints("mul(")));
  const Outcome unknown = desk.run({"print", "twice", "--disable", "no-such-rewrite"});
  CHECK(unknown.status == 2);
  for (const std::string name : {"no-such-rewrite", "drop-copy", "fuse-activation", "common-subexpressions"})
    CHECK(unknown.says(name));
}

TEST_CASE("a reader that closes the pipe ends the command silently", "[cli]") {
  const TemporaryFolder folder;
  const std::string program = std::string(NNEFRUN_BIN_DIR) + "/nnefrun", errors = folder / "stderr.txt";
  for (const char* verb : {"ops", "kernels", "--help"}) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);  // the reader has gone before anything is written
    const pid_t child = fork();
    if (child == 0) {
      const int err = open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(ends[1], 1);
      dup2(err, 2);
      execl(program.c_str(), "nnefrun", verb, nullptr);
      _exit(127);
    }
    close(ends[1]);
    int status = -1;
    waitpid(child, &status, 0);
    INFO(verb);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(read_whole_file(errors).empty());
  }
}

TEST_CASE("--version names the version, the instruction sets and NNEF's version", "[cli]") {
  const Outcome got = Desk().run({"--version"});
  CHECK(got.status == 0);
  CHECK(got.prints("nnefrun " NNEFRUN_VERSION));
  CHECK(got.prints("generic"));
  CHECK(got.prints("NNEF 1.0.5"));
}

TEST_CASE("--json-errors prints one object a line", "[cli]") {
  const Desk desk;
  const Outcome usage = desk.run({"add", "--threads", "0", "--json-errors"});
  CHECK(usage.status == 2);
  CHECK(usage.err.rfind("{\"severity\":\"error\",\"code\":\"usage\"", 0) == 0);
  const Outcome missing = desk.run({"--json-errors", "missing.nnef.tgz"});
  CHECK(missing.status == 3);
  CHECK(missing.says("\"code\":\"file-unreadable\""));
  CHECK(missing.err.back() == '\n');
}
