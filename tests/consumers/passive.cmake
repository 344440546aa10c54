# A library that is part of another build adds its targets and nothing else.
macro(remember_build)
  set(flags_before "${CMAKE_CXX_FLAGS}")
  get_directory_property(options_before COMPILE_OPTIONS)
  get_directory_property(definitions_before COMPILE_DEFINITIONS)
endmacro()

macro(require_unchanged_build)
  get_directory_property(options_after COMPILE_OPTIONS)
  get_directory_property(definitions_after COMPILE_DEFINITIONS)
  if(NOT "${flags_before};${options_before};${definitions_before}" STREQUAL
     "${CMAKE_CXX_FLAGS};${options_after};${definitions_after}"
  )
    message(FATAL_ERROR "trainstate changed the flags of the project that uses it")
  endif()
  foreach(target IN ITEMS trainstate_core_tests trainstate_warnings digits)
    if(TARGET ${target})
      message(FATAL_ERROR "trainstate adds its own target ${target} to the project that uses it")
    endif()
  endforeach()
endmacro()
