// Runs the built `nnefrun` as people do, and small models for it.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "io/npz.h"
#include "tests/temporary_folder.h"

namespace nnefrun::test {

struct Outcome {
  int status = -1;  // exit status; -1 when a signal ended it
  std::string out, err;
  bool says(const std::string& text) const { return err.find(text) != std::string::npos; }
  bool prints(const std::string& text) const { return out.find(text) != std::string::npos; }
};

// A folder of models and tensors, and the command run inside of it.
class Desk {
 public:
  Desk() {
    model("add",
          "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [2, 3]);\n"
          "  y = add(x, 1.0);\n}\n");
    model("two",
          "version 1.0;\ngraph net(a, b) -> (s, p)\n{\n  a = external<scalar>(shape = [2]);\n"
          "  b = external<scalar>(shape = [2]);\n  s = add(a, b);\n  p = mul(a, b);\n}\n");
    // A cache that grows by a row in each step, and the sum of its rows.
    model("cache",
          "version 1.0;\nextension tract_registry tract_core;\nextension tract_symbol P;\n"
          "graph net(x, c) -> (c_out, s)\n{\n  x = tract_core_external(shape = [1, 2], datum_type = 'f32');\n"
          "  c = tract_core_external(shape = [P, 2], datum_type = 'f32');\n"
          "  c_out = concat([c, x], axis = 0);\n  s = sum_reduce(c_out, axes = [0]);\n}\n");
    save_npy(at("x.npy"), Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5}));
    save_npy(at("a.npy"), Tensor::of<float>({2}, {1, 2}));
    save_npy(at("b.npy"), Tensor::of<float>({2}, {3, 5}));
    for (int k = 0; k < 3; ++k) {
      const auto value = static_cast<float>(k + 1);
      save_npz(at("in-" + std::to_string(k) + ".npz"), {{"x", Tensor::of<float>({1, 2}, {value, -value})}});
    }
  }

  std::string at(const std::string& name) const { return folder_ / name; }
  void model(const std::string& name, const std::string& text) const {
    write_whole_file(at(name + "/graph.nnef"), text);
  }
  // `input` is the path of a file for standard input.
  Outcome run(const std::vector<std::string>& arguments, const std::string& input = "/dev/null",
              const std::string& isa = {}) const {
    std::vector<std::string> words = {std::string(NNEFRUN_BIN_DIR) + "/nnefrun"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string out = at("stdout.txt"), err = at("stderr.txt"), folder = folder_.path().string();
    const pid_t child = fork();
    if (child == 0) {
      const int from = open(input.c_str(), O_RDONLY);
      const int to = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int errors = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (from < 0 || to < 0 || errors < 0 || chdir(folder.c_str()) != 0) _exit(127);
      if (isa.empty()) {
        unsetenv("NNEFRUN_ISA");
      } else {
        setenv("NNEFRUN_ISA", isa.c_str(), 1);
      }
      dup2(from, 0);
      dup2(to, 1);
      dup2(errors, 2);
      execv(argv[0], argv.data());
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    Outcome outcome;
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = read_whole_file(out);
    outcome.err = read_whole_file(err);
    return outcome;
  }

  // The array `name` of an .npz in the folder; throws when there is none.
  Tensor array(const std::string& file, const std::string& name) const {
    for (auto& item : load_npz(at(file))) {
      if (item.first == name) return item.second;
    }
    throw Error("test", file + " holds no " + name);
  }

 private:
  TemporaryFolder folder_;
};

inline std::vector<float> floats(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.size()};
}

}  // namespace nnefrun::test
