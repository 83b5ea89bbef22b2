# Python tests that start hosts, with tests/flow/harness.py on their path.
#
# penstock_host_tests(<label> <seconds>): every *_test.py of the calling folder becomes ctest case <label>/<noun>.
# penstock_host_soak(<noun> <seconds> [<variable>=<value> ...]): <noun>_test.py of the calling folder once more as soak/<noun>,
# alone on the machine and for longer, as the variables say.
set(PENSTOCK_HARNESS_FOLDER ${CMAKE_CURRENT_LIST_DIR})

function(penstock_host_test name source seconds label)
  math(EXPR last "${seconds} + 60")
  add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} -B ${source})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${last} SKIP_RETURN_CODE 77 ENVIRONMENT
    "PENSTOCK_BUILD=${CMAKE_BINARY_DIR};PENSTOCK_TEST_SECONDS=${seconds};PYTHONPATH=${PENSTOCK_HARNESS_FOLDER};${ARGN}")
endfunction()

function(penstock_host_tests label seconds)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.py)
  foreach(source ${sources})
    get_filename_component(noun ${source} NAME_WE)
    string(REGEX REPLACE "_test$" "" noun ${noun})
    penstock_host_test(${label}/${noun} ${source} ${seconds} ${label})
  endforeach()
endfunction()

function(penstock_host_soak noun seconds)
  penstock_host_test(soak/${noun} ${CMAKE_CURRENT_SOURCE_DIR}/${noun}_test.py ${seconds} soak ${ARGN})
  set_tests_properties(soak/${noun} PROPERTIES RUN_SERIAL ON)
endfunction()
