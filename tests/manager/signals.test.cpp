#include "trainstate/manager/signals.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <memory>
#include <thread>
#include <utility>

#include "trainstate/error.hpp"

namespace ts = trainstate;

namespace {

volatile std::sig_atomic_t seen = 0;
void count_signal(int) { seen = seen + 1; }

// What happens at a signal, put back in the end.
class Handler {
 public:
  Handler(int signal, void (*f)(int)) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = f;
    ::sigaction(signal, &action, &before_);
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { ::sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_ {};
};

}  // namespace

TEST_CASE("signals: raised and lowered, in any order") {
  ts::SignalFlag flag({SIGTERM, SIGUSR1});
  CHECK_FALSE(flag.raised());
  std::raise(SIGTERM);  // would end the process
  CHECK(flag.raised());
  CHECK(flag.received(SIGTERM));
  CHECK_FALSE(flag.received(SIGUSR1));
  flag.clear();
  CHECK_FALSE(flag.raised());
  CHECK(flag.received(SIGTERM));
  std::thread([] { std::raise(SIGUSR1); }).join();
  CHECK(flag.raised());
  CHECK(flag.received(SIGUSR1));
  CHECK_FALSE(flag.received(SIGINT));
}

TEST_CASE("signals: what a signal did before is put back, when the last flag goes") {
  const Handler handler(SIGUSR2, &count_signal);
  seen = 0;
  auto first = std::make_unique<ts::SignalFlag>(std::vector{SIGUSR2});
  auto second = std::make_unique<ts::SignalFlag>(std::vector{SIGUSR2});
  std::raise(SIGUSR2);
  CHECK(seen == 0);
  CHECK(first->raised());
  first.reset();  // not in the reverse order
  std::raise(SIGUSR2);
  CHECK(seen == 0);
  second.reset();
  std::raise(SIGUSR2);
  CHECK(seen == 1);
  const ts::SignalFlag third({SIGUSR2});
  CHECK_FALSE(third.raised());  // of what came before it was made
}

TEST_CASE("signals: a handler that somebody else put in place meanwhile stays") {
  const Handler before(SIGUSR2, SIG_IGN);
  seen = 0;
  {
    const ts::SignalFlag flag({SIGUSR2});
    struct sigaction action {};
    action.sa_handler = &count_signal;
    ::sigaction(SIGUSR2, &action, nullptr);
  }
  std::raise(SIGUSR2);
  CHECK(seen == 1);
}

TEST_CASE("signals: a flag that is moved from leaves the signals to the other") {
  const Handler handler(SIGUSR2, &count_signal);
  seen = 0;
  ts::SignalFlag flag({SIGUSR2});
  {
    const ts::SignalFlag other = std::move(flag);
    std::raise(SIGUSR2);
    CHECK(other.raised());
  }
  std::raise(SIGUSR2);
  CHECK(seen == 1);
}

TEST_CASE("signals: one that cannot be handled is an error, and the others are put back") {
  const Handler handler(SIGUSR2, &count_signal);
  seen = 0;
  for (const int signal : {SIGKILL, 0, -3, 1000}) {
    CAPTURE(signal);
    CHECK_THROWS_AS(ts::SignalFlag({SIGUSR2, signal}), ts::IoError);
  }
  std::raise(SIGUSR2);
  CHECK(seen == 1);
}
