# find_package(postern-sdk): postern_add_plugin(NAME SOURCES …), the headers as postern_sdk, the fake host as postern_sdk_testing.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
get_filename_component(postern_sdk_prefix ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)

if(NOT TARGET postern_sdk)
  add_library(postern_sdk INTERFACE IMPORTED)
  target_include_directories(postern_sdk INTERFACE ${postern_sdk_prefix}/include)
  target_compile_features(postern_sdk INTERFACE cxx_std_20)
  add_library(postern_sdk_testing STATIC IMPORTED)
  set_target_properties(postern_sdk_testing PROPERTIES IMPORTED_LOCATION ${postern_sdk_prefix}/lib/libpostern_sdk_testing.a)
  target_link_libraries(postern_sdk_testing INTERFACE postern_sdk Threads::Threads ${CMAKE_DL_LIBS})
endif()

include(${CMAKE_CURRENT_LIST_DIR}/PosternPlugin.cmake)
