// Law: a load that throws changes nothing.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "laws/mutations.hpp"
#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

/// What a file gives to a load, as one tree.
template <class T>
ts::StateDict whole_of(const T& x) {
  ts::detail::Saved saved = ts::detail::save_object(x);
  return {{"tree", std::move(saved.tree)}, {"components", std::move(saved.components)}};
}

/// Loads what a file of this content would give. Tensors are not taken from `whole`.
template <class T>
ts::Report load_whole(T& live, ts::StateDict whole, const ts::LoadOptions& options) {
  ts::detail::Source source{.tree = ts::detail::dict_in(whole, "tree"),
                            .components = ts::detail::dict_in(whole, "components"),
                            .has_manifest = true,
                            .in_memory = true};
  return ts::detail::load_object(live, std::move(source), options, "mutated", true);
}

/// Whatever is wrong with a file: each of its values in turn is missing, of another kind, shape or dtype, or has a
/// neighbour that nobody knows; at most `most` of the ways that there are. A load that passes in spite of it may have
/// done so only where it was told to pass over something, or where the value will do; then the next one begins afresh.
template <class Make, class Blank>
void all_or_nothing_for_each_value(const Make& make, const Blank& blank, std::size_t most = 100) {
  Run from(make(), 1, 2);
  const ts::StateDict whole = whole_of(from.parts());
  const ts::LoadOptions all_or_refuse, lenient{.allow_missing = true, .allow_unexpected = true},
      without{.except = {"subject"}};
  int refused = 0;
  std::optional<Run<decltype(make())>> run;
  Image image, subject;
  Memory memory, around;
  const auto memory_around = [&] {
    Memory found;
    add_memory(run->before, found);
    add_memory(run->after, found);
    return found;
  };
  const auto begin = [&] {
    run.emplace(blank(), 3, 4);
    auto live = run->parts();
    image = image_of(live);
    subject = image_of(run->subject);
    memory = memory_of(live);
    around = memory_around();
  };
  begin();
  std::size_t i = 0;
  for (const Mutation& mutation : mutations_of(whole, most)) {
    const std::string what = mutation.text();
    CAPTURE(what);
    const bool left_out = ++i % 4 == 0 && what.starts_with("tree/subject");
    auto live = run->parts();
    try {
      load_whole(live, mutated(whole, mutation), left_out ? without : i % 4 == 1 ? lenient : all_or_refuse);
      if (left_out) CHECK(image_of(run->subject) == subject);
      begin();
      continue;
    } catch (const ts::MismatchError&) {
      CHECK(memory_of(live) == memory);
    } catch (const ts::VersionError&) {
      CHECK(memory_of(live) == memory);
    } catch (const ts::Error&) {  // perhaps of a load_state_dict() of its own, which was undone in other memory
      CHECK(memory_around() == around);
      memory = memory_of(live);
    }
    CHECK_FALSE(left_out);
    CHECK(image_of(live) == image);
    ++refused;
  }
  CHECK(refused != 0);
}

template <class Make, class Blank>
void all_or_nothing(const Make& make, const Blank& blank) {
  all_or_nothing_for_each_value(make, blank);
  Run run(blank(), 3, 4);
  auto live = run.parts();
  const Image image = image_of(live);
  const Memory memory = memory_of(live);
  const auto unchanged = [&] { return image_of(live) == image && memory_of(live) == memory; };
  {
    INFO("the part after it does not fit");
    Run other(make(), 1, 2);
    other.after = torch::zeros({3});
    CHECK_THROWS_AS(ts::from_bytes(live, image_of(other.parts()).bytes), ts::MismatchError);
    CHECK(unchanged());
  }
  {
    INFO("the part before it does not fit");
    Run other(make(), 1, 2);
    other.before = torch::zeros({3});
    CHECK_THROWS_AS(ts::from_bytes(live, image_of(other.parts()).bytes), ts::MismatchError);
    CHECK(unchanged());
  }
  {
    INFO("the last byte of the file is another");
    Image broken = image_of(Run(make(), 1, 2).parts());
    broken.bytes.back() ^= std::byte{1};
    CHECK_THROWS_AS(ts::from_bytes(live, broken.bytes), ts::IntegrityError);
    CHECK(unchanged());
  }
  {
    INFO("it is missing");
    const ts::StateDict rest{{"before", torch::full({2}, 3)}, {"after", torch::full({3}, 4)}};
    try {
      ts::load_state_dict(live, rest);
      FAIL_CHECK("a part is missing and another one too long");
    } catch (const ts::MismatchError& e) {
      CHECK(e.report().missing_keys == std::vector<std::string>{"subject"});
    }
    CHECK(unchanged());
  }
  for (int call = 1;; ++call) {
    INFO("the progress callback throws");
    CAPTURE(call);
    int calls = 0;
    const auto stop = [&](std::uint64_t, std::uint64_t) {
      if (++calls == call) throw call;
    };
    try {
      Run other(make(), 1, 2);
      ts::from_bytes(live, image_of(other.parts()).bytes, {.progress = stop});
      break;
    } catch (const int at) {
      CHECK(at == call);
      CHECK(unchanged());
    }
  }
}

}  // namespace laws
