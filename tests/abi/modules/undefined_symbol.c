/* Needs a function that nobody has: found out when it is loaded, not in the middle of a delivery. */
#include <postern/abi.h>

int nobody_has_this(void);
int ask(void);
int ask(void) { return nobody_has_this(); }
const postern_plugin_entry postern_entry = {
    sizeof(postern_plugin_entry), POSTERN_ABI_MAJOR, 0, 0, {"module", 6}, {"1", 1}, {"b", 1}, NULL, 0, NULL};
