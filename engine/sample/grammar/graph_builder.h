#pragma once

#include "engine/sample/grammar/automaton.h"

namespace longship {

/// The graph of a grammar's rules. Errors: kUsage for one that check_grammar() refuses or that is too large.
Automaton::Graph build_graph(const Grammar& grammar);

}  // namespace longship
