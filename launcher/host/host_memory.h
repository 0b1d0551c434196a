#pragma once

#include <cstdint>
#include <filesystem>

namespace longship {

/// Bytes that processes of this host may still allocate: what the kernel calls available, within the limit of each
/// control group that this process is in (version 1 and 2). A group's file cache that the kernel would give back counts
/// as free. `root` stands before /proc and /sys.
int64_t available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace longship
