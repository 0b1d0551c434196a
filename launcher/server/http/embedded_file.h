#pragma once

#include <span>
#include <string_view>

namespace longship {

/// A file of the source tree that the program holds.
struct EmbeddedFile {
  std::string_view name;
  std::string_view hash;  ///< Of the text, in hexadecimal digits.
  std::string_view text;
};

/// The files of launcher/server/web.
std::span<const EmbeddedFile> embedded_files();

}  // namespace longship
