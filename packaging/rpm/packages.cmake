# The rpms, by CPack: one a component. They are made on Debian and are for Fedora 38 or later and Enterprise Linux 10 or later, so they
# bring along what Debian has in other versions: see carried.txt and stage.sh.
set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_MAIN_COMPONENT postern)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_COMPRESSION_TYPE xz)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/generator.cmake)  # what is known only when they are made
set(POSTERN_RPM_PRIVATE /usr/lib64/postern)

# Who needs the libraries that are carried finds them here; nobody else may count on them. The rest of what rpm sees in the files is
# right: glibc, libstdc++, libgcc and OpenSSL, by their symbols' versions.
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/rpm/carried.txt carried REGEX "^lib")
list(TRANSFORM carried REPLACE " .*$" "")
list(TRANSFORM carried REPLACE "[.]" "[.]")
list(JOIN carried "|" carried)
# Nothing is stripped, compressed or linked by its build id behind our back: cpack and stage.sh have done what is to be done.
set(CPACK_RPM_SPEC_MORE_DEFINE "%define __spec_install_post %{nil}
%define debug_package %{nil}
%define _build_id_links none
%define _buildhost localhost
%define packager ${CPACK_PACKAGE_CONTACT}
%global __requires_exclude ^(${carried})[(]
%global __provides_exclude_from ^(${POSTERN_RPM_PRIVATE}|/usr/${plugin_folder})/")

# Folders of others, or of `postern` alone.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /usr/lib/postern /usr/${plugin_folder}
  /usr/lib/systemd /usr/lib/systemd/system /usr/lib/sysusers.d /usr/lib/tmpfiles.d /usr/lib/cmake /usr/share/licenses /usr/share/pkgconfig
  /usr/share/man /usr/share/man/man1 /usr/share/man/man5 /usr/share/bash-completion /usr/share/bash-completion/completions
  /var /var/lib /usr/share/zsh /usr/share/zsh/site-functions /usr/share/fish /usr/share/fish/vendor_completions.d)

execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} -c safe.directory=${CMAKE_SOURCE_DIR} log -1 "--format=%ad" "--date=format:%a %b %d %Y"
                OUTPUT_VARIABLE day OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT day)
  string(TIMESTAMP day "%a %b %d %Y" UTC)
endif()
set(CPACK_RPM_CHANGELOG_FILE ${CMAKE_CURRENT_BINARY_DIR}/rpm/changelog)
file(WRITE ${CPACK_RPM_CHANGELOG_FILE} "* ${day} ${CPACK_PACKAGE_CONTACT} - ${CPACK_PACKAGE_VERSION}-${CPACK_RPM_PACKAGE_RELEASE}
- What has changed: /usr/share/doc/postern/CHANGELOG.md
")

# rpm_package(COMPONENT NAME)
function(rpm_package COMPONENT NAME)
  string(SUBSTRING "${summary_${COMPONENT}}" 0 1 first)
  string(SUBSTRING "${summary_${COMPONENT}}" 1 -1 rest)
  string(TOUPPER ${first} first)
  string(TOUPPER ${COMPONENT} key)
  set(CPACK_RPM_${key}_PACKAGE_NAME ${NAME} PARENT_SCOPE)
  set(CPACK_RPM_${key}_PACKAGE_SUMMARY "${first}${rest}" PARENT_SCOPE)
  set(CPACK_RPM_${key}_PACKAGE_DESCRIPTION "${description_${COMPONENT}}" PARENT_SCOPE)
endfunction()

rpm_package(postern postern)
set(CPACK_RPM_POSTERN_PACKAGE_REQUIRES ca-certificates)
set(CPACK_RPM_POSTERN_PACKAGE_REQUIRES_PRE /usr/bin/systemd-sysusers)
set(CPACK_RPM_POSTERN_PACKAGE_REQUIRES_POST /usr/bin/systemd-tmpfiles)
file(READ ${units}/postern.sysusers user)
configure_file(rpm/scriptlets/pre.in ${CMAKE_CURRENT_BINARY_DIR}/rpm/pre @ONLY)
set(CPACK_RPM_POSTERN_PRE_INSTALL_SCRIPT_FILE ${CMAKE_CURRENT_BINARY_DIR}/rpm/pre)
set(CPACK_RPM_POSTERN_POST_INSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/scriptlets/post)
set(CPACK_RPM_POSTERN_PRE_UNINSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/scriptlets/preun)
set(CPACK_RPM_POSTERN_POST_UNINSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/scriptlets/postun)
# The folders that come to be with the first start: theirs by name, so that erasing takes them along when they are empty.
set(CPACK_RPM_POSTERN_USER_FILELIST
  "%dir /usr/lib/postern" "%dir /usr/${plugin_folder}"
  "%config(noreplace) /etc/postern/gateway.yaml"
  "%ghost %dir %attr(0750,root,postern) /etc/postern/secrets"
  "%ghost %dir %attr(0700,postern,postern) /var/lib/postern")

rpm_package(dev postern-devel)
set(CPACK_RPM_DEV_PACKAGE_GROUP "Development/Libraries")
foreach(plugin IN LISTS plugins)
  string(REPLACE "_" "-" name ${plugin})
  rpm_package(plugin-${plugin} postern-plugin-${name})
endforeach()
