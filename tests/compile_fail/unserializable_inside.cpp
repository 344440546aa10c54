// What a container holds is of a type that nothing can serialize: the component and the key are named all the same.
// needs: libtorch
// expect: trainstate: nothing can serialize this type
// names: (Component = |<)Graph
// names: 'e', 'd', 'g', 'e', 's'
// names: (Type = |, )int ?\*
#include <map>
#include <string>
#include <vector>

#include "trainstate/adapter.hpp"

namespace ts = trainstate;

struct Graph {
#ifdef TRAINSTATE_MISTAKE
  std::map<std::string, std::vector<int*>> edges;
#else
  std::map<std::string, std::vector<int>> edges;
#endif

  static constexpr auto describe() { return ts::component<Graph>("graph", ts::state("edges", &Graph::edges)); }
};

ts::Value save(const Graph& graph, ts::detail::SaveContext& context) {
  return ts::detail::Codec<Graph>::save(graph, context);
}
