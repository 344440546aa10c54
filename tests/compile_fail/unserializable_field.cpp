// A field of a type that nothing can serialize: found where the component is saved, not in describe().
// needs: libtorch
// expect: trainstate: nothing can serialize this type
// expect: specialise ts::adapter<T>
// names: (Component = |<)Logger
// names: 'f', 'i', 'l', 'e'
// names: (Type = |, )Handle
#include "trainstate/adapter.hpp"

namespace ts = trainstate;

struct Handle {
  explicit Handle(int fd) : fd_(fd) {}

 private:
  int fd_;
};

class Logger {
 public:
  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Logger>("logger", ts::state("lines", &Logger::lines_), ts::state("file", &Logger::file_));
#else
    return ts::component<Logger>("logger", ts::state("lines", &Logger::lines_), ts::transient(&Logger::file_));
#endif
  }

 private:
  int lines_ = 0;
  Handle file_{2};
};

ts::Value save(const Logger& logger, ts::detail::SaveContext& context) {
  return ts::detail::Codec<Logger>::save(logger, context);
}
