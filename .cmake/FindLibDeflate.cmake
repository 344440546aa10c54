# libdeflate as trainstate uses it, for CRC-32 alone, as LibDeflate::LibDeflate. Nothing needs it: zlib does the same in
# several times the time.

include(FindPackageHandleStandardArgs)
find_path(LibDeflate_INCLUDE_DIR libdeflate.h)
find_library(LibDeflate_LIBRARY NAMES deflate libdeflate)
mark_as_advanced(LibDeflate_INCLUDE_DIR LibDeflate_LIBRARY)
find_package_handle_standard_args(
  LibDeflate
  REQUIRED_VARS LibDeflate_LIBRARY LibDeflate_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libdeflate-dev (Debian)"
)
if(LibDeflate_FOUND AND NOT TARGET LibDeflate::LibDeflate)
  add_library(LibDeflate::LibDeflate UNKNOWN IMPORTED)
  set_target_properties(
    LibDeflate::LibDeflate PROPERTIES IMPORTED_LOCATION "${LibDeflate_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES
                                                                                "${LibDeflate_INCLUDE_DIR}"
  )
endif()
