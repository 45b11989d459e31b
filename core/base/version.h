// The version that runs, as `git describe` had it when it was built. Thread-safety: constant.
#pragma once

namespace postern {

// "1.2.0", or "1.2.0+7.g3f2a91c" seven commits after that tag (sdk/cmake/PosternVersion.cmake).
const char* version();

}  // namespace postern
