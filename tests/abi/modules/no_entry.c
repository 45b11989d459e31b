/* A shared library like any other: no postern_entry. */
#include <postern/abi.h>

POSTERN_EXPORT int something_else(void);
int something_else(void) { return 1; }
