#!/bin/bash
# canary.sh - each secret of a farm is a word or a key that nothing else has. All of them go their way through builds that are well, that fail, are cancelled, and
# whose coordinator and worker die; through fetched contexts, schedules, mails and hooks. Then everything that was written is searched, while builds run and
# afterwards, and nothing may be found but where $work/rules has a reason for it.
#
# The table of docs/security.md ("Canaries") says the same for people.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/mails.sh"
. "$top_srcdir/tests/lib/agents.sh"
. "$top_srcdir/tests/lib/sshd.sh"
. "$top_srcdir/tests/lib/canaries.sh"
canaries_start

cat > "$work/rules" <<END
# What people have written, or servers that are no part of the farm keep
must  registry-password    $work/config.json                        0600  docker's config.json, which registry/auth-file names
must  registry-password    $work/tls/password                       -     the token service knows it
must  bearer-token         $work/tls/id                             -     the token service puts it into each token
must  bearer-token         $work/token                              -     one that this test has asked for: so they are known in the form that they have
must  login-password       $work/bin/docker-credential-canary       0700  the credential helper knows it
must  mail-password        $work/password                           0600  mail/password-file
must  mail-password        $work/mail/password                      0600  the mail server knows it
must  git-password         $work/git-credentials                    0600  git/helpers
must  git-password         $repos/password                          -     the git host knows it
must  git-key              $work/git-key                            0600  git/keys
must  agent-key            $work/key                                0600  the user's own
must  file-secret          $laptop/npmrc                            0600  the user's own
must  hook-secret          $laptop/hook-secret                      0600  the user's own
# Keys, each where it was made
must  ann-key              $laptop/farmctl.key                      0600  the key of her farmctl
must  worker-key           $farm/worker-$native_name/worker.key     0600  the worker's key
must  admin-key            $state/admin.key                         0600  the key of the coordinator's admin
must  coordinator-key      $state/coordinator.key                   0600  the coordinator's key
must  seal-key             $state/secrets.key                       0600  what secrets in the queue are sealed with
must  news-key             $state/news.key                          0600  what secrets of subscribers' hooks are made of
must  standing-invitation  $state/invitation.key                    0600  join/standing, which is off by default
must  standing-invitation  $state/join                              0600  the string for it
# It goes with the worker, and comes back with it
may   surroundings         farm-worker:/proc/*/environ              -     the worker was started with it
END

# While a step runs that has them
cat "$work/rules" - > "$work/rules-meanwhile" <<END
must  file-secret          $vault/*                                 -     what the step reads: a tmpfs, in folders of mode 0700
must  env-secret           $vault/*                                 -     the same
must  env-secret           farmctl:/proc/*/environ                  -     the user has set it for farmctl
may   door-password-*      farm-keeper:/proc/*/fd/9                 -     the builder reads it in the first process of its room
may   door-password-*      $farm/worker-*/attempts/*/scratch/auth.json  0600  where the host allows no room
END

# hunt RULES PLACE OR OPTION…
hunt ()
{
    python3 -B "$top_srcdir/tests/lib/canary" --secrets "$secrets" --known "$work/known-clean" --allow "$1" "${@:2}"
}

# Everything that the test has, the farm's folders, logs and registries among it; and all processes
everywhere ()
{
    local file pids=()
    for file in "$farm"/*.pid "$work"/pids/*; do
        pids+=(--pid "$(cat "$file")")
    done
    hunt "$1" --processes "${pids[@]}" "$work" "$vault" /var/tmp
}

# -- builds ------------------------------------------------------------------------------------------------------------

# A sanitizer wants to look into its own process at the end, and reports what is a crash to it
is_sanitized ()
{
    grep -qa __asan_init "$(command -v farm-worker)"
}

# Without these rights root is to processes of root what other users are to their own
without_rights=(setpriv --bounding-set -sys_ptrace,-sys_admin,-perfmon --inh-caps -sys_ptrace,-sys_admin,-perfmon --)
is_sanitized && without_rights=(env)
as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
# By ann, with all that she has
submit=(ann submit --secret "id=file,src=$laptop/npmrc" --secret id=env,env=ENV_SECRET --ssh default --platform "$native")

# uses NAME COMMAND: a context with a step that reads the secrets, has something signed, and then runs the command
uses ()
{
    local folder
    folder=$(context "$1" <<END
FROM $TOKEN_REGISTRY/private/base:1
$(agent_steps)
RUN --mount=type=secret,id=file --mount=type=secret,id=env --mount=type=ssh cat /run/secrets/file /run/secrets/env | sha256sum > /sum; /tools/ssh-keygen -Y sign -f /tools/key.pub -n farm /tools/text; $2
END
    )
    [ -d "$work/tools" ] || agent_tools "$work/tools"
    cp -r "$work/tools"/* "$folder/"
    echo "$folder"
}

a_build_that_is_well ()
{
    run 0 "${submit[@]}" -t "$TOKEN_REGISTRY/team/app:1" "$(uses well 'test -s /tools/text.sig')"
    expect_text "$work/tls/token.log" "repository:team/app:pull,push"
    run 0 ann submit --platform "$native" -t "$LOGIN_REGISTRY/team/app:1" "$(context plain <<< $'FROM %BASE%\nRUN true')"
}
check "with all of its secrets a build is published; so is one with a password alone" a_build_that_is_well

a_build_that_fails ()
{
    run 3 "${submit[@]}" -t "$LOGIN_REGISTRY/team/app:2" "$(uses fails \
        'env; for p in /proc/[0-9]*; do tr "\0" "\n" < $p/environ; tr "\0" " " < $p/cmdline; done 2> /dev/null; cat /run/secrets/file /run/secrets/env; find / -xdev -name "*.json"; exit 7')"
    expect_text "$work/err" "***" "exit status 7"
}
check "a step fails, and prints its environment, that of others and its secrets" a_build_that_fails

# -- while a step runs -------------------------------------------------------------------------------------------------

# hold NAME: a build whose step has them all, and does not end before `release`
hold ()
{
    local folder
    folder=$(uses "$1" "echo \"it\" holds; i=0; until wget -q -O /dev/null http://127.0.0.1:$http/files/go-$1 || [ \$i -gt 600 ]; do sleep 0.2; i=\$((i + 1)); done")
    background "$1" "${without_rights[@]}" "${submit[@]}" -t "$TOKEN_REGISTRY/team/$1:1" "$folder"
    wait_for 20 grep -q "^build [0-9]* queued" "$work/$1.log"
    sed -n 's/^build \([0-9]*\) queued/\1/p' "$work/$1.log" > "$work/build"
    wait_for 60 holds 1
    door_password "$1"
}

holds ()
{
    [ "$(farmctl logs "$(cat "$work/build")" | grep -c "^.*it holds$")" -ge "$1" ]
}

release ()
{
    touch "$repos/files/go-$1"
}

# door_password NAME: that of the attempt that runs, a new canary. The first process of the builder's room has it in memory; without rooms it is a file.
door_password ()
{
    python3 - "$(farm_pid "worker-$native_name")" "$farm/worker-$native_name/attempts" "$secrets/door-password-$1" <<'END'
import base64, glob, json, os, sys
worker, attempts, into = sys.argv[1:]
parents = {}
for path in glob.glob("/proc/[0-9]*/stat"):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            parents[path.split("/")[2]] = file.read().rpartition(")")[2].split()[1]
    except OSError:
        pass
