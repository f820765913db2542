#!/usr/bin/env bash
# deploy/ssh.sh with two hosts: network namespaces, each with an sshd and a home of its own, joined to
# the learner's namespace by one cable each and to nothing else. The system's ssh files are not
# touched. Run from the repository's root, as root.
set -uo pipefail

skip() {
    echo "skipped: $*"
    echo "0 passed, 0 failed"
    exit 0
}
[ "$(id -u)" -eq 0 ] || skip "needs root, for network namespaces"
for tool in ip ss nsenter ssh ssh-keygen; do
    command -v "$tool" >/dev/null || skip "no $tool (Debian: apt install iproute2 openssh-client)"
done
sshd=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$sshd" ] || skip "no sshd (Debian: apt install openssh-server)"
[ -x build/release/shoal ] || { echo "build the program first: make"; exit 1; }

suffix=$$-$RANDOM
here=shoal-$suffix-l
tmp=$(mktemp -d)
chmod 755 "$tmp"
passed=0 failed=0

namespace() { echo "shoal-$suffix-$1"; }
inside() {
    local name=$1
    shift
    nsenter --net="/run/netns/$name" "$@"
}

# shellcheck disable=SC2317  # a trap calls it
teardown() {
    local name pid
    exec 2>/dev/null # the shell's "Killed"
    for name in "$here" "$(namespace h1)" "$(namespace h2)"; do
        [ -e "/run/netns/$name" ] || continue
        for pid in $(ip netns pids "$name"); do kill -KILL "$pid" 2>/dev/null; done
        ip netns del "$name"
    done
    wait 2>/dev/null
    rm -rf "$tmp"
}
trap teardown EXIT
trap 'exit 130' INT TERM HUP

check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok      $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        if [ -f "$tmp/out" ]; then tail -n 25 "$tmp/out" | sed 's/^/        /'; fi
        for name in l h1 h2; do processes $name '' | sed "s/^/        running on $name: /"; done
    fi
}

# Whether a command succeeds within so many seconds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# A copy, so that a build meanwhile changes nothing.
# Beside it, as in build/, what it looks for from where it stands.
mkdir "$tmp/release"
ln -s "$PWD/build/deps" "$tmp/deps"
cp build/release/shoal "$tmp/release/shoal"
export SHOAL=$tmp/release/shoal
# Where ssh.sh keeps its own files.
mkdir "$tmp/local"
export TMPDIR=$tmp/local

# ---- the hosts ----

ip netns add "$here" 2>/dev/null || skip "network namespaces cannot be made here"
ip -n "$here" link set lo up
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$tmp/key"
cp "$tmp/key.pub" "$tmp/authorized_keys"
sshds=()
for i in 1 2; do
    name=$(namespace "h$i")
    ip netns add "$name"
    ip -n "$name" link set lo up
    ip -n "$here" link add "to-h$i" type veth peer name eth0 netns "$name" || skip "no veth devices here"
    ip -n "$here" addr add "10.77.$i.1/24" dev "to-h$i"
    ip -n "$here" link set "to-h$i" up
    ip -n "$name" addr add "10.77.$i.2/24" dev eth0
    ip -n "$name" link set eth0 up
    mkdir "$tmp/home$i"
    ssh-keygen -q -t ed25519 -N '' -f "$tmp/host_key$i"
    echo "10.77.$i.2 $(cut -d ' ' -f 1,2 "$tmp/host_key$i.pub")" >>"$tmp/known_hosts"
    printf '%s\n' "ListenAddress 10.77.$i.2" "HostKey $tmp/host_key$i" "PidFile $tmp/sshd$i.pid" \
        "AuthorizedKeysFile $tmp/authorized_keys" "StrictModes no" "UsePAM no" \
        "PasswordAuthentication no" "KbdInteractiveAuthentication no" \
        "PermitRootLogin prohibit-password" "SetEnv HOME=$tmp/home$i" >"$tmp/sshd$i.conf"
    nsenter --net="/run/netns/$name" "$sshd" -D -f "$tmp/sshd$i.conf" -E "$tmp/sshd$i.log" &
    sshds+=($!)
    printf '%s\n' "Host h$i" " HostName 10.77.$i.2" " User root" >>"$tmp/ssh_config"
done
# A host that is not there.
printf '%s\n' 'Host gone' ' HostName 10.77.1.9' ' ConnectTimeout 2' \
    'Host *' " IdentityFile $tmp/key" ' IdentitiesOnly yes' " UserKnownHostsFile $tmp/known_hosts" \
    ' GlobalKnownHostsFile /dev/null' ' StrictHostKeyChecking yes' >>"$tmp/ssh_config"
for i in 1 2; do within 10 grep -qs listening "$tmp/sshd$i.log" || { cat "$tmp/sshd$i.log"; exit 1; }; done

# Start ssh.sh as a shell at a terminal would: a process group of its own. Sets `script`.
start() {
    set -m
    nsenter --net="/run/netns/$here" \
        deploy/ssh.sh --ssh-config "$tmp/ssh_config" "$@" >"$tmp/out" 2>&1 </dev/null &
    set +m
    script=$!
}
run_to_end() {
    start "$@"
    wait "$script"
    status=$?
}

