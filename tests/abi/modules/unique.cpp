// Built with the compiler's defaults: the static variable of a template becomes one object for the whole process (GNU_UNIQUE), which
// two plugins would share.
#include "module.h"

template <typename T>
struct Shared {
  static inline int count = 0;
};
int* shared_count() { return &Shared<int>::count; }

ABI_MODULE()
