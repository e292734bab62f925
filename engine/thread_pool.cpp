#include "engine/thread_pool.h"

#include <dlfcn.h>

#include <string>

#include "base/error.h"
#include "engine/executor_tbb.h"

namespace nnefrun {
namespace {

struct Module {
  decltype(&nnefrun_tbb_create) create = nullptr;
  decltype(&nnefrun_tbb_destroy) destroy = nullptr;
  std::string failure;
};

Module load_module() {
  constexpr const char* kName = "libnnefrun_tbb.so";
  static const char here = 0;
  void* library = nullptr;
  Dl_info self = {};
  if (dladdr(&here, &self) != 0 && self.dli_fname != nullptr) {
    const std::string file = self.dli_fname;
    const size_t slash = file.rfind('/');
    const std::string folder = slash == std::string::npos ? "./" : file.substr(0, slash + 1);
    library = dlopen((folder + kName).c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) library = dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  Module module;
  if (library == nullptr) {
    const char* message = dlerror();
    module.failure = message != nullptr ? message : kName;
    return module;
  }
  module.create = reinterpret_cast<decltype(module.create)>(dlsym(library, "nnefrun_tbb_create"));
  module.destroy = reinterpret_cast<decltype(module.destroy)>(dlsym(library, "nnefrun_tbb_destroy"));
  if (module.create == nullptr || module.destroy == nullptr) {
    module.failure = std::string(kName) + " is of another version";
    module.create = nullptr;
  }
  return module;
}

// Loaded once and kept: oneTBB's threads outlive pools.
const Module& tbb_module() {
  static const Module module = load_module();
  return module;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads <= 1) return;
  const Module& module = tbb_module();
  if (module.create == nullptr) {
    throw Error("threads-unavailable", "there are no threads, asked for " + std::to_string(threads))
        .note("threads come from oneTBB, by a module that is built where oneTBB is found: " + module.failure);
  }
  pool_ = module.create(threads, &executor_);
  if (pool_ == nullptr) throw Error("out-of-memory", "there is no memory for threads");
}

ThreadPool::~ThreadPool() {
  if (pool_ != nullptr) tbb_module().destroy(pool_);
}

}  // namespace nnefrun