# ---- what can be seen from outside ----

# Processes of a namespace whose command line has a word; sshd's own listener does not count.
processes() {
    local pid command
    for pid in $(ip netns pids "$(namespace "$1")"); do
        case " ${sshds[*]} " in *" $pid "*) continue ;; esac
        command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -- "$2") && echo "$pid $command"
    done 2>/dev/null
}
first_of() { processes "$1" "$2" | awk 'NR == 1 { print $1 }'; }
all_gone() { [ -z "$(processes h1 '')$(processes h2 '')$(processes l '')" ]; }
directories_gone() { ! compgen -G '/tmp/shoal.????????' >/dev/null && [ -z "$(ls "$tmp/local")" ]; }
actors_on() { [ "$(processes "$1" 'shoal actor' | wc -l)" -eq "$2" ]; }
both_hosts_act() { actors_on h1 2 && actors_on h2 1; }
says() { grep -q -- "$1" "$tmp/out"; }
does_not_say() { ! says "$1"; }
is() { [ "$1" = "$2" ]; }
lines_are() { [ "$(wc -l <"$tmp/out")" -eq "$1" ]; }
has_file() { compgen -G "$1" >/dev/null; }
steps_are_past() {
    [ "$(tail -n 1 "$tmp/$1/metrics.csv" 2>/dev/null | cut -d , -f 2)" -gt "$2" ] 2>/dev/null
}
never_disturbed() { ! grep -qs 'fragment .* refused' "$tmp/$1/log.txt"; }

loopback_only() { # every listening address of the learner's namespace
    local listening
    listening=$(inside "$here" ss -Hltn | awk '{ print $4 }')
    [ -n "$listening" ] && ! grep -qv '^127\.0\.0\.1:' <<<"$listening"
}
hosts_listen_for_ssh_only() {
    local host i
    for i in 1 2; do
        host=$(namespace "h$i")
        [ "$(inside "$host" ss -Hltn | awk '{ print $4 }')" = "10.77.$i.2:22" ] || return 1
    done
}
cables_carry_ssh_only() {
    local other
    other=$(inside "$here" ss -Htn | awk '$4 ~ /^10\.77\./ && $5 !~ /:22$/')
    [ -z "$other" ] && inside "$here" ss -Htn | grep -q ' 10\.77\.2\.2:22'
}

pendulum=configs/sac/pendulum.yaml
brief=(total_steps=3000 eval.every=0 eval.episodes=5)
long=(total_steps=1000000 eval.every=0 metrics.every_s=1)

# ---- mistakes ----

run_to_end "$pendulum"
check "no host: wrong usage" is "$status" 64
check "no host: one clear sentence" says 'no host is given; actors run on at least one'
run_to_end "$pendulum" h1 --nodes 3
check "an unknown flag is named" says 'unknown flag "--nodes"'
run_to_end configs/sac/pendulm.yaml h1
check "a missing configuration is named" says 'there is no configuration "configs/sac/pendulm.yaml"'
run_to_end "$pendulum" h1:none
check "a wrong number of actors is explained" says 'number of actors, as in h1:4'
run_to_end "$pendulum" sac.gama=1 h1
check "a mistake in the configuration is told before any host is asked" does_not_say 'copying'
run_to_end "$pendulum" h1 gone
check "an unreachable host ends it" is "$status" 1
check "an unreachable host is named" says 'cannot reach gone: .*; check the name, and that .ssh .* gone true. works'
check "nothing is left behind" within 10 all_gone

# ---- a training ----

run_to_end "$pendulum" "${brief[@]}" --run "$tmp/first" h1:2 h2
check "a training over two hosts ends well" is "$status" 0
check "its summary says finished" grep -q '"finished"' "$tmp/first/summary.json"
check "the second host was given the program" says '^ssh.sh: h2: copying'
check "the first host got it when the first attempt reached it" has_file "$tmp/home1/.cache/shoal/*/bin/shoal"
for actor in h1-0 h1-1 h2-0; do
    check "actor $actor joined" grep -q "actor $actor joined" "$tmp/first/log.txt"
done
check "no fragment was refused" never_disturbed first
check "what hosts say has their name in front" says '^h2 | '
check "nothing is left behind" within 10 all_gone
check "the private directories are gone" directories_gone

run_to_end "$pendulum" mode=sync "${brief[@]}" --run "$tmp/sync" h1:2 h2
"$SHOAL" train "$pendulum" mode=sync "${brief[@]}" actors=3 --run "$tmp/local_sync" >/dev/null
check "in sync mode the result is that of a local training, bit for bit" \
    is "$(tail -n 1 "$tmp/sync/hashes.csv")" "$(tail -n 1 "$tmp/local_sync/hashes.csv")"

# ---- Ctrl-C in the middle ----