def is_below(pid):
    return pid == worker or pid in parents and is_below(parents[pid])
found = glob.glob(attempts + "/*/scratch/auth.json")
for pid in filter(is_below, list(parents)):
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            if os.readlink(path).startswith("/memfd:secret"):
                found.append(path)
        except OSError:
            pass
with open(found[0], encoding="utf-8") as file:
    account = next(iter(json.load(file)["auths"].values()))["auth"]
with open(into, "wb") as file:
    file.write(base64.b64decode(account).partition(b":")[2])
END
}

meanwhile ()
{
    hold held
    sed 's/^may   surroundings/must  surroundings/' "$work/rules-meanwhile" > "$work/rules-held"
    everywhere "$work/rules-held"
}
check "while a step has all of them they are in memory alone" meanwhile

core_limit ()
{
    awk '/Max core file size/ { print $5, $6 }' "/proc/$1/limits"
}

core_files ()
{
    find "$work/here" "$work/tmp" "$work/home" "$farm" -name 'core*' -type f -size +0
}

expect_no_core ()
{
    expect "core files" "$(core_files)" ""
}

# Where this host has the kernel write core files as files, one of a program that does not mind is seen
may_leave_one ()
{
    expect "core limit of this test" "$(core_limit "$BASHPID" | cut -d ' ' -f 1)" unlimited
    python3 -c 'import os, sys; secret = open (sys.argv [1]).read (); os.kill (os.getpid (), 11)' "$secrets/env-secret" || true
    [ -n "$(core_files)" ] || { echo "this host keeps no core files in folders"; return; }
    if hunt "$work/rules-meanwhile" "$work/here" > "$work/core-finds"; then return 1; fi
    grep -q "^env-secret in $work/here/core" "$work/core-finds"
    find "$work/here" -name 'core*' -delete
}

