#include "cli/common.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <new>
#include <sstream>
#include <thread>

namespace nnefrun::cli {

using Clock = std::chrono::steady_clock;

void guarded(ExitStatus status, const std::function<void()>& body) {
  try {
    body();
  } catch (const Failure&) {
    throw;
  } catch (const Error& error) {
    throw Failure{status, error};
  } catch (const std::bad_alloc&) {
    throw Failure{status, Error("out-of-memory", "the memory of this machine does not suffice")};
  } catch (const std::exception& error) {
    throw Failure{status, Error("internal", error.what())};
  }
}

void report(const Error& error, bool json) {
  const std::string text = json ? error.render_json() + "\n" : error.render(isatty(STDERR_FILENO) != 0);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

namespace {

int64_t nanoseconds_of(clockid_t clock) {
  timespec now{};
  return clock_gettime(clock, &now) == 0 ? now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec : 0;
}

// How long ago the process began. Its start in /proc counts in ticks of 10 ms since boot; within the tick,
// the CPU time that was spent so far is a lower bound that is nearly the truth, since a process that begins
// does not wait.
int64_t age_of_process() {
  const int64_t spent = nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
  const size_t after_name = text.rfind(')');  // the name may hold spaces
  if (after_name == std::string::npos) return spent;
  std::istringstream fields(text.substr(after_name + 1));
  std::string field;
  constexpr int kStartTime = 20;  // field 22 of proc(5), counted from the one after the name
  for (int i = 0; i < kStartTime; ++i) fields >> field;
  const int64_t ticks = std::strtoll(field.c_str(), nullptr, 10);
  const int64_t tick = 1'000'000'000 / std::max<int64_t>(sysconf(_SC_CLK_TCK), 1);
  const int64_t oldest = nanoseconds_of(CLOCK_BOOTTIME) - ticks * tick;
  return oldest > 0 ? std::clamp(spent, std::max<int64_t>(oldest - tick, 0), oldest) : spent;
}

}  // namespace

Clock::time_point process_start() {
  static const Clock::time_point start = Clock::now() - std::chrono::nanoseconds(age_of_process());
  return start;
}

int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("VmHWM:", 0) == 0) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

struct Progress::Ticker {
  std::string what;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false, shown = false;
  std::thread thread;

  void tick() {
    const auto start = Clock::now();
    std::unique_lock lock(mutex);
    if (ended.wait_for(lock, std::chrono::seconds(2), [&] { return done; })) return;
    shown = true;
    do {
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      std::fprintf(stderr, "\r%s ... %.0f s ", what.c_str(), seconds);
    } while (!ended.wait_for(lock, std::chrono::milliseconds(500), [&] { return done; }));
  }
};

Progress::Progress(std::string what) {
  if (isatty(STDERR_FILENO) == 0) return;
  ticker_ = std::make_unique<Ticker>();
  ticker_->what = std::move(what);
  ticker_->thread = std::thread([this] { ticker_->tick(); });
}

Progress::~Progress() {
  if (!ticker_) return;
  {
    const std::lock_guard lock(ticker_->mutex);
    ticker_->done = true;
  }
  ticker_->ended.notify_all();
  ticker_->thread.join();
  if (ticker_->shown) std::fprintf(stderr, "\r\033[K");
}

namespace {

std::string scaled(double value, double base, std::initializer_list<const char*> units) {
  auto unit = units.begin();
  while (std::fabs(value) >= base * 0.9995 && unit + 1 != units.end()) {
    value /= base;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, unit == units.begin() && value == std::floor(value) ? "%.0f%s" : "%.3g%s",
                value, *unit);
  return text;
}

}  // namespace

std::string time_text(double nanoseconds) { return scaled(nanoseconds, 1000, {" ns", " us", " ms", " s"}); }
std::string bytes_text(double bytes) { return scaled(bytes, 1000, {" B", " kB", " MB", " GB", " TB"}); }
std::string count_text(double count) { return scaled(count, 1000, {"", " k", " M", " G", " T"}); }

std::string table_text(const std::vector<std::vector<std::string>>& rows, size_t left_columns) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line, under;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      const std::string pad(widths[i] - rows[r][i].size(), ' ');
      line += (i ? "  " : "") + (i < left_columns ? rows[r][i] + pad : pad + rows[r][i]);
      under += (i ? "  " : "") + std::string(widths[i], '-');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (r == 0) out += under + "\n";
  }
  return out;
}

void print_out(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    if (errno == EPIPE) throw NobodyReads();
    throw Failure{kRunFailed, Error("file-unwritable", "standard output cannot be written")};
  }
}

}  // namespace nnefrun::cli
