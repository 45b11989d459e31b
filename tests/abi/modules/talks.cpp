// Prints to standard output whenever it can, through C's and C++'s buffers and past them.
#include "module.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace {

void talk(const char* when) {
  std::printf("printf in %s\n", when);
  std::cout << "cout in " << when << '\n';
  ::dprintf(STDOUT_FILENO, "write in %s\n", when);
}

struct Static {
  Static() { talk("a static constructor"); }
  ~Static() {
    talk("a static destructor");
    std::fflush(stdout);
    std::cout.flush();
  }
} talker;

postern_status init(postern_instance*, postern_str) { return talk("init"), POSTERN_OK; }
void destroy(postern_instance* self) {
  talk("destroy");
  delete self;
}

}  // namespace

ABI_MODULE(.init = init, .destroy = destroy)
