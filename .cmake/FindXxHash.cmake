# xxHash as trainstate uses it: the headers alone, as XxHash::headers. No library is linked.

include(FindPackageHandleStandardArgs)
find_path(XxHash_INCLUDE_DIR xxhash.h)
mark_as_advanced(XxHash_INCLUDE_DIR)
find_package_handle_standard_args(
  XxHash
  REQUIRED_VARS XxHash_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libxxhash-dev (Debian)"
)
if(XxHash_FOUND AND NOT TARGET XxHash::headers)
  add_library(XxHash::headers INTERFACE IMPORTED)
  target_include_directories(XxHash::headers SYSTEM INTERFACE ${XxHash_INCLUDE_DIR})
endif()
