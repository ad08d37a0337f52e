# The CUDA Toolkit is optional: SAE_CUDA is OFF afterwards where there is none. Included by the top directory, since a
# language has to be enabled there. Sanitized builds leave it out: they run on the processor.
if(SAE_CUDA AND NOT SAE_SANITIZE)
  set(CMAKE_CUDA_ARCHITECTURES ${SAE_CUDA_ARCHITECTURES})
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(CMAKE_CUDA_COMPILER)
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc speaks C++20.
  foreach(kind STANDARD EXTENSION)
    if(NOT CMAKE_CUDA20_${kind}_COMPILE_OPTION)
      set(CMAKE_CUDA20_${kind}_COMPILE_OPTION -std=c++20)
    endif()
  endforeach()
  # CMake 3.25 sets a property of this library, which CUDA 13 has no longer, without asking whether it is there.
  add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
  find_package(CUDAToolkit 12 REQUIRED)
  set_target_properties(CUDA::cudart_static PROPERTIES IMPORTED_GLOBAL ON)
else()
  set(SAE_CUDA OFF)
endif()
message(STATUS "Kernels for NVIDIA GPUs: ${SAE_CUDA}")
