#!/usr/bin/env bash
# The tool as a process: exit codes, pipes, terminals, completion. Arguments: the program, the folder of golden files.
set -euo pipefail
tool=$1 golden=$2
unset NO_COLOR COLUMNS
export LC_ALL=C.UTF-8 TERM=xterm
file=$golden/safetensors_1/training.safetensors

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# expect CODE COMMAND…
expect() {
  local code=0
  "${@:2}" >/dev/null 2>&1 || code=$?
  [[ $code == "$1" ]] || fail "exit code $code instead of $1: ${*:2}"
}

[[ $("$tool" --version) == "trainstate "[0-9]*.*.* ]] || fail "--version"
expect 0 "$tool" --help
for command in inspect verify diff stats convert extract latest completion; do
  expect 0 "$tool" "$command" --help
  [[ $("$tool" "$command" --help) == *Example* ]] || fail "no example in $command --help"
done
expect 2 "$tool"
expect 2 "$tool" inspekt
[[ $("$tool" inspekt 2>&1) == *"is 'inspect' meant?"* ]] || fail "no suggestion"
expect 2 "$tool" inspect
expect 2 "$tool" inspect --no-such-flag "$file"
expect 2 "$tool" inspect "$golden"
expect 2 "$tool" inspect "$golden/python/1.13/function.pt"
expect 0 "$tool" diff "$file" "$golden/pt_1/training.pt"
expect 1 "$tool" diff "$file" "$golden/pt_1/values.pt"
expect 2 "$tool" diff "$file" /nowhere

# It knows no LibTorch, so that it starts in a moment.
if command -v ldd >/dev/null && ldd "$tool" | grep -qi torch; then fail "links LibTorch"; fi

# Who reads only the beginning sees no error; whose disk is full does.
[[ $("$tool" inspect --all "$file" "$file" "$file" 2>&1 | head -n 1) == *training.safetensors* ]] || fail "head"
if [[ -e /dev/full ]]; then
  expect 2 bash -c '"$0" inspect "$1" >/dev/full' "$tool" "$file"
fi

# Lines of trees by locale, width by COLUMNS, colour never into a pipe.
[[ $("$tool" inspect "$file") == *└─* ]] || fail "no lines in a UTF-8 locale"
[[ $(LC_ALL=C "$tool" inspect "$file") != *└─* ]] || fail "lines in the C locale"
(($(COLUMNS=60 "$tool" inspect "$file" | wc -l) > $("$tool" inspect "$file" | wc -l))) || fail "COLUMNS"
[[ $("$tool" inspect "$file") != *$'\033'* ]] || fail "colour in a pipe"
if command -v script >/dev/null; then
  on_a_terminal() { script -qec "$(printf '%q ' "$@")" /dev/null </dev/null; }
  [[ $(on_a_terminal "$tool" inspect "$file") == *$'\033'* ]] || fail "no colour on a terminal"
  [[ $(on_a_terminal env NO_COLOR=1 "$tool" inspect "$file") != *$'\033'* ]] || fail "NO_COLOR"
  [[ $(on_a_terminal env TERM=dumb "$tool" inspect "$file") != *$'\033'* ]] || fail "TERM=dumb"
fi

# Completion.
for shell in bash zsh fish; do
  script=$("$tool" completion "$shell")
  [[ $script == *convert* && $script == *no-verify* ]] || fail "completion $shell"
  if command -v "$shell" >/dev/null; then "$shell" -n <<<"$script" || fail "$shell does not take its script"; fi
done
expect 2 "$tool" completion tcsh
complete_words() {
  bash -c 'eval "$("$0" completion bash)"
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _trainstate
    echo "${COMPREPLY[*]}"' "$tool" "$@"
}
[[ $(complete_words trainstate in) == inspect ]] || fail "completion of a command"
[[ $(complete_words trainstate convert --f) == --force ]] || fail "completion of an option"
[[ $(complete_words trainstate completion z) == zsh ]] || fail "completion of a shell"
[[ $(complete_words trainstate convert x) == "" ]] || fail "completion of files is the shell's"
echo ok
