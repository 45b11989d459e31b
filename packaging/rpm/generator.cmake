# Read by cpack before it makes packages of a kind: what cannot be said in CMakeLists.txt.
if(CPACK_GENERATOR STREQUAL "RPM")
  set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/stage.cmake)

  # Of the version that the packages are given (`cpack -D CPACK_PACKAGE_VERSION=…`).
  foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    if(component MATCHES "^plugin-")
      string(TOUPPER ${component} key)
      set(CPACK_RPM_${key}_PACKAGE_REQUIRES "postern%{?_isa} = ${CPACK_PACKAGE_VERSION}-${CPACK_RPM_PACKAGE_RELEASE}")
    endif()
  endforeach()

  # CPack has one licence for all packages; that of `postern` is what it carries too.
  string(CONCAT carried "Apache-2.0 AND BSL-1.0 AND MIT AND BSD-2-Clause AND BSD-3-Clause AND BSD-4-Clause-UC AND curl AND blessing AND Zlib "
    "AND OLDAP-2.8 AND LGPL-2.1-or-later AND (LGPL-3.0-or-later OR GPL-2.0-or-later)")
  set(CPACK_RPM_PACKAGE_LICENSE "%[\"%{name}\" == \"postern\" ? \"${carried}\" : \"Apache-2.0\"]")
endif()
