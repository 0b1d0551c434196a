#include "engine/model/specs.h"

namespace longship {

ParamSpec replicated_vector(const std::string& source, int64_t extent) {
  return {.name = source,
          .dtypes = {},
          .global = {extent},
          .shard = {.dim = -1, .contracts = false, .segments = {{.source = source, .extent = extent}}}};
}

}  // namespace longship
