# For tests and examples: TRAINSTATE_PYTHON is a python3 that can import torch, or empty.
set(TRAINSTATE_PYTHON "" CACHE FILEPATH "A python3 with torch, for the tests and examples that compare with PyTorch")
if(NOT TRAINSTATE_PYTHON)
  find_program(trainstate_python3 python3)
  # A python3 of the user's own may come first on the PATH and lack the system's packages.
  foreach(candidate IN ITEMS "${trainstate_python3}" /usr/bin/python3)
    execute_process(
      COMMAND "${candidate}" -c "import torch"
      RESULT_VARIABLE failure
      OUTPUT_QUIET ERROR_QUIET
    )
    if(NOT failure)
      set_property(CACHE TRAINSTATE_PYTHON PROPERTY VALUE "${candidate}")
      break()
    endif()
  endforeach()
  if(NOT TRAINSTATE_PYTHON)
    message(STATUS "No python3 with torch: tests that compare with PyTorch are left out")
  endif()
endif()
