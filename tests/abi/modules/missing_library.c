/* Needs a library that is not installed. */
#include <postern/abi.h>

int absent_answer(void);
int ask(void);
int ask(void) { return absent_answer(); }
const postern_plugin_entry postern_entry = {
    sizeof(postern_plugin_entry), POSTERN_ABI_MAJOR, 0, 0, {"module", 6}, {"1", 1}, {"b", 1}, NULL, 0, NULL};
