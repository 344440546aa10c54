# Runs one case of this folder: it compiles as it stands, and with TRAINSTATE_MISTAKE defined it does not. Then the first
# line that says "error" has the text of every `// expect:` line, and what comes before and right after it (the compilers
# differ in the order) matches the regular expression of every `// names:` line.
#
#   cmake -D compiler=… -D flags=-std=c++20|-Wall -D includes=/a|/b -D case=FILE -P check.cmake
cmake_minimum_required(VERSION 3.25)
set(ENV{LC_ALL} C)

string(REPLACE "|" ";" flags "${flags}")
string(REPLACE "|" ";" folders "${includes}")
set(includes "")
foreach(folder IN LISTS folders)
  cmake_path(NORMAL_PATH folder)
  # The compiler's own folder, named again, would stand before the C++ library's, whose #include_next then fails.
  if(NOT folder STREQUAL "/usr/include")
    list(APPEND includes -isystem "${folder}")
  endif()
endforeach()
file(STRINGS "${case}" expectations REGEX "^// (expect|names): ")
if(NOT expectations MATCHES "// expect: ")
  message(FATAL_ERROR "${case} has no line `// expect: text of the error`")
endif()

function(compile output_variable result_variable)
  execute_process(
    COMMAND "${compiler}" ${flags} ${includes} ${ARGN} -fsyntax-only "${case}"
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output
    RESULT_VARIABLE result
  )
  set(${output_variable} "${output}" PARENT_SCOPE)
  set(${result_variable} "${result}" PARENT_SCOPE)
endfunction()

compile(output result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "without the mistake it should compile:\n${output}")
endif()

compile(output result -DTRAINSTATE_MISTAKE)
if(result EQUAL 0)
  message(FATAL_ERROR "it compiles in spite of the mistake")
endif()
string(REGEX MATCH "[^\n]*error[^\n]*" first_error "${output}")
string(FIND "${output}" "${first_error}" at)
string(LENGTH "${first_error}" length)
math(EXPR length "${at} + ${length} + 1500")
string(SUBSTRING "${output}" 0 ${length} first_lines)

foreach(expectation IN LISTS expectations)
  string(REGEX MATCH "^// (expect|names): (.*)" _ "${expectation}")
  set(wanted "${CMAKE_MATCH_2}")
  if(CMAKE_MATCH_1 STREQUAL "expect")
    string(FIND "${first_error}" "${wanted}" found)
  else()
    string(REGEX MATCH "${wanted}" name "${first_lines}")
    string(COMPARE EQUAL "${name}" "" missing)
    math(EXPR found "0 - ${missing}")
  endif()
  if(found EQUAL -1)
    message(FATAL_ERROR "expected\n  ${wanted}\nin the first lines of\n${output}")
  endif()
endforeach()