start "$pendulum" "${long[@]}" --run "$tmp/second" h1:2 h2
check "three actors run on the two hosts" within 30 both_hosts_act
check "training goes on" within 30 steps_are_past second 1500
check "the second start copies nothing" does_not_say copying
check "the learner's side listens on 127.0.0.1 only" loopback_only
check "the hosts listen for ssh only" hosts_listen_for_ssh_only
check "between the machines goes ssh only" cables_carry_ssh_only

kill -KILL "$(first_of h2 'shoal actor')"
check "a killed actor is said" within 10 says 'actor h2-0 ended with status 137; starting it again'
check "a killed actor comes back" within 10 both_hosts_act

kill -INT -- "-$script"
wait "$script"
status=$?
check "Ctrl-C: the status is the learner's" is "$status" 130
check "Ctrl-C: it says how to go on" says "deploy/ssh.sh --resume $tmp/second"
check "Ctrl-C: the summary says interrupted" grep -q '"interrupted"' "$tmp/second/summary.json"
check "Ctrl-C: there is a checkpoint" has_file "$tmp/second/checkpoint*"
check "Ctrl-C: no process is left on either side" within 10 all_gone
check "Ctrl-C: the private directories are gone" directories_gone

# ---- going on, and the script itself killed ----

run_to_end --resume "$tmp/second" h1 h2
check "--resume with another number of actors is refused" says 'has 3 actors; the hosts given have 2'

start --resume "$tmp/second" h1:2 h2
check "--resume: the actors are back" within 30 both_hosts_act
check "--resume: it goes on where it was" within 10 says '^going on '
kill -KILL "$script"
wait "$script" 2>/dev/null
check "killed: no process is left on either side" within 15 all_gone
check "killed: the private directories are gone" directories_gone

start --resume "$tmp/second" h1:2 h2
within 30 both_hosts_act
kill -INT -- "-$script"
kill -INT -- "-$script"
sleep 0.2
kill -INT -- "-$script" 2>/dev/null
wait "$script"
check "Ctrl-C again and again: no process is left on either side" within 10 all_gone
check "Ctrl-C again and again: the private directories are gone" directories_gone

# ---- the learner dies ----

start "$pendulum" "${long[@]}" --run "$tmp/third" h1:2 h2
within 30 both_hosts_act
kill -KILL "$(first_of l 'shoal learner')"
wait "$script"
status=$?
check "a killed learner: its status" is "$status" 137
check "a killed learner is said" says 'the learner was killed by signal 9'
check "a killed learner: no process is left" within 15 all_gone

# ---- a connection breaks ----

start "$pendulum" "${long[@]}" --run "$tmp/fourth" h1:2 h2
within 30 both_hosts_act
for pid in $(processes h2 '^sshd: ' | cut -d ' ' -f 1); do kill -KILL "$pid"; done
check "a broken connection is said" within 10 says 'h2 | the connection is lost'
check "a broken connection is made again" within 15 both_hosts_act
check "the host's actor joined again" within 10 is "$(grep -c 'actor h2-0 joined' "$tmp/fourth/log.txt")" 2
kill -TERM "$script"
wait "$script"
status=$?
check "TERM ends it like Ctrl-C" is "$status" 130
check "TERM: no process is left on either side" within 10 all_gone

# ---- hosts that cannot ----

# Start the second host's sshd anew, with a line more in its configuration, through a command.
restart_second() {
    local line=$1
    shift
    kill "${sshds[1]}"
    wait "${sshds[1]}" 2>/dev/null
    rm -f "$tmp/sshd2.log"
    echo "$line" >>"$tmp/sshd2.conf"
    nsenter --net="/run/netns/$(namespace h2)" "$@" "$sshd" -D -f "$tmp/sshd2.conf" -E "$tmp/sshd2.log" &
    sshds[1]=$!
    within 10 grep -qs listening "$tmp/sshd2.log"
}

restart_second 'AllowStreamLocalForwarding no'
run_to_end "$pendulum" "${brief[@]}" --run "$tmp/fifth" h2
check "a host without forwarding is explained" says 'h2 | .*needs AllowStreamLocalForwarding yes'
check "when no host can run actors it ends" is "$status" 130
check "nothing is left behind" within 10 all_gone

# A host without libjansson: its directory of libraries is an overlay without that file.
cat >"$tmp/without_library" <<'END'
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" &&
    mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" none "$2" || exit 1
rm "$2/libjansson.so.4"
shift 2
exec "$@"
END
mkdir "$tmp/overlay"
libraries=$(dirname "$(ldd "$SHOAL" | awk '$1 == "libjansson.so.4" { print $3 }')")
libraries=$(realpath "$libraries")
if restart_second '' unshare --mount sh "$tmp/without_library" "$tmp/overlay" "$libraries"; then
    run_to_end "$pendulum" "${brief[@]}" h1 h2
    check "a host that lacks a library ends it" is "$status" 1
    check "the library and its package are named" says \
        'h2 lacks libjansson.so.4; on Debian, install there: apt install libjansson4'
else
    echo "skipped a host that lacks a library: no overlay file system here"
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
