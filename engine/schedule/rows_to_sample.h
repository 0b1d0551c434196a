#pragma once

#include <vector>

#include "engine/schedule/sampled_row.h"
#include "engine/schedule/sequence.h"

namespace longship {

/// How tokens are chosen behind the sequence's last token and behind each of its drafts. A draft that cannot be chosen,
/// or behind which nothing can follow, is dropped with those behind it. Errors: kUsage, if the request's grammar does
/// not go on.
std::vector<SampledRow> rows_to_sample(Sequence& sequence, int64_t vocab);

}  // namespace longship
