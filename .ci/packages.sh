# Sourced by tests/run.sh and examples/quickstart.sh: Debian packages, installed only where they are missing.

# What a build of the library and its examples needs.
build_packages=(g++ cmake ninja-build libtorch-dev libboost-dev libxxhash-dev zlib1g-dev libcli11-dev)
# What makes it faster.
faster_packages=(libdeflate-dev)
# What the tests and benchmarks need on top.
test_packages=(doctest-dev nlohmann-json3-dev libbenchmark-dev clang libclang-rt-dev)
# What the tests that compare with PyTorch need; without them those are left out.
python_packages=(python3-torch python3-numpy)

# need PACKAGE…: installs those that are missing; says which they are if it cannot. Where there is no dpkg, CMake says
# what it does not find.
need() {
  command -v dpkg-query >/dev/null || return 0
  local package missing=() as_root=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "missing packages: ${missing[*]}"
  if ((EUID != 0)); then
    if ! { command -v sudo && sudo -n true; } >/dev/null 2>&1; then
      echo "cannot install them: neither root nor sudo without a password. As root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
    echo "apt-get could not install them: ${missing[*]}" >&2
    return 1
  }
}
