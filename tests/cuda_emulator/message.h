#pragma once

#include <cstdio>
#include <cstring>
#include <source_location>
#include <string>

namespace longship::cuda::emulator {

/// printf into a string.
template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::string text(static_cast<std::size_t>(std::snprintf(nullptr, 0, pattern, values...)), '\0');
  std::snprintf(text.data(), text.size() + 1, pattern, values...);
  return text;
}

/// "file.cu:12".
inline std::string place(const std::source_location& where) {
  const char* slash = std::strrchr(where.file_name(), '/');
  return format("%s:%u", slash == nullptr ? where.file_name() : slash + 1, static_cast<unsigned>(where.line()));
}

inline bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace longship::cuda::emulator
