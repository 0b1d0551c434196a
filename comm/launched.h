#pragma once

namespace longship {

/// How many ranks the launcher that started this process says there are; 1 if none did.
int ranks_of_launcher();

}  // namespace longship