no_core_files ()
{
    local name pid
    may_leave_one
    for name in coordinator "worker-$native_name"; do
        expect "core limit of $name" "$(core_limit "$(farm_pid "$name")")" "0 0"
    done
    expect "core limit of farmctl" "$(core_limit "$(background_pid held)")" "0 0"
    pid=$(pgrep -f "until wget .*/files/go-held" | head -n 1)
    expect "core limit of the step" "$(core_limit "$pid")" "0 0"
}
check "daemons, farmctl and the step may leave no core file, though others may" no_core_files

# looks USER-COMMAND… PID: what can be opened of that process
looks ()
{
    local file
    for file in environ mem maps; do
        "${@:1:$# - 1}" head -c 0 "/proc/${*: -1}/$file" 2> /dev/null && echo "$file"
    done | tr '\n' ' '
}

nobody_looks ()
{
    local name pid
    background nobodys "${as_nobody[@]}" sleep 600
    background roots "${without_rights[@]}" sleep 600
    wait_for 10 is_called sleep "$(background_pid nobodys)"
    wait_for 10 is_called sleep "$(background_pid roots)"
    expect "of a process of theirs" "$(looks "${as_nobody[@]}" "$(background_pid nobodys)")" "environ mem maps "
    expect "of a process of root's" "$(looks "${without_rights[@]}" "$(background_pid roots)")" "environ mem maps "
    for name in coordinator "worker-$native_name"; do
        expect "others, of $name" "$(looks "${as_nobody[@]}" "$(farm_pid "$name")")" ""
    done
    expect "others, of farmctl" "$(looks "${as_nobody[@]}" "$(background_pid held)")" ""
    is_sanitized || expect "its own user, of farmctl" "$(looks "${without_rights[@]}" "$(background_pid held)")" ""
    for pid in $(pgrep farm-keeper); do
        ! is_below "$pid" "$(farm_pid "worker-$native_name")" || expect "others, of the room" "$(looks "${as_nobody[@]}" "$pid")" ""
    done
    background_end nobodys
    background_end roots
}

is_called ()
{
    [ "$(cat "/proc/$2/comm")" = "$1" ]
}

# is_below PID ANCESTOR: other tests' workers have rooms, too
is_below ()
{
    local pid=$1
    while [ "${pid:-0}" -gt 1 ] && [ "$pid" != "$2" ]; do
        pid=$(ps -o ppid= -p "$pid" | tr -d ' ')
    done
    [ "$pid" = "$2" ]
}
check "nobody else may look into them, and into farmctl not even its own user" nobody_looks

# crash NAME SIGNAL
crash ()
{
    local pid
    pid=$(farm_pid "$1")
    kill "-$2" "$pid"
    wait_for 20 is_dead "$pid"
}

# Before the next start, which clears up. What follows has to go on all the same.
no_trace_of_the_dead ()
{
    expect_no_core && hunt "$work/rules-meanwhile" --processes "$work" "$vault"
}

coordinators_die ()
{
    local signal leaks=0
    for signal in KILL ABRT; do
        crash coordinator "$signal"
        no_trace_of_the_dead || leaks=1
        devfarm start coordinator > "$work/start.log"
        wait_for 20 farm_is_up
        wait_for 60 has_worker "worker-$native_name"
    done
    [ "$leaks" = 0 ]
}
check "a coordinator that is killed, or aborts, leaves them nowhere else" coordinators_die

a_worker_dies ()
{
    local leaks=0
    if is_sanitized; then crash "worker-$native_name" KILL; else crash "worker-$native_name" SEGV; fi
    no_trace_of_the_dead || leaks=1
    worker_begin > "$work/start.log"
    wait_for 60 holds 2
    door_password again
    everywhere "$work/rules-meanwhile" || leaks=1
    release held
    wait_state "$(cat "$work/build")" published
    wait_for 20 is_dead "$(background_pid held)"
    [ "$leaks" = 0 ]
}
check "nor a worker that breaks its memory; the second try has them too" a_worker_dies

vault_is_empty ()
{
    [ -z "$(find "$vault" -mindepth 1)" ]
}

cancelled ()
{
    release held                # if it was not
    hold cancelled
    run 0 farmctl cancel "$(cat "$work/build")"
    wait_for 20 vault_is_empty
    wait_for 20 is_dead "$(background_pid cancelled)"
}
check "a build is cancelled" cancelled

# -- what is fetched, and who is told ----------------------------------------------------------------------------------

# repository NAME COMMAND
repository ()
{
    git init -q --bare "$repos/$1"
    git clone -q "$repos/$1" "$work/away-$1" 2> "$work/clone.log"
    printf 'FROM %s\nRUN %s\n' "$base" "$2" > "$work/away-$1/Dockerfile"
    git -C "$work/away-$1" add -A
    git -C "$work/away-$1" commit -q -m one
    git -C "$work/away-$1" push -q --all
}

