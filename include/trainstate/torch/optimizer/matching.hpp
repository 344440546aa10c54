// Which parameter of the file is which live one: by name, and by position only where there are no names.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/context.hpp"
#include "trainstate/torch/optimizer/parameters.hpp"

namespace trainstate::detail {

/// A live group and the group of the file that corresponds to it.
struct GroupMatch {
  std::size_t live, file;
  std::vector<std::optional<std::size_t>> from;  ///< for each live parameter its place in the file's group
};

/// Finds the correspondence of groups and parameters. What does not correspond is noted: as a mismatch, or as missing
/// and unexpected keys where the options allow those.
class GroupMatcher {
 public:
  GroupMatcher(const LiveParameters& live, const FileParameters& file, LoadContext& context)
      : live_(live), file_(file), context_(context) {
    name_live_parameters();
    name_file_parameters();
  }

  std::vector<GroupMatch> run() {
    for (std::size_t l = 0; l < live_.groups.size(); ++l) {
      for (std::size_t f = 0; f < file_.groups.size() && !live_done_[l]; ++f) {
        if (!file_done_[f] && same_names(l, f)) match_by_name(l, f);
      }
    }
    const auto live_rest = rest(live_done_), file_rest = rest(file_done_);
    const auto nameless = [](const auto& groups, const std::vector<std::size_t>& indices) {
      return std::any_of(indices.begin(), indices.end(), [&](std::size_t i) { return !groups[i].names; });
    };
    if (nameless(live_.groups, live_rest) || nameless(file_.groups, file_rest)) {
      match_by_position(live_rest, file_rest);
    } else {
      explain(live_rest, file_rest);
    }
    return std::move(matches_);
  }

 private:
  struct Place {
    std::size_t group, position;
    bool operator==(const Place&) const = default;
  };

  void name_live_parameters() {
    std::unordered_map<std::string, int> uses;
    for (const LiveGroup& group : live_.groups) {
      for (const ParameterName* name : group.known) {
        if (name) ++uses[name->name];
      }
    }
    for (std::size_t g = 0; g < live_.groups.size(); ++g) {
      const LiveGroup& group = live_.groups[g];
      if (!group.names) continue;
      for (std::size_t i = 0; i < group.names->size(); ++i) {
        const ParameterName& name = *group.known[i];
        by_name_.try_emplace((*group.names)[i], Place{g, i});
        // The optimizer of the file may have spanned several modules where the live one does not, or the reverse.
        if (uses[name.name] == 1) other_names_.try_emplace(name.name, Place{g, i});
        other_names_.try_emplace(module_prefix(name.module) + name.name, Place{g, i});
      }
    }
    note_renamed();
    live_done_.resize(live_.groups.size());
  }

  /// `module/old` -> `module/new`, for the modules whose parameters are here.
  void note_renamed() {
    const auto& renamed = context_.tracks.renamed();
    if (renamed.empty()) return;
    std::unordered_map<std::string, Place> today;
    for (std::size_t g = 0; g < live_.groups.size(); ++g) {
      const LiveGroup& group = live_.groups[g];
      for (std::size_t i = 0; group.names && i < group.names->size(); ++i) {
        today.try_emplace(group.known[i]->module + '/' + group.known[i]->name, Place{g, i});
      }
    }
    for (const auto& [from, to] : renamed) {
      const auto at = today.find(to);
      if (at == today.end()) continue;
      const LiveGroup& group = live_.groups[at->second.group];
      const std::string& module = group.known[at->second.position]->module;
      const std::string& name = (*group.names)[at->second.position];
      const std::size_t slash = from.starts_with(module + '/') ? module.size() : from.rfind('/');
      const std::string old = from.substr(slash + 1);
      renamed_[old].push_back(name);
      renamed_[module_prefix(from.substr(0, slash)) + old] = {name};
    }
  }

  void name_file_parameters() {
    places_.resize(file_.groups.size());
    file_done_.resize(file_.groups.size());
    std::unordered_map<std::string, std::string> taken;  // live names, by which of the file's
    for (std::size_t g = 0; g < file_.groups.size(); ++g) {
      const FileGroup& group = file_.groups[g];
      if (!group.names) continue;
      for (const std::string& name : *group.names) {
        auto place = find_live(name);
        // An optimizer may hold one parameter twice, under one name; not two under names that mean the same.
        if (place && taken.try_emplace(live_name(*place), name).first->second != name) place.reset();
        if (place) present_.insert(live_name(*place));
        places_[g].push_back(place);
      }
    }
  }

