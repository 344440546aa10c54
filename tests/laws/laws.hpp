// The laws of everything that can be saved, in one call:
//
//   laws::hold([] { return 5; }, [] { return 0; });
//
// The first function makes an object with something to keep, the second one to load into.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "laws/all_or_nothing.hpp"
#include "laws/determinism.hpp"
#include "laws/round_trip.hpp"
#include "laws/subject.hpp"

namespace laws {

template <class Make, class Blank>
void hold(const Make& make, const Blank& blank) {
  {
    INFO("round trip");
    round_trip(make, blank);
  }
  {
    INFO("all or nothing");
    all_or_nothing(make, blank);
  }
  {
    INFO("determinism");
    determinism(make, blank);
  }
}

/// As `hold`, for values that can be copied.
template <class T>
void hold_for(const T& saved, const T& blank = T()) {
  hold([&] { return saved; }, [&] { return blank; });
}

/// What holds for a type holds for it inside containers, loaded in place or built anew.
template <class Make, class Blank>
void hold_inside(const Make& make, const Blank& blank) {
  using T = decltype(make());
  const auto list_of = [](const auto&... makers) {
    std::vector<T> list;
    (list.push_back(makers()), ...);
    return list;
  };
  {
    INFO("a vector of the same length");
    hold([&] { return list_of(make, blank); }, [&] { return list_of(blank, blank); });
  }
  {
    INFO("a longer vector");
    hold([&] { return list_of(make, make); }, [&] { return list_of(blank); });
  }
  {
    INFO("an empty vector");
    hold([&] { return std::vector<T>(); }, [&] { return list_of(blank); });
  }
  {
    INFO("an optional with a value");
    hold([&] { return std::optional<T>(make()); }, [&] { return std::optional<T>(blank()); });
  }
  {
    INFO("an optional without one yet");
    hold([&] { return std::optional<T>(make()); }, [&] { return std::optional<T>(); });
  }
  {
    INFO("an optional without one any more");
    hold([&] { return std::optional<T>(); }, [&] { return std::optional<T>(blank()); });
  }
  const auto map_of = [](const char* key, const auto& maker) {
    std::map<std::string, T> map;
    map.emplace(key, maker());
    return map;
  };
  {
    INFO("a map of the same keys");
    hold([&] { return map_of("a/b", make); }, [&] { return map_of("a/b", blank); });
  }
  {
    INFO("a map of other keys");
    hold([&] { return map_of("a.b", make); }, [&] { return map_of("b", blank); });
  }
  {
    INFO("a pair");
    hold([&] { return std::pair<int, T>(1, make()); }, [&] { return std::pair<int, T>(0, blank()); });
  }
}

}  // namespace laws
