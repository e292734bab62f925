// What all verbs share: exit statuses, the way from an exception to one, and progress on a terminal.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "base/error.h"
#include "cli/options.h"

namespace nnefrun::cli {

// docs/cli.md explains them; scripts rely on the numbers.
enum ExitStatus : int {
  kDone = 0,
  kResultsDiffer = 1,
  kWrongUsage = 2,
  kModelRefused = 3,  // missing, unreadable, malformed, unsupported or past a limit at load
  kRunFailed = 4,     // inputs that are missing or wrong; limits and failures while running
};

// An Error and the exit status that it means.
struct Failure {
  ExitStatus status;
  Error error;
};

// Runs `body`; whatever it throws becomes a Failure with that status, unless it is one already.
void guarded(ExitStatus status, const std::function<void()>& body);
template <class T>
T guarded_value(ExitStatus status, const std::function<T()>& body) {
  std::optional<T> value;
  guarded(status, [&] { value.emplace(body()); });
  return std::move(*value);
}

// To standard error, in colour on a terminal, or as one line of JSON.
void report(const Error& error, bool json);

// When the process began, on the steady clock: as exact as /proc and the CPU time so far can tell.
// REQUIRES: the first call comes early in main.
std::chrono::steady_clock::time_point process_start();
int64_t nanoseconds_since(std::chrono::steady_clock::time_point start);
// VmHWM of /proc/self/status in bytes; 0 where there is none.
uint64_t peak_resident_bytes();

// A line on standard error that says what is going on, once it takes more than two seconds, on a terminal
// only.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  struct Ticker;
  std::unique_ptr<Ticker> ticker_;  // none when nobody watches
};

// "1.23 ms", "4.5 MB" and "1.2 G" for people.
std::string time_text(double nanoseconds);
std::string bytes_text(double bytes);
std::string count_text(double count);

// Columns for people: the first one to the left, the others to the right; the first row is underlined.
std::string table_text(const std::vector<std::vector<std::string>>& rows, size_t left_columns = 1);

// The reader of standard output has enough (`nnefrun ops | head -1`): the command ends, silently and well.
struct NobodyReads {};

// Writes to standard output. Throws NobodyReads when the pipe was closed, Failure when it cannot be written.
void print_out(const std::string& text);

// The verbs, each in a file of its own.
int run_verb(const Options& options);
int check_verb(const Options& options);
int info_verb(const Options& options);
int print_verb(const Options& options);
int bench_verb(const Options& options);
int profile_verb(const Options& options);
int ops_verb(const Options& options);
int kernels_verb(const Options& options);
int quantize_verb(const Options& options);

}  // namespace nnefrun::cli
