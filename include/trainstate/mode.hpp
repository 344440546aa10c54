// Which way a metric gets better.
#pragma once

namespace trainstate {

/// Which way a metric gets better, as in PyTorch's ReduceLROnPlateau: a loss falls (`min`), an accuracy rises (`max`).
enum class Mode { min, max };

}  // namespace trainstate
