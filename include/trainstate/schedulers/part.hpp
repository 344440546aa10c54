// A scheduler within another one.
#pragma once

#include <torch/optim/optimizer.h>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"

namespace trainstate {
namespace detail {

/// A scheduler within another one: owned or shared, of a type that is known to what saves and loads it.
template <class Base>
class SchedulerPart {
 public:
  /// Takes part in what becomes of `scheduler`.
  template <std::derived_from<Base> T>
  SchedulerPart(std::shared_ptr<T> scheduler) : codec_(&codec_of<T>) {  // NOLINT: meant to convert
    if (!scheduler) throw Error("a scheduler made of schedulers was given a null one");
    scheduler_ = std::move(scheduler);
  }

  /// Owns `scheduler`. One that is used elsewhere, too, is given as a shared_ptr.
  template <class T>
  requires(std::derived_from<T, Base> && !std::is_const_v<T>) SchedulerPart(T&& scheduler)  // NOLINT
      : SchedulerPart(std::make_shared<T>(std::move(scheduler))) {}

  Base* operator->() const { return scheduler_.get(); }
  Base& operator*() const { return *scheduler_; }

  [[nodiscard]] Value save(SaveContext& context) const { return codec_->save(*scheduler_, context); }
  void migrate(Value& value, LoadContext& context) const { codec_->migrate(*scheduler_, value, context); }
  void plan(const Value& value, LoadContext& context) const { codec_->plan(*scheduler_, value, context); }

 private:
  struct Functions {
    Value (*save)(const Base&, SaveContext&);
    void (*migrate)(const Base&, Value&, LoadContext&);
    void (*plan)(Base&, const Value&, LoadContext&);
  };

  template <class T>
  static constexpr Functions make_codec() {
    static_assert(!std::is_abstract_v<T> && Component<T>,
                  "trainstate: a scheduler within another one is given by its own class, which describes itself");
    return {
        [](const Base& x, SaveContext& context) { return Codec<T>::save(static_cast<const T&>(x), context); },
        [](const Base& x, Value& value, LoadContext& context) {
          migrate_value<T>(&static_cast<const T&>(x), value, context);
        },
        [](Base& x, const Value& value, LoadContext& context) { Codec<T>::plan(static_cast<T&>(x), value, context); },
    };
  }
  template <class T>
  static constexpr Functions codec_of = make_codec<T>();

  const Functions* codec_;
  std::shared_ptr<Base> scheduler_;
};

template <class Base>
struct StandardCodec<SchedulerPart<Base>> {
  using T = SchedulerPart<Base>;
  static Value save(const T& x, SaveContext& context) { return x.save(context); }
  static void migrate(const T* live, Value& value, LoadContext& context) {
    if (live) live->migrate(value, context);
  }
  static void plan(T& live, const Value& value, LoadContext& context) { live.plan(value, context); }
};

/// Throws Error unless there is a scheduler, and all of them are of one optimizer.
template <class Base>
void check_parts(const std::vector<SchedulerPart<Base>>& parts, const torch::optim::Optimizer* optimizer,
                 const std::string& who) {
  if (parts.empty()) throw Error(who + " needs at least one scheduler");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (&parts[i]->optimizer() == (optimizer ? optimizer : &parts.front()->optimizer())) continue;
    throw Error(who + ": scheduler " + std::to_string(i) + " belongs to another optimizer");
  }
}

}  // namespace detail
}  // namespace trainstate
