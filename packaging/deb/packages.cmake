# The Debian packages, by CPack: one a component. dpkg-shlibdeps finds what each is linked with.
set(CPACK_DEBIAN_PACKAGE_RELEASE 1~deb12)  # what it is linked with is of Debian 12
set(POSTERN_DEB_VERSION ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

# Debian wants them in each package.
set(texts ${CMAKE_CURRENT_BINARY_DIR}/deb)
file(MAKE_DIRECTORY ${texts})
configure_file(deb/copyright.in ${texts}/copyright @ONLY)
add_custom_command(OUTPUT ${texts}/changelog.gz COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md > ${texts}/changelog.gz
  DEPENDS ${CMAKE_SOURCE_DIR}/CHANGELOG.md VERBATIM)
add_custom_target(deb_texts ALL DEPENDS ${texts}/changelog.gz)
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} -c safe.directory=${CMAKE_SOURCE_DIR} log -1 --format=%aD
                OUTPUT_VARIABLE DATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT DATE)
  string(TIMESTAMP DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
endif()

# deb_package(COMPONENT NAME)
function(deb_package COMPONENT NAME)
  string(TOUPPER ${COMPONENT} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${NAME} PARENT_SCOPE)
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${summary_${COMPONENT}}\n${description_${COMPONENT}}" PARENT_SCOPE)
  configure_file(deb/changelog.in ${texts}/${NAME}/changelog.Debian @ONLY)
  execute_process(COMMAND gzip -9nf ${texts}/${NAME}/changelog.Debian)
  install(FILES ${texts}/copyright ${texts}/changelog.gz ${texts}/${NAME}/changelog.Debian.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${NAME} COMPONENT ${COMPONENT})
endfunction()

deb_package(postern postern)
set(CPACK_DEBIAN_POSTERN_PACKAGE_DEPENDS "ca-certificates, libsystemd0, systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_POSTERN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_SOURCE_DIR}/deb/postinst;${CMAKE_CURRENT_SOURCE_DIR}/deb/prerm;${CMAKE_CURRENT_SOURCE_DIR}/deb/postrm;${CMAKE_CURRENT_SOURCE_DIR}/deb/conffiles;${CMAKE_CURRENT_SOURCE_DIR}/deb/triggers)
set(CPACK_DEBIAN_POSTERN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/deb/lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME postern COMPONENT postern)

deb_package(dev postern-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)

foreach(plugin IN LISTS plugins)
  string(REPLACE "_" "-" name ${plugin})
  deb_package(plugin-${plugin} postern-plugin-${name})
  string(TOUPPER plugin-${plugin} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "postern (= ${POSTERN_DEB_VERSION})")
endforeach()