fetched ()
{
    repository app "echo about to fail; exit 3"
    repository fine "true"
    run 0 ann submit --platform "$native" -t "$REGISTRY/git/fine:1" "https://127.0.0.1:$https/private/fine"
    run 2 ann submit --platform "$native" -t "$REGISTRY/git/fine:1" "https://127.0.0.1:$https/private/nothing"
    expect_text "$work/err" "no such repository"
    run 3 ann submit --platform "$native" -t "$REGISTRY/git/app:1" "ssh://root@127.0.0.1:$ssh_port$repos/app"
    run 2 ann submit --platform "$native" -t "$REGISTRY/git/app:1" "ssh://root@127.0.0.1:$ssh_port$repos/nothing"
}
check "contexts come over https with a password and over ssh with a key" fetched

# The secret that the coordinator makes is shown once, and kept here as what it is made of.
a_schedule ()
{
    local said
    said=$(ann schedule add nightly --cron @yearly --mail ann@example.com --hook "https://$hook/ok" --platform "$native" -t "$REGISTRY/git/app:{build}" \
        "ssh://root@127.0.0.1:$ssh_port$repos/app" 2>&1)
    sed -n 's/.*whsec_\([A-Za-z0-9+/=]*\).*/\1/p' <<< "$said" | base64 -d > "$secrets/news-secret"
    expect "bytes of its secret" "$(stat -c %s "$secrets/news-secret")" 32
    run 0 ann schedule hook nightly --secret-file "$laptop/hook-secret"
}

# called HEADER…: the hook, as a forge does
called ()
{
    printf '{"ref": "refs/heads/main", "after": "%040d"}' "$1" > "$work/push"
    expect "the answer" "$(curl -sS -o "$work/answer" -w '%{http_code}' -H 'Content-Type: application/json' -H @- --data-binary "@$work/push" "$FARM_HTTP/hooks/nightly")" "$2"
}

github ()
{
    python3 -c 'import hashlib, hmac, sys
secret, body = (open (path, "rb").read () for path in sys.argv [1:])
print ("X-Hub-Signature-256: sha256=" + hmac.new (secret.strip (), body, hashlib.sha256).hexdigest ())' "$laptop/hook-secret" "$work/push"
}

all_have_ended ()
{
    [ "$(farmctl ls --json | jq '[.builds[] | select (.state | IN ("published", "failed", "cancelled") | not)] | length')" = 0 ]
}

told ()
{
    a_schedule
    printf '{"ref": "refs/heads/main", "after": "%040d"}' 1 > "$work/push"
    github | called 1 202
    wait_for 60 has_mails 1
    wait_for 20 test -e "$work/hooks/call-1"
    sed 's/^/X-Gitlab-Token: /' "$laptop/hook-secret" | called 2 202
    echo "X-Gitlab-Token: wrong" | called 3 403
    wait_for 60 all_have_ended
}
check "a schedule is started by its hook, fails, and tells so by mail and hook" told

# -- all of it ---------------------------------------------------------------------------------------------------------

# What people can have the farm tell them
shown ()
{
    local id
    farmctl ls --json
    farmctl audit show
    farmctl user ls
    farmctl worker ls --json
    farmctl worker inspect "worker-$native_name" --json
    farmctl schedule inspect nightly --json
    farmctl news ls --json
    farmctl news outbox --json
    curl -sSf "$FARM_HTTP/metrics"
    for id in $(farmctl ls --json | jq '.builds[].id'); do
        farmctl inspect "$id"
        farmctl inspect "$id" --json
        farmctl logs "$id"
    done
}

afterwards ()
{
    shown > "$work/shown"
    expect_text "$work/shown" "about to fail" "it holds"
    everywhere "$work/rules"
    expect_no_core
    devfarm stop coordinator
    hunt "$work/rules" "$work"
    devfarm start coordinator
    wait_for 20 farm_is_up
}
check "afterwards each is where it belongs, and nowhere else" afterwards

# Last of all: a worker without rights has another store for its builder.
daemons_guard_themselves ()
{
    local name
    ! is_sanitized || skip "sanitizers want the right to look into their own process"
    for name in "worker-$native_name" coordinator; do
        devfarm stop "$name"
        background "$name" "${without_rights[@]}" "farm-${name%-"$native_name"}" -c "$farm/$name.conf"
        wait_for 20 grep -q ' main: .*\(ready\|door to registries\)' "$work/$name.log"
        expect "its own user, of $name" "$(looks "${without_rights[@]}" "$(background_pid "$name")")" ""
        background_end "$name"
        devfarm start "$name"
    done
}
check "nor may other processes of their user look into daemons" daemons_guard_themselves
farm_end
