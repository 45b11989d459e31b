# Warnings, hardening and sanitizers, the same for the daemon, the plugins and the tests.
add_compile_options(-Wall -Wextra -Wpedantic -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12 uses what it deprecates itself (std::stable_sort), and clang does not see that it is a system header's business.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-deprecated-declarations>)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

if(POSTERN_SANITIZE)
  # -g1: lines for the reports, and a quarter less time to compile than with -g.
  add_compile_options(-fsanitize=${POSTERN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${POSTERN_SANITIZE})
  if(POSTERN_FUZZERS)
    add_compile_options(-fsanitize=fuzzer-no-link)  # tells the fuzzers which edges an input took; any program can be linked with it
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # GCC 12 sees ghosts in instrumented standard headers (std::regex)
  endif()
else()
  add_compile_options($<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
endif()
include(CheckPIESupported)
check_pie_supported()
add_link_options(LINKER:-z,relro,-z,now LINKER:--as-needed)
