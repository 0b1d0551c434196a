// Qwen2 (biases on q, k and v) and Qwen3 (QK-norm): Llama's parts under Llama's names.
#include "engine/models/families.h"

namespace longship {

namespace {
constexpr std::string_view kArchitectures[] = {"qwen2", "qwen3"};
}  // namespace

extern const ModelFamily kQwen;
const ModelFamily kQwen = {kArchitectures, llama_edges, llama_block, llama_modules};

}  // namespace longship
