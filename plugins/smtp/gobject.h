// Ref: a reference to an object of GLib's, given back at the end. Thread-safety: as the object.
#pragma once

#include <glib-object.h>

#include <memory>

namespace smtp {

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <typename T>
using Ref = std::unique_ptr<T, Unref>;

}  // namespace smtp
