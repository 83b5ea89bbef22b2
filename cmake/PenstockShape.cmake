# `cmake --build … --target shape` prints how long functions and files are (cmake/shape.sh says what we want).
add_custom_target(shape COMMAND ${CMAKE_SOURCE_DIR}/cmake/shape.sh ${CMAKE_SOURCE_DIR} VERBATIM)
