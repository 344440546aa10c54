#include "part.hpp"

std::vector<std::byte> bytes_from_second(const Part& part) { return trainstate::to_bytes(part); }
