#include "core/unsupported.h"

#include <utility>

namespace longship {

Error unsupported_error(std::string_view file, std::string_view place, std::string_view what, std::string remedy) {
  return Error(ErrorKind::kModelFile, model_file_error(file, place, what).cause(), std::move(remedy));
}

}  // namespace longship
