#pragma once

#include <span>

#include "core/bytes.h"
#include "core/error.h"

namespace longship {

/// A rank's state after a phase, as a frame: empty where it did not fail.
Bytes pack_failure(const Error* failure);

/// The frame on which all ranks end the phase, from the frames of all ranks in rank order: empty if none
/// failed, else the lowest failing rank's error, whose cause names the rank unless all failed alike.
Bytes verdict(std::span<const Bytes> failures);

/// Throws the error of a verdict; returns if it holds none.
void throw_verdict(std::span<const std::byte> verdict);

}  // namespace longship
