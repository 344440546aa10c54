// The container of PyTorch before 1.6, still written with `_use_new_zipfile_serialization=False`: pickles one after the
// other (a magic number, a version, the machine's facts, the object, the keys of its storages), then the storages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "trainstate/error.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/pickle/machine.hpp"
#include "trainstate/format/pt/tree.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pt {

/// The pickle of 0x1950a86a20f9469cfc6c without its protocol: protocols 2 and later write bytes, 0 and 1 decimals.
inline constexpr std::string_view legacy_magic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
inline constexpr std::string_view legacy_magic_text = "L119547037146038801333356L\n.";

/// Where the first pickle of the older container ends; 0 if this is no such file.
[[nodiscard]] inline std::size_t legacy_magic_end(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::size_t protocol = 2, frame = 9;  // bytes of their instructions
  if (text.starts_with(legacy_magic_text)) return legacy_magic_text.size();
  if (!text.starts_with('\x80')) return 0;
  for (const std::size_t skip : {protocol, protocol + frame}) {
    if (text.size() > skip && text.substr(skip).starts_with(legacy_magic)) return skip + legacy_magic.size();
  }
  return 0;
}

/// Reads one image of a file.
class LegacyReader final : StorageSource {
 public:
  LegacyReader(std::shared_ptr<const trainstate::Storage> image, std::string_view where, const ReadOptions& options)
      : image_(std::move(image)),
        where_(where.empty() ? std::string() : std::string(where) + ": "),
        options_(options),
        at_(legacy_magic_end(bytes())) {}

  Document read() {
    check_version();
    check_machine();
    const std::size_t begin = at_;
    pickle::Objects objects;
    const pickle::Id root = run(objects);
    const std::size_t size = at_ - begin;
    find_storages(objects);
    Document document;
    document.tree = TreeBuilder(objects, *this, image_, where_, size, options_.align).build(root);
    if (options_.verify) {
      document.warnings.push_back(where_ +
                                  "is of the older container, which has no checksums, so it cannot be verified");
    }
    return document;
  }

 private:
  using Kind = pickle::Kind;

  [[noreturn]] void fail(const std::string& what) const { throw FormatError(where_ + what); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {image_->data, image_->size}; }

  pickle::Id run(pickle::Objects& objects) {
    pickle::Machine machine(bytes(), where_, objects, at_);
    const pickle::Id root = machine.run();
    at_ = machine.position();
    return root;
  }

  void check_version() {
    pickle::Objects objects;
    const pickle::Id version = run(objects);
    if (objects.kind(version) != Kind::integer || objects.integer(version) != 1001) {
      fail("expected version 1001 of the older container, found another");
    }
  }

  void check_machine() {
    pickle::Objects objects;
    const pickle::Id facts = run(objects);
    if (objects.kind(facts) != Kind::dict) fail("expected a dict of the machine's facts, found something else");
    const auto& items = objects.items(facts);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (objects.kind(items[i]) != Kind::text || objects.text(items[i]) != "little_endian") continue;
      if (items[i + 1] != pickle::Objects::boolean(true)) {
        fail("was written on a big-endian machine, and cannot be read on this one");
      }
    }
  }

  // Behind the pickle of their keys stands each storage: its number of elements, then those.
  void find_storages(const pickle::Objects& objects) {
    std::map<std::string_view, const pickle::StorageRef*> known;
    for (const auto& storage : objects.storages()) known.emplace(storage.key, &storage);
    pickle::Objects own;
    const pickle::Id keys = run(own);
    if (own.kind(keys) != Kind::list) fail("expected a list of storages, found something else");
    for (const pickle::Id id : own.items(keys)) {
      const std::string_view key = own.kind(id) == Kind::text ? own.text(id) : std::string_view();
      const auto storage = known.find(key);
      if (storage == known.end()) fail("lists the storage " + shown(key) + ", which nothing refers to");
      const std::uint64_t expected = storage->second->root;
      const std::uint64_t item = bits(storage->second->dtype) / 8;
      std::uint64_t count = 0;
      if (bytes().size() - at_ < sizeof count) fail("ends before the storage " + shown(key));
      std::memcpy(&count, bytes().data() + at_, sizeof count);
      at_ += sizeof count;
      if (count != expected / item || expected > bytes().size() - at_) {
        fail("storage " + shown(key) + ": expected " + std::to_string(expected) + " bytes, found " +
             std::to_string(count) + " elements and " + std::to_string(bytes().size() - at_) + " bytes until the end");
      }
      const auto data = bytes().subspan(at_, static_cast<std::size_t>(expected));
      if (!found_.emplace(std::string(key), data).second) fail("has the storage " + shown(key) + " twice");
      at_ += data.size();
    }
    if (at_ != bytes().size()) fail("has " + std::to_string(bytes().size() - at_) + " bytes behind its last storage");
  }

  std::span<const std::byte> bytes_of(const pickle::StorageRef& storage) override {
    const auto at = found_.find(storage.key);
    if (at == found_.end()) fail("expected the storage " + shown(storage.key) + ", found none");
    if (at->second.size() != storage.root) fail("storage " + shown(storage.key) + ": has two different sizes");
    return at->second;
  }

  std::shared_ptr<const trainstate::Storage> image_;
  std::string where_;
  const ReadOptions& options_;
  std::size_t at_;
  std::map<std::string, std::span<const std::byte>, std::less<>> found_;
};

}  // namespace trainstate::format::pt
