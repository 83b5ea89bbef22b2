# A field that moves fails the build: the layout program, compiled with such a header, must not agree with the lock.
execute_process(COMMAND ${CC} -std=gnu17 "-DLAYOUT_HEADER=\"${HEADER}\"" -I${INCLUDE} ${SOURCE} -o ${OUT} RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "the changed header does not compile")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -DPROGRAM=${OUT} -DLOCK=${LOCK} -P ${CMAKE_CURRENT_LIST_DIR}/compare_layout.cmake
  RESULT_VARIABLE code ERROR_VARIABLE said)
if(code EQUAL 0)
  message(FATAL_ERROR "a moved field was not noticed")
endif()
if(NOT said MATCHES "differs from")
  message(FATAL_ERROR "it failed for another reason: ${said}")
endif()