  [[nodiscard]] const std::string& live_name(const Place& place) const {
    return (*live_.groups[place.group].names)[place.position];
  }

  /// A parameter that the hooks took out of its module need not be here, as long as what came for it may be new.
  [[nodiscard]] bool may_be_absent(const std::string& file_name) const {
    return context_.options.allow_unexpected ||
           (context_.options.allow_missing && context_.tracks.dropped(file_.module, file_name));
  }

  [[nodiscard]] std::optional<Place> find_live(const std::string& file_name) const {
    auto renamed = renamed_.find(module_prefix(file_.module) + file_name);
    if (renamed == renamed_.end()) renamed = renamed_.find(file_name);
    const bool moved = renamed != renamed_.end() && renamed->second.size() == 1;
    const std::string& name = moved ? renamed->second.front() : file_name;
    if (live_.spans_modules() && !file_.module.empty()) {
      const auto at = by_name_.find(module_prefix(file_.module) + name);
      if (at != by_name_.end()) return at->second;
    }
    if (const auto at = by_name_.find(name); at != by_name_.end()) return at->second;
    if (const auto at = other_names_.find(name); at != other_names_.end()) return at->second;
    return std::nullopt;
  }

  /// The sets of names agree, but for parameters that only one side has at all, where the options allow them.
  [[nodiscard]] bool same_names(std::size_t l, std::size_t f) const {
    const auto& live = live_.groups[l].names;
    const auto& file = file_.groups[f].names;
    if (!live || !file) return false;
    if (live->empty() || file->empty()) return live->size() == file->size();
    std::unordered_set<std::string_view> here;
    for (std::size_t i = 0; i < places_[f].size(); ++i) {
      const auto& place = places_[f][i];
      if (place && place->group != l) return false;
      if (!place && !may_be_absent((*file)[i])) return false;
      if (place) here.insert(live_name(*place));
    }
    const auto is_here = [&](const std::string& name) { return here.contains(name); };
    const bool all = std::all_of(live->begin(), live->end(), is_here);
    if (here.empty() || (!all && !context_.options.allow_missing)) return false;
    return std::all_of(live->begin(), live->end(), [&](const auto& n) { return is_here(n) || !present_.contains(n); });
  }

  void match_by_name(std::size_t l, std::size_t f) {
    GroupMatch match{l, f, std::vector<std::optional<std::size_t>>(live_.groups[l].parameters.size())};
    std::unordered_map<std::string_view, std::vector<std::size_t>> in_file;  // a name's places: several if it is tied
    for (std::size_t i = 0; i < places_[f].size(); ++i) {
      if (const auto& place = places_[f][i]) {
        in_file[live_name(*place)].push_back(i);
      } else {
        note_absent((*file_.groups[f].names)[i]);
      }
    }
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t i = 0; i < match.from.size(); ++i) {
      const std::string& name = (*live_.groups[l].names)[i];
      const auto places = in_file.find(name);
      if (places == in_file.end()) {
        note_missing(name);
      } else {
        match.from[i] = places->second[std::min(seen[name]++, places->second.size() - 1)];
      }
    }
    finish(std::move(match));
  }

  void match_by_position(const std::vector<std::size_t>& live_rest, const std::vector<std::size_t>& file_rest) {
    if (live_rest.size() != file_rest.size()) {
      const auto scope = context_.enter("param_groups");
      return context_.mismatch(count(live_.groups.size(), "parameter group"),
                               count(file_.groups.size(), "parameter group"));
    }
    for (std::size_t i = 0; i < live_rest.size(); ++i) {
      const std::size_t l = live_rest[i], f = file_rest[i];
      if (live_.groups[l].names && file_.groups[f].names) {
        explain({l}, {f});
        continue;
      }
      const std::size_t size = live_.groups[l].parameters.size();
      if (size != file_.groups[f].ids.size()) {
        const auto scope = context_.enter("param_groups");
        const auto inner = context_.enter(index_key(f));
        const auto innermost = context_.enter("params");
        context_.mismatch(count(size, "parameter"), count(file_.groups[f].ids.size(), "parameter"));
        continue;
      }
      GroupMatch match{l, f, {}};
      for (std::size_t p = 0; p < size; ++p) match.from.emplace_back(p);
      finish(std::move(match));
    }
  }

