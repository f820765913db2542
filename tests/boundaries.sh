#!/usr/bin/env bash
# Who may include whom, one door per dependency, and calls we do not make.
set -uo pipefail

bad=0
complain() {
    if [ -n "$2" ]; then
        printf 'boundaries: %s\n%s\n' "$1" "$2"
        bad=1
    fi
}
sources() { find "$@" -name '*.[ch]'; }
# files that include a header matching $1, among the folders behind it, except those matching $2
includes() {
    local header=$1 except=$2
    shift 2
    sources "$@" | grep -vE "$except" | xargs -r grep -nE "^ *# *include *[<\"]$header" /dev/null
}

none='^$'
complain 'common/ includes only common/' "$(includes '(proto|actor|learner|deploy|tests)/' $none common)"
complain 'proto/ includes only common/ and proto/' "$(includes '(actor|learner|deploy|tests)/' $none proto)"
complain 'actor/ includes neither learner/ nor deploy/' "$(includes '(learner|deploy|tests)/' $none actor)"
complain 'learner/ includes neither actor/ nor deploy/' "$(includes '(actor|deploy|tests)/' $none learner)"
complain 'deploy/ does not include tests/' "$(includes 'tests/' $none deploy)"

product=(common proto actor learner deploy)
complain 'libzmq only in proto/ links' "$(includes 'zmq' '^proto/zmq_' "${product[@]}")"
complain 'msgpack only in the wire codec' "$(includes 'msgpack' '^proto/wire' "${product[@]}")"
complain 'libyaml only in common/document.c' "$(includes 'yaml' '^common/document' "${product[@]}")"
complain 'cblas only in common/matrix.c' "$(includes 'cblas' '^common/matrix' "${product[@]}")"
complain 'mujoco.h only below actor/' "$(includes 'mujoco/' '^actor/' "${product[@]}")"
complain 'libsodium and zlib only in common/digest.c' "$(includes '(sodium|zlib)' '^common/digest' "${product[@]}")"
complain 'dlopen only in actor/env/plugin.c' "$(sources "${product[@]}" | grep -v '^actor/env/plugin.c$' | xargs -r grep -nE '\bdlopen *\(' /dev/null)"
complain 'the plug-in header and the examples include nothing of Shoal' "$(sources actor/plugin | xargs -r grep -nE '^ *# *include *"' /dev/null)"
complain 'libzip only in common/npz.c' "$(includes 'zip\.h' '^common/npz\.c' "${product[@]}")"
complain 'banned calls' "$(sources "${product[@]}" tests | xargs -r grep -nE '\b(sprintf|strcpy|strcat|gets|atoi|atof|rand|alloca) *\(' /dev/null)"
if [ "$bad" -eq 0 ]; then echo 'boundaries: kept'; fi
exit "$bad"
