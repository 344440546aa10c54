# LibTorch as one target, LibTorch::LibTorch, whichever way it was installed. Used by trainstate's own build and,
# installed beside its package file, by `find_package(trainstate)`.
#
# First LibTorch's own TorchConfig.cmake (Debian's libtorch-dev, the pytorch.org archives, pip's torch through
# CMAKE_PREFIX_PATH), then a plain search for its headers and libraries. A build that has called
# `find_package(Torch)` itself keeps what it found.

include(FindPackageHandleStandardArgs)

if(NOT TARGET LibTorch::LibTorch)
  block()
    # TorchConfig prints whatever level QUIET asks for, and Debian's warns of a static library that nothing links.
    set(CMAKE_MESSAGE_LOG_LEVEL ERROR)
    find_package(Torch QUIET CONFIG)
    if(Torch_FOUND)
      set(LibTorch_libraries ${TORCH_LIBRARIES})
      list(FILTER LibTorch_libraries EXCLUDE REGEX "-NOTFOUND$")
      set(LibTorch_includes ${TORCH_INCLUDE_DIRS})
      separate_arguments(LibTorch_options UNIX_COMMAND "${TORCH_CXX_FLAGS}")
      set(LibTorch_VERSION "${Torch_VERSION}" PARENT_SCOPE)
    else()
      find_path(LibTorch_INCLUDE_DIR torch/csrc/api/include/torch/torch.h)
      find_library(LibTorch_torch_LIBRARY torch)
      find_library(LibTorch_torch_cpu_LIBRARY torch_cpu)
      find_library(LibTorch_c10_LIBRARY c10)
      mark_as_advanced(LibTorch_INCLUDE_DIR LibTorch_torch_LIBRARY LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY)
      set(LibTorch_libraries ${LibTorch_torch_LIBRARY} ${LibTorch_torch_cpu_LIBRARY} ${LibTorch_c10_LIBRARY})
      set(LibTorch_includes ${LibTorch_INCLUDE_DIR} ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
      set(LibTorch_options "")
      if(NOT (LibTorch_INCLUDE_DIR AND LibTorch_torch_LIBRARY AND LibTorch_torch_cpu_LIBRARY AND LibTorch_c10_LIBRARY))
        set(LibTorch_libraries "")
      endif()
    endif()
    if(LibTorch_libraries)
      add_library(LibTorch::LibTorch INTERFACE IMPORTED)
      target_link_libraries(LibTorch::LibTorch INTERFACE ${LibTorch_libraries})
      target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE ${LibTorch_includes})
      target_compile_options(LibTorch::LibTorch INTERFACE ${LibTorch_options})
    endif()
  endblock()
endif()

if(TARGET LibTorch::LibTorch)
  get_target_property(LibTorch_LIBRARIES LibTorch::LibTorch INTERFACE_LINK_LIBRARIES)
endif()
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_LIBRARIES
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "install libtorch-dev (Debian), or name LibTorch's folder in CMAKE_PREFIX_PATH"
)
