# The same program as C++17, strictly.
execute_process(COMMAND ${CXX} -std=c++17 -x c++ -Wall -Wextra -Wno-invalid-offsetof -pedantic -Werror -I${INCLUDE} ${SOURCE}
  -o ${OUT} RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "the header does not compile as C++17")
endif()
set(PROGRAM ${OUT})
include(${CMAKE_CURRENT_LIST_DIR}/compare_layout.cmake)
