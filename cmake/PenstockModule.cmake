# penstock_module(<name> USES <modules and libraries>…)
#   One folder = one static library penstock_<name>, made of every .c file of the folder that calls it.
#   Headers are reached as "<folder>/<noun>.h" from host/. tests/unit/<name>/*_test.c are its tests.
# penstock_embed(<target> <symbol> <file>): the file's bytes as `const char <symbol>[]` (NUL-terminated) plus <symbol>_len.
function(penstock_embed target symbol file)
  get_filename_component(path ${file} ABSOLUTE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embed/${symbol}.c)
  add_custom_command(OUTPUT ${out} DEPENDS ${path} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMAND ${CMAKE_COMMAND} -DIN=${path} -DOUT=${out} -DSYMBOL=${symbol} -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

function(penstock_module name)
  cmake_parse_arguments(m "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  if(NOT sources)
    add_library(penstock_${name} INTERFACE)
    target_include_directories(penstock_${name} INTERFACE ${CMAKE_SOURCE_DIR}/host)
    target_link_libraries(penstock_${name} INTERFACE ${m_USES})
    return()
  endif()
  add_library(penstock_${name} STATIC ${sources})
  target_include_directories(penstock_${name} PUBLIC ${CMAKE_SOURCE_DIR}/host)
  target_link_libraries(penstock_${name} PUBLIC ${m_USES})
endfunction()
