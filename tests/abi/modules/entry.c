/* An entry with one thing wrong, which the build chooses. No function of such a plugin may ever be called: create ends the process. */
#include <postern/abi.h>
#include <stdlib.h>

#ifndef STRUCT_SIZE
#define STRUCT_SIZE sizeof(postern_plugin_entry)
#endif
#ifndef MAJOR
#define MAJOR POSTERN_ABI_MAJOR
#endif
#ifndef ID
#define ID { "module", 6 }
#endif
#ifndef VERSION
#define VERSION { "1", 1 }
#endif
#ifndef BUILD_ID
#define BUILD_ID { "b", 1 }
#endif
#ifndef REQUIRES
#define REQUIRES NULL, 0
#endif
#ifndef CREATE
#define CREATE create
#endif

extern const postern_str wanted[1];
const postern_str wanted[1] = {{"postern.crystal_ball/7", 22}};
extern const postern_str unreadable[1];
const postern_str unreadable[1] = {{NULL, 9}};

postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin, postern_instance** instance);
postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin, postern_instance** instance) {
  (void)api, (void)host, (void)plugin, (void)instance;
  abort();
}

const postern_plugin_entry postern_entry = {STRUCT_SIZE, MAJOR, 0, 0, ID, VERSION, BUILD_ID, REQUIRES, CREATE};
