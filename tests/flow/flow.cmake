# penstock_host_tests(<label> <seconds>): every *_test.py of the calling folder becomes ctest case <label>/<noun>, run
# with tests/flow/harness.py on its path.
set(PENSTOCK_HARNESS_FOLDER ${CMAKE_CURRENT_LIST_DIR})
function(penstock_host_tests label seconds)
  math(EXPR last "${seconds} + 60")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.py)
  foreach(source ${sources})
    get_filename_component(noun ${source} NAME_WE)
    string(REGEX REPLACE "_test$" "" noun ${noun})
    add_test(NAME ${label}/${noun} COMMAND ${Python3_EXECUTABLE} -B ${source})
    set_tests_properties(${label}/${noun} PROPERTIES LABELS ${label} TIMEOUT ${last} SKIP_RETURN_CODE 77
      ENVIRONMENT "PENSTOCK_BUILD=${CMAKE_BINARY_DIR};PENSTOCK_TEST_SECONDS=${seconds};PYTHONPATH=${PENSTOCK_HARNESS_FOLDER}")
  endforeach()
endfunction()
