# Run by cpack once all components are installed, before rpms are made of them.
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/stage.sh ${CPACK_TEMPORARY_INSTALL_DIRECTORY} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "packaging/rpm/stage.sh ended with ${status}")
endif()
# Who looks for packages that bring a library along, after a hole in it, asks for these.
file(READ ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/bundled CPACK_RPM_POSTERN_PACKAGE_PROVIDES)
