// Components of nothing but numbers, the usual scheduler, to bytes and back without a tree in between.
//
// What is written is what the general way writes, byte for byte: its text around the numbers is taken apart once for
// each type, then put together again around other numbers. Whatever is not exactly such a text, or asks for a decision
// (another version, a hyperparameter that differs, options), is left to the general way.
#pragma once

#include <boost/hana/unpack.hpp>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/codec/component.hpp"
#include "trainstate/files.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/safetensors.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/report.hpp"

namespace trainstate::detail {

template <class F>
inline constexpr bool is_number_field = [] {
  using M = FieldType<F>;
  if constexpr (std::is_integral_v<M> || std::is_same_v<M, double>) {
    return !F::is_const && std::is_same_v<Codec<M>, StandardCodec<M>>;
  } else {
    return false;
  }
}();

template <class T>
constexpr bool has_only_numbers() {
  if constexpr (Component<T>) {
    if constexpr (std::is_same_v<Codec<T>, ComponentCodec<T>>) {
      if constexpr (ComponentCodec<T>::layout == Layout::record) {
        return boost::hana::unpack(fields<T>,
                                   []<class... F>(F...) { return sizeof...(F) != 0 && (is_number_field<F> && ...); });
      }
    }
  }
  return false;
}

/// A component that is laid out as a record, all of whose fields are bool, integers or double.
template <class T>
concept NumberRecord = has_only_numbers<T>();

/// Appends a number as the general way does; false if that is not its plain text.
template <class M>
bool append_number(std::string& text, M x) {
  if constexpr (std::is_same_v<M, bool>) {
    text += x ? "true" : "false";
  } else if constexpr (std::is_integral_v<M>) {
    if constexpr (std::is_unsigned_v<M> && sizeof(M) == sizeof(std::int64_t)) {
      if (x > static_cast<M>(std::numeric_limits<std::int64_t>::max())) return false;
    }
    format::append_json_integer(text, static_cast<std::int64_t>(x));
  } else {
    if (!std::isfinite(x)) return false;
    format::append_json_double(text, x);
  }
  return true;
}

/// Reads a number of the spelling that `append_number` has, and no other, from the front of `text`.
template <class M>
std::optional<M> take_number(std::string_view& text) {
  const std::string_view token = text.substr(0, text.find_first_of(",}"));
  M value{};
  if constexpr (std::is_same_v<M, bool>) {
    value = token == "true";
  } else {
    if (std::from_chars(token.data(), token.data() + token.size(), value).ec != std::errc{}) return std::nullopt;
  }
  std::string spelled;
  if (!append_number(spelled, value) || spelled != token) return std::nullopt;
  text.remove_prefix(token.size());
  return value;
}

/// The bytes of a file with one T in it, around its numbers.
template <NumberRecord T>
class NumberRecordText {
 public:
  static const NumberRecordText& get() {
    static const NumberRecordText text;
    return text;
  }

  /// Nothing if the general way writes this object otherwise.
  [[nodiscard]] std::optional<std::vector<std::byte>> write(const T& x) const {
    if (pieces_.empty()) return std::nullopt;
    std::string text;
    text.reserve(capacity_);
    text = pieces_.front();
    std::size_t next = 1;
    const bool plain = for_each_in_file([&]<class F, class I>(F, I) {
      if (!append_number(text, F::get(x))) return false;
      text += pieces_[next++];
      return true;
    });
    if (!plain) return std::nullopt;
    text.append((8 - text.size() % 8) % 8, ' ');
    const std::uint64_t length = text.size() - sizeof length;
    std::memcpy(text.data(), &length, sizeof length);
    const std::uint64_t digest = io::checksum(std::as_bytes(std::span(text)));
    io::write_hex(digest, std::span<char, io::hex_digits>(&text[digest_at_], io::hex_digits));
    const auto bytes = std::as_bytes(std::span(text));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }

