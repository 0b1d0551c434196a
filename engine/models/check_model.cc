#include "engine/model/stage.h"
#include "engine/models/families.h"

namespace longship {

void check_model(const ModelConfig& config, WeightSource& weights) {
  const auto kernels = make_kernels({.name = "reference"});
  const Stage whole(config, family_of(config), weights, *kernels, Mesh(1, 1, 1, 1), {},
                    {.step = {.rows = 1, .logit_rows = 1}, .kv_pages = 1, .kv_dtype = DType::kF16});
}

}  // namespace longship
