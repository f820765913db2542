#!/usr/bin/env bash
# Trains with the learner here and actors on other machines, over ssh; `ssh.sh --help` says how.
#
#   this machine                           each host
#   learner on 127.0.0.1  <-- ssh -R ---   unix sockets in a private directory  <-- actors
#
# What must end together hangs on one FIFO, the lifeline. Only this process can write to it, and never
# does; every ssh has it as its standard input. However this process ends, readers see the end of
# the file: on the hosts `host_script` ends the actors, and here `guard` ends what is left.
#
# Background work runs in process groups of its own (`set -m`), so that Ctrl-C reaches only this
# process, which lets the learner save first.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${SHOAL:-$here/../build/release/shoal}
config='' run='' resume='' ssh_config=()
overrides=() targets=() labels=() counts=() trees=()
tmp='' learner='' guardian='' is_training='' requests=0

usage() {
    cat <<'END'
usage: deploy/ssh.sh CONFIG [key=value ...] HOST[:ACTORS]... [flags]
       deploy/ssh.sh --resume DIR HOST[:ACTORS]... [flags]

Train with the learner on this machine and ACTORS (default 1) actor processes on every HOST, a
name or user@name as ssh takes it. The program is copied to a host that lacks it, and all traffic goes
through ssh: the learner listens on 127.0.0.1 only, the hosts listen nowhere. It needs a key that logs
in without a password, and on the hosts the Debian packages that the program is linked to.

Ctrl-C stops cleanly with a checkpoint; once more stops at once. The exit status is the learner's.

  --run DIR                run directory (default runs/<config>-<date>)
  --resume DIR             go on with an interrupted run
  --ssh-config FILE        read by ssh instead of ~/.ssh/config

environment:
  SHOAL                    the program (default build/release/shoal)
  SHOAL_MODELS             the models to copy (default: the program's own)
  SHOAL_SSH_CACHE          where the hosts keep the program (default ~/.cache/shoal there)

example:
  deploy/ssh.sh configs/sac/inverted_pendulum.yaml seed=2 lab1:4 me@lab2:4
END
}

say() { printf 'ssh.sh: %s\n' "$*"; }
die() {
    printf 'ssh.sh: %s\n' "$*" >&2
    exit 1
}
misuse() {
    printf 'ssh.sh: %s; see deploy/ssh.sh --help\n' "$*" >&2
    exit 64
}

# ---- arguments ----

# HOST, user@HOST, [ADDRESS]; each with :ACTORS or without.
add_host() {
    local target=$1 count=1 label
    case $1 in
    *\]:*) target=${1%:*} count=${1##*:} ;;
    *\] | *:*:*) ;; # an IPv6 address alone
    *:*) target=${1%:*} count=${1##*:} ;;
    esac
    [[ $count =~ ^[1-9][0-9]{0,3}$ ]] ||
        misuse "\"$1\": behind the colon stands the number of actors, as in ${target:-host}:4"
    target=${target//[\[\]]/}
    label=${target##*@}
    [[ $label =~ ^[A-Za-z0-9_:][A-Za-z0-9._:%-]*$ ]] ||
        misuse "\"$1\" is not the name of a host"
    # Actors are named after it.
    label=${label//[^A-Za-z0-9._-]/_}
    label=${label:0:50}
    case " ${labels[*]-} " in
    *" $label "*) misuse "$label is given twice; write the number of its actors as $label:2" ;;
    esac
    targets+=("$target") labels+=("$label") counts+=("$count")
}

parse() {
    local words=() flag value
    while [ $# -gt 0 ]; do
        flag=${1%%=*}
        case $flag in
        -h | --help)
            usage
            exit 0
            ;;
        --run | --resume | --ssh-config)
            if [[ $1 == *=* ]]; then
                value=${1#*=}
            else
                [ $# -gt 1 ] || misuse "$flag needs a value"
                value=$2
                shift
            fi
            [ -n "$value" ] || misuse "$flag needs a value"
            case $flag in
            --run) run=$value ;;
            --resume) resume=$value ;;
            --ssh-config) ssh_config=(-F "$value") ;;
            esac
            ;;
        -*) misuse "unknown flag \"$1\"" ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    if [ -z "$resume" ]; then
        [ ${#words[@]} -gt 0 ] || misuse "a configuration and at least one host are needed"
        config=${words[0]}
        words=("${words[@]:1}")
        [[ $config != *=* ]] || misuse "the configuration comes before overrides such as \"$config\""
        [ -f "$config" ] || misuse "there is no configuration \"$config\" (it comes first)"
    fi
    for value in "${words[@]}"; do
        case $value in
        actors=*) misuse "\"$value\": the actors are those of all hosts together; write HOST:ACTORS" ;;
        *=*) overrides+=("$value") ;;
        *) add_host "$value" ;;
        esac
    done
    [ ${#targets[@]} -gt 0 ] || misuse "no host is given; actors run on at least one, for example lab1:4"
    [ -z "$resume" ] || [ ${#overrides[@]} -eq 0 ] ||
        misuse "--resume goes on with the run's own configuration; leave out \"${overrides[0]}\""
    [ -z "$resume" ] || [ -z "$run" ] || misuse "--run and --resume exclude each other"
    [ ${#ssh_config[@]} -eq 0 ] || [ -r "${ssh_config[1]}" ] || misuse "cannot read ${ssh_config[1]}"
}

# ---- what is copied ----

# The layout of `make install`, as links, and what runs it on a host.
make_tree() {
    local library models
    [ -x "$program" ] || program=$(command -v shoal) ||
        die "there is no program $program: build it with make, or set SHOAL to it"
    program=$(realpath "$program")
    library=$(ldd "$program" | awk '$1 ~ /^libmujoco\.so/ { print $3 }')
    [ -f "$library" ] || die "$program does not find its libmujoco: run \`make\` again"
    for models in "${SHOAL_MODELS:-none}" "${program%/*}/../share/shoal/models" \
        "$here/../build/deps/models" ''; do
        if compgen -G "$models/*.xml" >/dev/null; then break; fi
    done
    [ -n "$models" ] || die "the models are missing: run \`make deps\`, or set SHOAL_MODELS"
    tree=$tmp/tree
    mkdir -p "$tree/bin" "$tree/lib/shoal" "$tree/share/shoal/models"
    ln -s "$program" "$tree/bin/shoal"
    ln -s "$(realpath "$library")" "$tree/lib/shoal/$(basename "$library")"
    models=$(realpath "$models")
    ln -s "$models"/*.xml "$tree/share/shoal/models/"
    host_script >"$tree/lib/shoal/host.sh"
    (cd "$tree" && find . ! -type d | sort | xargs sha256sum) >"$tmp/SHA256SUMS"
    mv "$tmp/SHA256SUMS" "$tree/"
    id=$(sha256sum <"$tree/SHA256SUMS")
    id=${id:0:12}
}

# Runs a host's actors. POSIX sh; host.sh DIRECTORY NAME ACTORS, standard input the lifeline.
host_script() {
    cat <<'END'
directory=$1 name=$2 n_actors=$3
tree=$(cd "$(dirname "$0")/../.." && pwd)
unset SHOAL_MODELS
trap '' PIPE HUP INT

# Keep one actor running, until it ends for good or TERM comes (twice: at once).
keep() {
    pause=1 signal=
    trap 'if [ -z "$signal" ]; then signal=TERM; else signal=KILL; fi
          kill -$signal "$child" 2>/dev/null' TERM
    while [ -z "$signal" ]; do
        began=$(date +%s)
        "$tree/bin/shoal" actor --learner "ipc://$directory/learner.sock" --name "$1" </dev/null &
        child=$!
        # A TERM that came before the actor's id was known.
        [ -z "$signal" ] || kill -$signal "$child"
        wait "$child"
        status=$?
        while kill -0 "$child" 2>/dev/null; do
            wait "$child"
            status=$?
        done
        [ -z "$signal" ] || exit 143
        # After these trying again would only say the same.
        case $status in 0 | 64 | 65 | 70 | 78 | 130) exit "$status" ;; esac
        [ $(($(date +%s) - began)) -lt 30 ] || pause=1
        echo "actor $1 ended with status $status; starting it again in $pause s"
        sleep "$pause" &
        child=$!
        wait "$child"
        pause=$((pause < 5 ? 2 * pause : 10))
    done
    exit 143
}

end() {
    trap '' TERM
    kill -TERM $keepers "$watcher" 2>/dev/null
    (sleep 4; kill -TERM $keepers) >/dev/null 2>&1 &
    late=$!
    wait $keepers
    kill "$late"
    rm -rf "$directory"
    exit 143
}

exec 3<&0
keepers='' result=0 i=0
trap end TERM
while [ "$i" -lt "$n_actors" ]; do
    keep "$name-$i" 3<&- &
    keepers="$keepers $!"
    i=$((i + 1))
done
(while read -r _; do :; done <&3; kill -TERM $$) &
watcher=$!
for keeper in $keepers; do
    wait "$keeper" || result=$?
done
kill "$watcher"
rm -rf "$directory"
exit "$result"
END
}

# ---- preparing a host ----

# A connection of its own that nothing asks for a password and that ends soon after the network did.
# Every word of the remote command must be plain: any login shell may read it.
run_ssh() {
    ssh "${ssh_config[@]}" -T -a -x -o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR \
        -o ControlMaster=no -o ControlPath=none -o ServerAliveInterval=5 -o ServerAliveCountMax=3 "$@"
}

# What ssh to host `$1` last complained about.
complaint() { tail -n 1 "$tmp/$1.err" | tr -d '\r'; }

quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# Looks at a host. POSIX sh, fed to sh there: says with a mark (a login script may chatter, too)
# `need DIR` to unpack into, or `ready TREE`, or what is wrong.
probe() {
    printf 'id=%s cache=%s new=%s\n' "$(quote "$id")" "$(quote "${SHOAL_SSH_CACHE:-}")" "$(quote "$1")"
    cat <<'END'
tell() { echo "shoal-ssh: $*"; }
LC_ALL=C
export LC_ALL
tell machine "$(uname -sm)"
cache=${cache:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal}
case $cache in /*) ;; *) cache=$HOME/${cache#"~/"} ;; esac
tree=$cache/$id
# Complete or not at all; another start may have been faster.
[ -z "$new" ] || mv -T "$new" "$tree" 2>/dev/null || rm -rf "$new"
if [ -d "$tree" ] && ! (cd "$tree" && sha256sum -c --status SHA256SUMS); then
    rm -rf "$tree"
fi
if [ ! -d "$tree" ]; then
    mkdir -p "$cache" && new=$(mktemp -d "$cache/.new-XXXXXX") && tell need "$new"
    exit
fi
touch "$tree"
# Trees that nobody has used for a month.
for old in "$cache"/????????????; do
    if [ -f "$old/SHA256SUMS" ] && [ -n "$(find "$old" -maxdepth 0 -mtime +30)" ]; then rm -rf "$old"; fi
done
find "$cache" -maxdepth 1 -name '.new-??????' -mtime +1 -exec rm -rf {} +
if said=$("$tree/bin/shoal" --version 2>&1 </dev/null); then
    tell ready "$tree"
else
    tell broken "$?" "$(echo "$said" | head -n 1)"
    ldd "$tree/bin/shoal" 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/shoal-ssh: missing \1/p'
fi
END
}

package_of() {
    case $1 in
    libzmq.so.5) echo libzmq5 ;;
    libmsgpackc.so.2) echo libmsgpackc2 ;;
    libopenblas.so.0) echo libopenblas0 ;;
    libyaml-0.so.2) echo libyaml-0-2 ;;
    libsodium.so.23) echo libsodium23 ;;
    libjansson.so.4) echo libjansson4 ;;
    libz.so.1) echo zlib1g ;;
    libzip.so.4) echo libzip4 ;;
    libstdc++.so.6) echo libstdc++6 ;;
    esac
}

# What a broken program on a host needs, from the probe's answer.
explain() {
    local answer=$1 label=$2 libraries packages=() library package
    mapfile -t libraries < <(sed -n 's/^missing //p' <<<"$answer" | sort -u)
    if [ ${#libraries[@]} -gt 0 ]; then
        for library in "${libraries[@]}"; do
            package=$(package_of "$library")
            if [ -n "$package" ]; then packages+=("$package"); fi
        done
        printf '%s lacks %s' "$label" "${libraries[*]}"
        if [ ${#packages[@]} -gt 0 ]; then
            printf '; on Debian, install there: apt install %s' "${packages[*]}"
        fi
    elif grep -q '^broken 132' <<<"$answer"; then
        printf "%s: its processor lacks instructions that the program was built for" "$label"
    else
        printf '%s cannot run the program: %s' "$label" "$(sed -n 's/^broken [0-9]* //p' <<<"$answer")"
    fi
}

# The probe's answer without what is not ours.
ask() {
    local target=$1 label=$2 new=$3 said machine by_hand
    by_hand="ssh ${ssh_config[*]:+${ssh_config[*]} }$target true"
    if ! said=$(probe "$new" | run_ssh -- "$target" sh -s 2>"$tmp/$label.err"); then
        case $(complaint "$label") in
        *'Host key verification failed'*)
            die "$label: its host key is unknown, or not the known one; see what \`$by_hand\` says" ;;
        *'Permission denied ('*)
            die "$label: login refused; a key that needs no password must be in its authorized_keys" \
                "(ssh-copy-id $target)" ;;
        *)  die "cannot reach $label: $(complaint "$label"); check the name, and that \`$by_hand\` works" ;;
        esac
    fi
    said=$(sed -n 's/^shoal-ssh: //p' <<<"$said")
    machine=$(sed -n 's/^machine //p' <<<"$said")
    [ "$machine" = "$(uname -sm)" ] ||
        die "$label is ${machine:-no Unix machine}, and the program here is for $(uname -sm)"
    [[ $said == *$'\n'* ]] ||
        die "$label: no place for the program: $(complaint "$label"); set SHOAL_SSH_CACHE to one"
    printf '%s\n' "${said#*$'\n'}"
}

# Bring a host to where it can run actors; its tree goes to $tmp/LABEL.tree.
prepare() {
    local target=${targets[$1]} label=${labels[$1]} answer new
    answer=$(ask "$target" "$label" '')
    if [[ $answer == 'need '* ]]; then
        new=${answer#need }
        [[ $new =~ ^/[A-Za-z0-9._/@+-]+$ ]] ||
            die "$label: \"$new\" is not an absolute path of plain characters; set SHOAL_SSH_CACHE to one"
        say "$label: copying the program ($(du -shL "$tree" | cut -f 1))"
        tar -C "$tree" -chzf - . | run_ssh -- "$target" tar -xozf - -C "$new" 2>"$tmp/$label.err" ||
            die "$label: copying failed: $(complaint "$label")"
        answer=$(ask "$target" "$label" "$new")
    fi
    [[ $answer == 'ready '* ]] || die "$(explain "$answer" "$label")"
    printf '%s' "${answer#ready }" >"$tmp/$label.tree"
}

# ---- serving a host ----

# One connection: sockets in a fresh private directory there, and the actors.
connect() {
    local target=${targets[$1]} label=${labels[$1]} status=0 directory
    directory=$(run_ssh -- "$target" mktemp -d /tmp/shoal.XXXXXXXX </dev/null 2>"$tmp/$label.err" |
        grep '^/tmp/shoal\.[A-Za-z0-9]*$') || return 255
    run_ssh -o ExitOnForwardFailure=yes -R "$directory/learner.sock:127.0.0.1:$port" \
        -R "$directory/learner.sock.snapshots:127.0.0.1:$snapshot_port" -- "$target" \
        exec sh "${trees[$1]}/lib/shoal/host.sh" "$directory" "$label" "${counts[$1]}" '2>&1' \
        2>"$tmp/$label.err" || status=$?
    if grep -q 'remote port forwarding failed' "$tmp/$label.err"; then
        echo "sshd does not forward unix sockets; its sshd_config needs AllowStreamLocalForwarding yes"
        run_ssh -- "$target" rmdir "$directory" </dev/null 2>/dev/null || :
        status=78
    fi
    return "$status"
}

# Connect, again after a pause when that breaks, until its actors have ended for good.
# $tmp/LABEL.ended then holds how. Standard input: the lifeline.
serve() {
    local label=${labels[$1]} pause=1 status began why
    while :; do
        began=$SECONDS status=0
        connect "$1" || status=$?
        if read -r -t 0; then return; fi
        case $status in
        0 | 64 | 65 | 70 | 78 | 130) break ;;
        255)
            why=$(complaint "$label")
            echo "the connection is lost${why:+: $why}; again in $pause s"
            ;;
        *) echo "ended with status $status; again in $pause s" ;;
        esac
        sleep "$pause"
        if read -r -t 0; then return; fi
        if [ $((SECONDS - began)) -ge 30 ]; then pause=1; else pause=$((pause < 8 ? 2 * pause : 15)); fi
    done
    echo "$status" >"$tmp/$label.ended"
    if [ "$status" -ne 0 ]; then
        echo "no actor runs here any more (status $status)"
        give_up
    fi
}

# Stop the learner, once, when no host has actors left although it did not send them away.
give_up() {
    local label
    for label in "${labels[@]}"; do
        if [ ! -s "$tmp/$label.ended" ] || [ "$(<"$tmp/$label.ended")" = 0 ]; then return; fi
    done
    if mkdir "$tmp/given_up" 2>/dev/null; then
        echo "no other host has actors either: stopping the learner"
        kill -TERM "$(<"$tmp/learner")"
    fi
}

# In front of every line its host; on a terminal, over the learner's live line.
prefix() {
    local line clear=''
    if [ -t 1 ]; then clear=$'\r\e[K'; fi
    while IFS= read -r line; do
        printf '%s%s | %s\n' "$clear" "$1" "${line%$'\r'}"
    done
}

# ---- beginning and end ----

# Outlives this process, however it ends, to end what it has started.
guard() {
    local group
    trap '' INT TERM HUP
    read -r _ || :
    if [ -s "$tmp/learner" ]; then kill -TERM "$(<"$tmp/learner")" 2>/dev/null || :; fi
    touch "$tmp/groups"
    for ((tries = 0; tries < 100; tries++)); do
        while read -r group; do
            if kill -0 -- "-$group" 2>/dev/null; then
                sleep 0.1
                continue 2
            fi
        done <"$tmp/groups"
        break
    done
    while read -r group; do
        kill -KILL -- "-$group" 2>/dev/null || :
    done <"$tmp/groups"
    rm -rf -- "$tmp"
}

# shellcheck disable=SC2317  # a trap calls it
finish() {
    trap '' INT TERM HUP
    exec 9>&-
    if [ -n "$guardian" ]; then wait "$guardian" || :; fi
}

# First request: the learner saves and drains. Second: at once.
# shellcheck disable=SC2317  # a trap calls it
stop() {
    if [ -z "$is_training" ]; then exit 130; fi
    until [ -s "$tmp/learner" ]; do sleep 0.1; done
    requests=$((requests + 1))
    if [ "$requests" -eq 1 ]; then
        kill -TERM "$(<"$tmp/learner")" 2>/dev/null || :
        say "stopping: the learner writes a checkpoint (once more: stop at once)"
    else
        kill -KILL "$(<"$tmp/learner")" 2>/dev/null || :
    fi
}

prepare_hosts() {
    local jobs=() i failed=''
    for i in "${!targets[@]}"; do
        set -m
        prepare "$i" </dev/null 9>&- &
        set +m
        jobs+=($!)
        echo $! >>"$tmp/groups"
    done
    for i in "${jobs[@]}"; do wait "$i" || failed=1; done
    [ -z "$failed" ] || exit 1
    for i in "${labels[@]}"; do trees+=("$(<"$tmp/$i.tree")"); done
}

# Leaves the learner's status in a file: a `wait` that signals interrupt cannot be trusted with it.
run_learner() {
    local status=0
    "$program" learner "$@" --bind 'tcp://127.0.0.1:*' --report-fd 3 3>"$tmp/report" </dev/null &
    echo $! >"$tmp/learner"
    wait $! || status=$?
    echo "$status" >"$tmp/status"
}

start_learner() {
    local arguments=(--resume "$resume")
    if [ -z "$resume" ]; then
        arguments=("$config" "${overrides[@]}" "actors=$total" --run "$run")
    fi
    mkfifo "$tmp/report"
    is_training=1
    set -m
    run_learner "${arguments[@]}" 9>&- &
    set +m
    learner=$!
    # Nothing arrives when it ends before it listens.
    read -r endpoint snapshot_port <"$tmp/report" || endpoint=
    port=${endpoint##*:}
}

serve_hosts() {
    local i
    for i in "${!targets[@]}"; do
        set -m
        serve "$i" <"$tmp/lifeline" 2>&1 9>&- | prefix "${labels[$i]}" 9>&- &
        jobs -p %% >>"$tmp/groups"
        set +m
        readers+=($!)
    done
}

# Set `status` to how the learner ended.
await_learner() {
    while kill -0 "$learner" 2>/dev/null; do wait "$learner" || :; done
    status=$(<"$tmp/status")
    trap '' INT TERM HUP
    rm "$tmp/learner"
}

# Sent away by the learner, the actors leave on their own.
await_hosts() {
    local i tries
    for ((tries = 0; tries < 30; tries++)); do
        for i in "${readers[@]}"; do
            if kill -0 "$i" 2>/dev/null; then
                sleep 0.1
                continue 2
            fi
        done
        return
    done
}

parse "$@"
command -v ssh >/dev/null || die "ssh is missing: install it (Debian: apt install openssh-client)"
umask 077
tmp=$(mktemp -d)
mkfifo "$tmp/lifeline"
exec 9<>"$tmp/lifeline"
set -m
guard <"$tmp/lifeline" 9>&- &
set +m
guardian=$!
trap finish EXIT
trap stop INT TERM HUP

make_tree
total=0
for count in "${counts[@]}"; do total=$((total + count)); done
if [ -n "$resume" ]; then
    [ -f "$resume/config.yaml" ] || die "$resume is not a run: it has no config.yaml"
    actors=$("$program" config "$resume/config.yaml" --plain | awk '$1 == "actors:" { print $2 }')
    [ "$actors" = "$total" ] || die "the run in $resume has $actors actors; the hosts given have $total"
    run=$resume
else
    # Mistakes in it are told before anything else happens.
    "$program" config "$config" "${overrides[@]}" "actors=$total" >/dev/null || exit
    name=$(basename "$config")
    run=${run:-runs/${name%%.*}-$(date +%Y%m%d-%H%M%S)}
fi
prepare_hosts
umask 022
readers=()
start_learner
if [ -n "$endpoint" ]; then serve_hosts; fi
await_learner
await_hosts
if [ "$status" -gt 128 ] && [ "$status" -ne 130 ]; then
    say "the learner was killed by signal $((status - 128))" >&2
fi
case $status in
0 | 64 | 65 | 70 | 78) ;;
*) if [ -d "$run" ]; then say "go on from the last checkpoint: deploy/ssh.sh --resume $run HOST..." >&2; fi ;;
esac
exit "$status"