  /// Loads what `write` wrote; false, and nothing has changed, if these bytes, or what they mean for `live`, are for
  /// the general way.
  [[nodiscard]] bool read(T& live, std::span<const std::byte> bytes) const {
    if (pieces_.empty() || bytes.size() < pieces_.front().size() || bytes.size() % 8 != 0) return false;
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::uint64_t length = 0;
    std::memcpy(&length, text.data(), sizeof length);
    if (length != text.size() - sizeof length) return false;
    const auto digest = io::parse_hex(std::string_view(text).substr(digest_at_, io::hex_digits));
    std::memset(&text[digest_at_], '0', io::hex_digits);
    if (!digest || io::checksum(std::as_bytes(std::span(text))) != *digest) return false;
    std::memset(text.data(), 0, sizeof length);

    std::string_view rest = text;
    if (!take(rest, pieces_.front())) return false;
    std::size_t next = 1;
    Numbers numbers;
    const bool complete = for_each_in_file([&]<class F, class I>(F, I) {
      auto& number = std::get<I::value>(numbers);
      number = take_number<FieldType<F>>(rest);
      const bool differs = number && F::role == Role::hyper && !same_bits(*number, F::get(live));
      return number && !differs && take(rest, pieces_[next++]);
    });
    if (!complete || rest.size() >= 8 || rest.find_first_not_of(' ') != std::string_view::npos) return false;
    return for_each_in_file([&]<class F, class I>(F, I) {
      F::get(live) = *std::get<I::value>(numbers);
      return true;
    });
  }

 private:
  // The general way's text for numbers that stand nowhere else, cut where they are.
  NumberRecordText() {
    Saved saved;
    StateDict params, state;
    std::vector<std::string> marks;
    for_each_in_file([&]<class F, class I>(F, I) {
      constexpr std::int64_t mark = 7'600'000'000'000'000'000 + static_cast<std::int64_t>(I::value);
      (F::role == Role::hyper ? params : state)[std::string(F::name())] = mark;
      marks.push_back(std::to_string(mark));
      return true;
    });
    saved.tree = StateDict{{"version", component_version<T>}, {"params", params}, {"state", state}};
    SaveContext context;
    context.note_component(component_name<T>, component_version<T>, ComponentCodec<T>::kind);
    saved.components = std::move(context.components);
    const auto bytes = format::write_safetensors(document_of(saved, {}));
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());

    std::vector<std::string> pieces;
    for (const std::string& mark : marks) {
      const auto at = text.find(mark);
      if (at == std::string_view::npos) return;
      pieces.emplace_back(text.substr(0, at));
      text.remove_prefix(at + mark.size());
    }
    pieces.emplace_back(text.substr(0, text.find_last_not_of(' ') + 1));
    constexpr std::string_view before_digest = "\"trainstate.xxh3\":\"";
    const auto key = pieces.front().find(before_digest);
    if (key == std::string::npos) return;
    digest_at_ = key + before_digest.size();
    pieces.front().replace(digest_at_, io::hex_digits, io::hex_digits, '0');
    pieces.front().replace(0, 8, 8, '\0');
    constexpr std::size_t longest_number = 24;
    capacity_ = bytes.size() + marks.size() * longest_number;
    pieces_ = std::move(pieces);
  }

  using Numbers = decltype(boost::hana::unpack(
      fields<T>, []<class... F>(F...) { return std::tuple<std::optional<FieldType<F>>...>(); }));

  /// Calls `f(field, index)` for every field, hyperparameters first, until it returns false; true if it never does.
  template <class F>
  static bool for_each_in_file(const F& f) {
    return boost::hana::unpack(fields<T>, [&]<class... Fields>(Fields...) {
      return [&]<std::size_t... I>(std::index_sequence<I...>) {
        const auto all_of = [&](Role role) {
          return ((Fields::role != role || f(Fields{}, std::integral_constant<std::size_t, I>{})) && ...);
        };
        return all_of(Role::hyper) && all_of(Role::state);
      }
      (std::index_sequence_for<Fields...>());
    });
  }

  static bool take(std::string_view& text, std::string_view expected) {
    if (!text.starts_with(expected)) return false;
    text.remove_prefix(expected.size());
    return true;
  }

  template <class M>
  static bool same_bits(const M& a, const M& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
  }

  std::vector<std::string> pieces_;  // before, between and after the numbers; empty if there is no such text
  std::size_t digest_at_ = 0, capacity_ = 0;
};

/// True where options leave the bytes of an object as they are.
inline bool are_plain(const SaveOptions& options) {
  return options.format.value_or(Format::safetensors) == Format::safetensors && options.metadata.empty() &&
         !options.progress;
}

/// True where options ask for nothing that a whole and equal record would have to be asked about.
inline bool are_plain(const LoadOptions& options) {
  return options.hyper.value_or(HyperPolicy::file) == HyperPolicy::file && options.only.empty() &&
         options.except.empty() && !options.progress;
}

}  // namespace trainstate::detail