  /// Notes what is wrong with groups that all have names and correspond to none.
  void explain(std::vector<std::size_t> live_rest, std::vector<std::size_t> file_rest) {
    if (context_.options.allow_missing) std::erase_if(live_rest, [&](std::size_t l) { return passes_as_missing(l); });
    std::erase_if(file_rest, [&](std::size_t f) { return passes_as_unexpected(f); });
    for (const std::size_t l : live_rest) {
      const auto shared = [&](std::size_t f) {
        return std::count_if(places_[f].begin(), places_[f].end(), [&](const auto& p) { return p && p->group == l; });
      };
      const auto nearest = std::max_element(file_rest.begin(), file_rest.end(),
                                            [&](std::size_t a, std::size_t b) { return shared(a) < shared(b); });
      const bool any = nearest != file_rest.end();
      explain_one(l, any ? std::optional(*nearest) : std::nullopt);
      if (any) file_rest.erase(nearest);
    }
    for (const std::size_t f : file_rest) explain_one(std::nullopt, f);
  }

  void explain_one(std::optional<std::size_t> l, std::optional<std::size_t> f) {
    std::vector<std::string> only_live, only_file;
    std::unordered_set<std::string> both;
    for (std::size_t i = 0; f && i < places_[*f].size(); ++i) {
      const auto& place = places_[*f][i];
      if (l && place && place->group == *l) {
        both.insert(live_name(*place));
      } else {
        only_file.push_back((*file_.groups[*f].names)[i]);
      }
    }
    if (l) {
      for (const auto& name : *live_.groups[*l].names) {
        if (!both.contains(name)) only_live.push_back(name);
      }
    }
    const auto scope = context_.enter("param_groups");
    const auto inner = context_.enter(index_key(f ? *f : *l));
    const auto innermost = context_.enter("params");
    context_.mismatch(l ? described("a group", only_live, only_file) : "no such group",
                      f ? described("a group", only_file, only_live) : "no such group");
  }

  /// A live group of which the file has nothing starts without state.
  bool passes_as_missing(std::size_t l) {
    const auto& names = *live_.groups[l].names;
    if (std::any_of(names.begin(), names.end(), [&](const auto& n) { return present_.contains(n); })) return false;
    for (const auto& name : names) note_missing(name);
    return true;
  }

  bool passes_as_unexpected(std::size_t f) {
    const auto& names = *file_.groups[f].names;
    if (std::any_of(places_[f].begin(), places_[f].end(), [](const auto& p) { return p.has_value(); })) return false;
    if (names.empty() && !context_.options.allow_unexpected) return false;
    if (!std::all_of(names.begin(), names.end(), [&](const auto& name) { return may_be_absent(name); })) return false;
    for (const auto& name : names) note_absent(name);
    return true;
  }

  void note_missing(const std::string& name) {
    const auto scope = context_.enter("state");
    context_.missing(name);
  }
  void note_absent(const std::string& name) {
    if (context_.options.allow_missing && context_.tracks.dropped(file_.module, name)) return;
    const auto scope = context_.enter("state");
    context_.unexpected(name);
  }

  void finish(GroupMatch match) {
    live_done_[match.live] = file_done_[match.file] = true;
    matches_.push_back(std::move(match));
  }

  static std::vector<std::size_t> rest(const std::vector<bool>& done) {
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < done.size(); ++i) {
      if (!done[i]) indices.push_back(i);
    }
    return indices;
  }

  static std::string count(std::size_t n, const std::string& what) {
    return std::to_string(n) + ' ' + what + (n == 1 ? "" : "s");
  }

  /// "a group with a, b and without c".
  static std::string described(std::string text, const std::vector<std::string>& with,
                               const std::vector<std::string>& without) {
    const auto list = [&](const char* word, const std::vector<std::string>& names) {
      for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? std::string(word) : ", ") + names[i];
    };
    list(" with ", with);
    list(with.empty() ? " without " : " and without ", without);
    return text;
  }

  const LiveParameters& live_;
  const FileParameters& file_;
  LoadContext& context_;
  std::unordered_map<std::string, Place> by_name_, other_names_;
  std::unordered_map<std::string, std::vector<std::string>> renamed_;  // file's names -> live ones; unusable if several
  std::vector<std::vector<std::optional<Place>>> places_;              // of the file's parameters among the live ones
  std::unordered_set<std::string> present_;                            // live names that the file has
  std::vector<bool> live_done_, file_done_;
  std::vector<GroupMatch> matches_;
};

}  // namespace trainstate::detail
