#pragma once

#include <string>
#include <vector>

#include "engine/schedule/rank_activity.h"

namespace longship {

/// A line for each stage on each host: its ranks, their layers and their memory, the largest where they differ, what
/// they compute on and what moves their data.
std::vector<std::string> layout_lines(const std::vector<RankActivity>& ranks);

}  // namespace longship
