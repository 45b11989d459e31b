// How the golden layouts of the ABI are said: one line a fact, checked by the compiler.
#pragma once

#include <cstddef>
#include <type_traits>

// NOLINTBEGIN: they become declarations
#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes) && alignof(type) == 8 && std::is_trivial_v<type>)
#define AT(type, member, offset) static_assert(offsetof(type, member) == (offset))
#define IS(type, member, ...) static_assert(std::is_same_v<decltype(type::member), __VA_ARGS__>)
#define VALUE(name, value) static_assert(static_cast<long long>(name) == (value))
// NOLINTEND
