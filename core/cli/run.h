// The command line: parses it and runs the command. Thread-safety: main's thread.
#pragma once

namespace postern::cli {

// The exit status.
int run(int argc, char** argv);

}  // namespace postern::cli
