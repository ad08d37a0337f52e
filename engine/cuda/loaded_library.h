#pragma once

#include <string>

namespace sae::cuda {

/// A library of the CUDA Toolkit, loaded when it is first asked for, so that a program starts without it and does not
/// wait for its hundreds of megabytes where it runs on the processor.
class LoadedLibrary {
 public:
  /// `stem`: "cublasLt" for libcublasLt.so.MAJOR. Looked for as the system does, then where the build found the
  /// toolkit.
  LoadedLibrary(std::string stem, int major);
  ~LoadedLibrary();
  LoadedLibrary(const LoadedLibrary&) = delete;
  LoadedLibrary& operator=(const LoadedLibrary&) = delete;

  template <class F>
  void find(F& function, const char* name) const {
    function = reinterpret_cast<F>(address_of(name));
  }

 private:
  void* address_of(const char* name) const;

  std::string stem_;
  void* file_ = nullptr;
};

}  // namespace sae::cuda
