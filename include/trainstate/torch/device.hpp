// Which devices this machine has.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace trainstate::detail {

/// Whether this machine, and this build of LibTorch, has the device; one without an index is the first of its kind.
inline bool is_present(const c10::Device& device) {
  return c10::impl::hasDeviceGuardImpl(device.type()) &&
         c10::impl::VirtualGuardImpl(device.type()).deviceCount() > std::max<int>(device.index(), 0);
}

}  // namespace trainstate::detail
