#pragma once

#include "bench/cuda/device_bench.h"

namespace longship {

/// Products with every type of weight for one token, of the model's matrices for one and a few, and of many.
void time_products(DeviceBench& bench);
/// Attention of single tokens and of prompts.
void time_attention(DeviceBench& bench);
/// Every other operation, for one token and for many.
void time_elements(DeviceBench& bench);
/// A layer of the model, for one token, and what comes before and behind the layers: "kernels of a layer ..." and
/// "kernels around the layers ...".
void time_layer(DeviceBench& bench);

}  // namespace longship
