// Whether a file may be believed: what a gateway loads decides what it does, so nobody else may be able to change it.
// Thread-safety: any thread.
#pragma once

#include <string>

#include "core/base/status.h"

namespace postern {

// The file, and every folder above it, must belong to root or to the user of this process, and be writable for nobody else: otherwise
// kDenied, with what is wrong and the command that mends it. A group counts as nobody else when it is the owner's own (as Debian and
// Fedora give each user one); a sticky folder, such as /tmp, is no danger to what is in it. Symbolic links are followed one by one, as the
// kernel does, and must belong to one of the two as well. What is no regular file (a pipe) is the caller's own business, and what is not
// there is told by who opens it.
Status check_trusted(const std::string& path);

}  // namespace postern
