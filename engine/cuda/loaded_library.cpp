#include "engine/cuda/loaded_library.h"

#include <dlfcn.h>

#include "engine/error.h"

namespace sae::cuda {

LoadedLibrary::LoadedLibrary(std::string stem, int major) : stem_(std::move(stem)) {
  const std::string name = "lib" + stem_ + ".so." + std::to_string(major);
  file_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (file_ == nullptr) file_ = ::dlopen((SAE_CUDA_LIBRARIES "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
  CHECK(file_ != nullptr, "device cuda: {} was not found; install the CUDA Toolkit or set LD_LIBRARY_PATH", name);
}

LoadedLibrary::~LoadedLibrary() { ::dlclose(file_); }

void* LoadedLibrary::address_of(const char* name) const {
  void* address = ::dlsym(file_, name);
  CHECK(address != nullptr, "{}: the library has no {}", stem_, name);
  return address;
}

}  // namespace sae::cuda
