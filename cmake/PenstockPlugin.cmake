# penstock_add_plugin(<name> KIND connectors|notifiers|metrics|models [SOURCES …] [LIBRARIES …] [SCHEMA file] [TEST])
#   Builds <name>.so from the folder's .c files (or SOURCES) with config.schema.json beside them embedded as
#   `const char config_schema[]`. Only penstock_plugin_v1 is exported; a missing symbol is a link error.
#   In this tree the file lands in <build>/plugins/<KIND>/; TEST puts it into <build>/tests/plugins/ and does not
#   install it. Also part of the installed SDK: find_package(Penstock) defines it with Penstock::sdk; there the file lands
#   in the build folder and is compiled with warnings.
set(PENSTOCK_PLUGIN_CMAKE_FOLDER ${CMAKE_CURRENT_LIST_DIR})

function(penstock_plugin_schema target schema)
  if(NOT schema)
    set(schema ${CMAKE_CURRENT_SOURCE_DIR}/config.schema.json)
  endif()
  get_filename_component(schema ${schema} ABSOLUTE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embed/${target}/config_schema.c)
  add_custom_command(OUTPUT ${out} DEPENDS ${schema} ${PENSTOCK_PLUGIN_CMAKE_FOLDER}/embed.cmake
    COMMAND ${CMAKE_COMMAND} -DIN=${schema} -DOUT=${out} -DSYMBOL=config_schema -P ${PENSTOCK_PLUGIN_CMAKE_FOLDER}/embed.cmake
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

function(penstock_add_plugin name)
  cmake_parse_arguments(p "TEST" "KIND;SCHEMA" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT p_KIND MATCHES "^(connectors|notifiers|metrics|models)$")
    message(FATAL_ERROR "penstock_add_plugin(${name}): KIND is connectors, notifiers, metrics or models")
  endif()
  if(NOT p_SOURCES)
    file(GLOB p_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  endif()
  if(p_TEST)
    set(folder ${CMAKE_BINARY_DIR}/tests/plugins)
  elseif(TARGET penstock_sdk)
    set(folder ${CMAKE_BINARY_DIR}/plugins/${p_KIND})
  else()
    set(folder ${CMAKE_CURRENT_BINARY_DIR})
  endif()
  set(map ${PENSTOCK_PLUGIN_CMAKE_FOLDER}/plugin.map)
  add_library(plugin_${name} MODULE ${p_SOURCES})
  penstock_plugin_schema(plugin_${name} "${p_SCHEMA}")
  set_target_properties(plugin_${name} PROPERTIES OUTPUT_NAME ${name} PREFIX "" C_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY ${folder} LINK_DEPENDS ${map})
  target_compile_definitions(plugin_${name} PRIVATE PST_SCHEMA_IS_LINKED)
  if(NOT TARGET penstock_sdk)
    target_compile_options(plugin_${name} PRIVATE -Wall -Wextra -Wno-unused-parameter)
  endif()
  target_link_libraries(plugin_${name} PRIVATE Penstock::sdk ${p_LIBRARIES})
  target_link_options(plugin_${name} PRIVATE -Wl,-z,defs -Wl,-z,now -Wl,--version-script=${map})
  if(NOT p_TEST)
    install(TARGETS plugin_${name} LIBRARY
      DESTINATION lib/penstock/plugins/${p_KIND} COMPONENT plugin-${name})
  endif()
endfunction()
