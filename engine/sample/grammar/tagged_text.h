#pragma once

#include "core/json.h"
#include "engine/sample/grammar/grammar.h"

namespace longship {

/// The grammar of GrammarSpec::Kind::kTagged. With a member "free": {"mark": TEXT, "first": HOW, "never": TEXT} it is
/// any text in which each mark is followed by a tag: behind it by more text, or, if HOW is "tag", by the separator and
/// more tags. A text that begins with "{" is a tag without a mark if HOW is "tag", is none of the grammar's if it is
/// "text", else it is text as any other. With "tag" and "text", none of the grammar's begins with "never", where that
/// is not empty, nor with a fence of JSON and "{". Errors: kUsage.
Grammar tagged_grammar(const Json& spec);

}  // namespace longship
