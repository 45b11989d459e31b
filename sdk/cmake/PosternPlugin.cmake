# postern_add_plugin(NAME [PARTS] SOURCES file... [LIBRARIES target...])
#
# Builds NAME.so. With PARTS its sources are an object library NAME_parts, which tests of the parts link as well: definitions and
# include folders belong to that target then. Only `postern_entry` leaves the library: two plugins in one process must not share statics, and under
# RTLD_LOCAL unique symbols would still merge, so they are not made at all (the loader refuses a library that has them).
set(POSTERN_PLUGIN_VERSION_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(postern_add_plugin NAME)
  cmake_parse_arguments(ARG "PARTS" "" "SOURCES;LIBRARIES" ${ARGN})
  set(compiled ${NAME})
  if(ARG_PARTS)
    set(compiled ${NAME}_parts)
    add_library(${compiled} OBJECT ${ARG_SOURCES})
    add_library(${NAME} MODULE)
    target_link_libraries(${NAME} PRIVATE ${compiled})
    target_link_libraries(${compiled} PUBLIC postern_sdk ${ARG_LIBRARIES})
    set_target_properties(${compiled} ${NAME} PROPERTIES LINKER_LANGUAGE CXX POSITION_INDEPENDENT_CODE ON)
  else()
    add_library(${NAME} MODULE ${ARG_SOURCES})
    target_link_libraries(${NAME} PRIVATE postern_sdk ${ARG_LIBRARIES})
  endif()
  set_target_properties(${compiled} PROPERTIES
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  set_target_properties(${NAME} PROPERTIES PREFIX "" OUTPUT_NAME ${NAME} LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${compiled} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)
  endif()
  target_link_options(${NAME} PRIVATE LINKER:--version-script=${POSTERN_PLUGIN_VERSION_SCRIPT} LINKER:--no-undefined)
  if(POSTERN_SANITIZE)  # the sanitizer's runtime is in the program, not in the plugin
    set_property(TARGET ${NAME} PROPERTY LINK_OPTIONS LINKER:--version-script=${POSTERN_PLUGIN_VERSION_SCRIPT})
  endif()
endfunction()
