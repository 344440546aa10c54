// The version of the library, as it stands in the manifest of every file that it writes.
#pragma once

#define TRAINSTATE_VERSION_MAJOR 0
#define TRAINSTATE_VERSION_MINOR 1
#define TRAINSTATE_VERSION_PATCH 0

namespace trainstate {

/// `major.minor.patch`.
inline constexpr const char* version_text = "0.1.0";

}  // namespace trainstate
