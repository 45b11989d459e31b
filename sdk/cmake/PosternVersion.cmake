# postern_version(OUT): the version of this checkout, from its tags.
#   at the tag v1.2.0           1.2.0
#   seven commits after it      1.2.0+7.g3f2a91c
#   before the first tag        0.1.0~181.g3f2a91c   (the project's version is to come)
#   without git (a tarball)     the project's version
# Packages sort in this order. CMake runs again when HEAD has moved.
function(postern_version OUT)
  set(${OUT} ${PROJECT_VERSION} PARENT_SCOPE)
  find_package(Git QUIET)
  if(NOT GIT_FOUND OR NOT EXISTS ${PROJECT_SOURCE_DIR}/.git)
    return()
  endif()
  set(git ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} -c safe.directory=${PROJECT_SOURCE_DIR})
  execute_process(COMMAND ${git} rev-parse --path-format=absolute --git-path logs/HEAD
                  OUTPUT_VARIABLE moves OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(EXISTS "${moves}")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${moves}")
  endif()
  execute_process(COMMAND ${git} describe --tags --long --match v[0-9]* OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(said MATCHES "^v(.+)-([0-9]+)-(g[0-9a-f]+)$")
    set(version ${CMAKE_MATCH_1})
    if(NOT CMAKE_MATCH_2 EQUAL 0)
      string(APPEND version "+${CMAKE_MATCH_2}.${CMAKE_MATCH_3}")
    endif()
    set(${OUT} ${version} PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${git} rev-list --count HEAD OUTPUT_VARIABLE count OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${git} rev-parse --short HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(count AND commit)
    set(${OUT} "${PROJECT_VERSION}~${count}.g${commit}" PARENT_SCOPE)
  endif()
endfunction()
