#!/bin/bash
# git.sh - contexts that the coordinator fetches: over file, git, smart http and ssh, from hosts that are well and from those that are not; what a
# repository may hold that means ill; what a killed coordinator leaves; schedules that are built where a commit has changed.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/sshd.sh"
command -v git > /dev/null || skip_all "git is not installed"
farm_up
repos=$work/repos
mkdir -p "$repos/files" "$work/away"
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
git config --global init.defaultBranch main
git config --global protocol.file.allow always

settle ()
{
    local key=
    [ -e "$work/key" ] && key="    keys = \"127.0.0.1=$work/key\"
    known-hosts = \"$work/known\""
    cat >> "$farm/coordinator.conf" <<END

retry
    delay-ms = 200
git
    transports = "https,http,ssh,git,file"
    hosts = "*"
    inside = "127.0.0.1"
    folders = "$repos"
    helpers = "127.0.0.1/private=$work/credentials"
    size = 2M
    entries = 2000
    timeout-ms = 8000
    lfs = $(command -v git-lfs > /dev/null && echo yes || echo no)
$key
END
    devfarm stop coordinator
    devfarm start coordinator
    wait_for 20 farm_is_up
    wait_for 20 has_worker "worker-$native_name"
}

host_is_up ()
{
    read -r http git https other < "$work/host.log"
}

# repo NAME: a clone in $work/away/NAME, whose origin is the bare one that is served
repo ()
{
    git init -q --bare "$repos/$1"
    git -C "$repos/$1" config uploadpack.allowAnySHA1InWant true
    git clone -q "$repos/$1" "$work/away/$1" 2> /dev/null
    printf 'FROM %s\nCOPY . /app\nRUN cat /app/word\n' "$base" > "$work/away/$1/Dockerfile"
    echo "$1" > "$work/away/$1/word"
    commit "$1" one
}

commit ()
{
    git -C "$work/away/$1" add -A
    git -C "$work/away/$1" commit -q --allow-empty -m "$2"
    git -C "$work/away/$1" push -q --all
    git -C "$work/away/$1" push -q --tags
}

head_of ()
{
    git -C "$work/away/$1" rev-parse "${2:-HEAD}"
}

# fetches CONTEXT: as a build of the native platform that is published; its number in $build
fetches ()
{
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" --json "$@"
    build=$(jq .id "$work/out")
}

# refuses CODE WORDS CONTEXT…
refuses ()
{
    local code=$1 words=$2
    shift 2
    run "$code" farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" "$@"
    expect_text "$work/err" "$words"
}

# is_denied WHAT: the audit log says so of a fetch
is_denied ()
{
    farmctl audit show --json | jq -e --arg what "$1" '[.rows[] | select (.act == "fetch" and .outcome == "denied" and (.detail | contains ($what)))] | length > 0' > /dev/null
}

mkfifo "$work/hold"
mkdir "$work/tls"
"$top_srcdir/tests/lib/certificates.sh" "$work/tls" > /dev/null
python3 "$top_srcdir/tests/lib/git_host.py" "$repos" "$work/tls/server.pem" "$work/tls/other.pem" < "$work/hold" > "$work/host.log" 2> "$work/host.err" &
echo $! > "$work/pids/host"
exec 9> "$work/hold"
wait_for 10 host_is_up
[ -x "$sshd" ] && sshd_start "$work/key"
settle
repo app
mkdir "$work/away/app/sub"
printf 'FROM %s\nCOPY . /app\n' "$base" > "$work/away/app/sub/Other"
echo below > "$work/away/app/sub/word"
commit app two
git -C "$work/away/app" tag -a -m v1 v1
git -C "$work/away/app" checkout -q -b feature/x
echo feature > "$work/away/app/word"
commit app three
git -C "$work/away/app" checkout -q main

# All at once: the order in which they end is nobody's
over_each_transport ()
{
    local main first i wanted builds=()
    main=$(head_of app)
    fetches "file://$repos/app"
    first=$(field "$build" .context)
    expect "commit" "$(field "$build" .source.commit)" "$main"
    skopeo inspect --tls-verify=false "docker://$REGISTRY/git/app:1" > "$work/image"
    expect "label" "$(jq -r '.Labels ["org.opencontainers.image.revision"]' "$work/image")" "$main"
    expect "label" "$(jq -r '.Labels ["org.opencontainers.image.source"]' "$work/image")" "file://$repos/app"
    wanted=("$main git://127.0.0.1:$git/app" "$main http://127.0.0.1:$http/app" "$main http://127.0.0.1:$http/app#refs/heads/main"
        "$main http://127.0.0.1:$http/app#$main" "$(head_of app 'v1^{commit}') http://127.0.0.1:$http/app#v1"
        "$(head_of app feature/x) http://127.0.0.1:$http/app#feature/x" "$main -f Other http://127.0.0.1:$http/app#main:sub/")
    for i in "${!wanted[@]}"; do
        # shellcheck disable=SC2086
        run 0 farmctl submit -q --detach --platform "$native" -t "$REGISTRY/git/app:at-once-$i" ${wanted[i]#* }
        builds+=("$(cat "$work/out")")
    done
    for i in "${!wanted[@]}"; do
        run 0 farmctl wait "${builds[i]}"
        expect "commit of ${wanted[i]#* }" "$(field "${builds[i]}" .source.commit)" "${wanted[i]%% *}"
        case ${wanted[i]} in
            *feature/x | *:sub/) [ "$(field "${builds[i]}" .context)" != "$first" ] ;;
            *) expect "context of ${wanted[i]#* }" "$(field "${builds[i]}" .context)" "$first" ;;
        esac
    done
}
check "a context comes over file, git and http, by branch, tag, commit and folder, and is the same" over_each_transport

over_ssh ()
{
    [ -x "$sshd" ] || skip "openssh-server is not installed"
    fetches "ssh://root@127.0.0.1:$ssh_port$repos/app"
    expect "commit" "$(field "$build" .source.commit)" "$(head_of app)"
    : > "$work/known"
    refuses 2 "does not know that host's key" "ssh://root@127.0.0.1:$ssh_port$repos/app"
    sed "s/^/127.0.0.1 /" "$work/hostkey.pub" > "$work/known"
    : > "$work/authorized"
    refuses 2 'takes no key' "ssh://root@127.0.0.1:$ssh_port$repos/app#v1"
}
check "over ssh with the coordinator's key, from a host that is known" over_ssh

credentials ()
{
    refuses 2 'git/helpers' "http://127.0.0.1:$http/private/app"
    echo "http://ann:s3@127.0.0.1%3a$http" > "$work/credentials"
    chmod 600 "$work/credentials"
    fetches "http://127.0.0.1:$http/private/app"
    refuses 2 'a user or a password in it' "http://ann:s3cret-word@127.0.0.1:$http/private/app"
    run 2 farmctl schedule add leaky --cron @yearly --platform "$native" -t "$REGISTRY/git/app:1" "http://ann:s3cret-word@127.0.0.1:$http/private/app"
    expect_text "$work/err" 'a user or a password in it'
    grep -rqs s3cret-word "$farm" && { echo "the password was kept"; return 1; }
    farmctl audit show | grep -q s3cret-word && { echo "the password is in the audit log"; return 1; }
    return 0
}
check "with the coordinator's credentials for a host, and with no user's" credentials

restart ()
{
    coordinator_restart "$@"
    wait_for 20 has_worker "worker-$native_name"
}

over_tls ()
{
    refuses 2 'an admin sets git/ca-file' "https://127.0.0.1:$https/app"
    restart git/ca-file "$work/tls/ca.crt"
    fetches "https://127.0.0.1:$https/app"
    expect "commit" "$(field "$build" .source.commit)" "$(head_of app)"
    refuses 2 'an admin sets git/ca-file' "https://127.0.0.1:$other/app"
}
check "over https, from a host whose certificate an authority of ours has signed, and from no other" over_tls

# In a folder that stands where git looks for it, for the coordinator alone
by_a_helper ()
{
    mkdir "$work/bin"
    cat > "$work/bin/git-credential-ours" <<END
#!/bin/sh
[ "\$1" = get ] && grep -qx 'host=127.0.0.1:$https' && printf 'username=ann\npassword=s3\n'
END
    chmod 755 "$work" "$work/bin" "$work/bin/git-credential-ours"
    devfarm stop coordinator
    farm_set coordinator git/helpers "127.0.0.1=ours"
    background coordinator unshare --mount --propagation private sh -c 'mount --bind "$1" /usr/local/bin && exec "$2" -c "$3"' sh "$work/bin" \
        "$(command -v farm-coordinator)" "$farm/coordinator.conf"
    wait_for 20 grep -q ' main: ready$' "$work/coordinator.log"
    wait_for 20 has_worker "worker-$native_name"
    fetches "https://127.0.0.1:$https/private/app"
    refuses 2 'git/helpers' "http://127.0.0.1:$http/private/app"
    background_end coordinator
    restart git/helpers "127.0.0.1/private=$work/credentials"
}
check "with what a helper knows of a host, by its name" by_a_helper

# Who looks up the name; here nobody knows it
by_a_proxy ()
{
    mkdir "$work/proxy"
    background proxy python3 -B "$top_srcdir/tests/lib/connect_proxy.py" "$work/proxy" other.example.com "$other"
    wait_for 20 test -e "$work/proxy/port"
    restart git/proxy "http://127.0.0.1:$(cat "$work/proxy/port")"
    fetches "https://other.example.com/app"
    expect "commit" "$(field "$build" .source.commit)" "$(head_of app)"
    expect "asked for" "$(sort -u "$work/proxy/asked")" "CONNECT other.example.com:443"
    refuses 1 'an address inside' "https://10.0.0.1/app"
    restart git/proxy ""
}
check "by a proxy, which looks the names up" by_a_proxy

# What git's answers of the repository `grows` came to since the last time
answered ()
{
    awk -v skip="$1" '$1 ~ "^/grows/" && ++n > skip { bytes += $2 } END { print bytes + 0, n + 0 }' "$repos/answered.log"
}

# fetch_grows LEAST MOST: so many bytes come
fetch_grows ()
{
    fetches "http://127.0.0.1:$http/grows"
    expect "commit" "$(field "$build" .source.commit)" "$(head_of grows)"
    read -r bytes seen <<< "$(answered "$seen")"
    echo "$bytes bytes came"
    [ "$bytes" -ge "$1" ] && [ "$bytes" -le "$2" ]
}

# 700 kB in the commit that is wanted, and as much in one before it
only_what_is_new ()
{
    local bytes seen=0
    repo grows
    head -c 700000 /dev/urandom > "$work/away/grows/noise"
    commit grows noise
    head -c 700000 /dev/urandom > "$work/away/grows/noise"
    commit grows 'other noise'
    fetch_grows 700000 750000
    echo more > "$work/away/grows/word"
    commit grows 'a word'
    fetch_grows 100 10000
    fetch_grows 100 2000
    devfarm stop coordinator
    rm -r "$farm/coordinator/git/mirrors"
    devfarm start coordinator
    wait_for 20 has_worker "worker-$native_name"
    fetch_grows 700000 750000
}
check "no history comes, and of what came before nothing again, until the mirror is gone" only_what_is_new

# Of a process: the coordinator's own files that it has open, and its sockets
files_of ()
{
    find "/proc/$1/fd" -type l -printf '%l\n' | awk -v state="$farm/coordinator/" 'index ($0, state) == 1 && index ($0, state "git/") != 1'
}

sockets_of ()
{
    find "/proc/$1/fd" -type l -printf '%l\n' | sed -n '/^socket:/p' | sort
}

# While a host gives no answer: what the coordinator started for it, and git below that
nothing_of_the_coordinator ()
{
    local id pid coordinator started
    devfarm stop coordinator
    OF_THE_COORDINATOR=canary devfarm start coordinator
    wait_for 20 farm_is_up
    coordinator=$(farm_pid coordinator)
    id=$(submit_detached --platform "$native" -t "$REGISTRY/git/app:held" "http://127.0.0.1:$http/slow/app")
    sleepers () { pgrep -f "http://127.0.0.1:$http/slow/app"; }
    wait_for 10 sleepers
    started=$(pgrep -P "$coordinator" -f farm-coordinator-fetch; sleepers)
    expect "processes" "$(($(wc -w <<< "$started") >= 2))" 1
    expect "what the coordinator has" "$(tr '\0' '\n' < "/proc/$coordinator/environ" | grep OF_THE)" OF_THE_COORDINATOR=canary
    expect_text <(files_of "$coordinator") "$farm/coordinator/farm.db"
    for pid in $started; do
        tr '\0' '\n' < "/proc/$pid/environ" > "$work/environ"
        expect_no_text "$work/environ" OF_THE_COORDINATOR
        expect "files of $(tr '\0' ' ' < "/proc/$pid/cmdline")" "$(files_of "$pid")" ""
        expect "when memory runs out it is the first to go, at" "$(cat "/proc/$pid/oom_score_adj")" 1000
        expect "sockets of the coordinator" "$(comm -12 <(sockets_of "$pid") <(sockets_of "$coordinator"))" ""
    done
    run 0 farmctl cancel "$id"
    wait_for 20 has_worker "worker-$native_name"
}
check "what fetches has nothing of the coordinator's environment, files and connections" nothing_of_the_coordinator

hosts_in_trouble ()
{
    local slow
    slow=$(submit_detached --platform "$native" -t "$REGISTRY/git/app:slow" "http://127.0.0.1:$http/slow/app")      # it has its time while others go wrong
    refuses 2 'no branch, tag or commit' "http://127.0.0.1:$http/app#nothing"
    refuses 2 'no such repository' "http://127.0.0.1:$http/nothing"
    refuses 2 'no such repository' "git://127.0.0.1:$git/nothing"
    refuses 2 'no folder away' "http://127.0.0.1:$http/app#main:away"
    refuses 2 'no Dockerfile' -f away "http://127.0.0.1:$http/app"
    refuses 2 'does not follow' "http://127.0.0.1:$http/moved/app"
    refuses 1 'cannot be reached' "http://127.0.0.1:1/app"
    touch "$repos/broken"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" --detach -q "http://127.0.0.1:$http/broken/app"
    build=$(cat "$work/out")
    tried () { [ "$(field "$build" '.fetch.tries // 0')" -ge 1 ]; }
    wait_for 20 tried
    expect "its state for people" "$(farmctl ls | awk -v id="$build" '$1 == id { print $2 }')" fetching
    rm "$repos/broken"
    run 0 farmctl wait "$build"
    refuses 1 'git/folders' "file:///etc"
    refuses 1 'an address inside' "http://localhost:$http/app"
    is_denied 'localhost is '
    run 124 farmctl wait "$slow"
    expect_text "$work/err" 'took more than 8s'
}
check "whose fault it is, is said; and the host's passes" hosts_in_trouble

modules ()
{
    repo lib
    git -C "$work/away/app" submodule --quiet add ../lib lib 2> /dev/null || return
    git -C "$work/away/app" config -f .gitmodules submodule.lib.url ../lib
    printf 'FROM %s\nCOPY . /app\nRUN grep -q lib /app/lib/word\n' "$base" > "$work/away/app/Dockerfile"
    commit app 'with a submodule'
    fetches "http://127.0.0.1:$http/app"
    git -C "$work/away/app" config -f .gitmodules submodule.lib.url 'ext::sh -c touch% /tmp/archfarm-pwned'
    commit app 'which runs something'
    refuses 2 'submodule lib' "http://127.0.0.1:$http/app"
    git -C "$work/away/app" config -f .gitmodules submodule.lib.url "file:///etc/passwd"
    commit app 'which reads something'
    refuses 1 'git/folders' "http://127.0.0.1:$http/app"
    git -C "$work/away/app" config -f .gitmodules submodule.lib.url "http://localhost:$http/lib"
    commit app 'which goes inside'
    refuses 1 'an address inside' "http://127.0.0.1:$http/app"
    git -C "$work/away/app" config -f .gitmodules submodule.lib.url "../lib"
    commit app 'well again'
    fetches "http://127.0.0.1:$http/app"
    [ ! -e /tmp/archfarm-pwned ]
}
check "submodules come too, by the same rules" modules

# module REPO OTHER PATH
module ()
{
    git -C "$work/away/$1" submodule --quiet add "../$2" "$3" 2> /dev/null && git -C "$work/away/$1" config -f .gitmodules "submodule.$3.url" "../$2"
}

# Twice in one, and once more in another submodule of it
one_module_often ()
{
    repo middle
    module middle lib lib
    commit middle 'with a submodule'
    repo often
    for path in one two; do
        module often lib $path
    done
    module often middle middle
    printf 'FROM %s\nCOPY . /app\nRUN grep -q lib /app/one/word && grep -q lib /app/two/word && grep -q lib /app/middle/lib/word\n' "$base" > "$work/away/often/Dockerfile"
    commit often 'with submodules'
    fetches "http://127.0.0.1:$http/often"
}
check "one submodule may stand at several paths, and in another one" one_module_often

# lock_of NAME: of its mirror (git_mirror.c)
lock_of ()
{
    python3 -c 'import hashlib, sys; print (f"{sys.argv[1]}/{hashlib.blake2b (sys.argv[2].encode (), digest_size=16).hexdigest ()}.lock")' \
        "$farm/coordinator/git/mirrors" "http://127.0.0.1:$http/$1"
}

# While a submodule's mirror is held here: who would hold both could wait for somebody who waits for them
one_mirror_at_a_time ()
{
    local id
    exec 8>> "$(lock_of lib)"
    flock 8
    id=$(submit_detached --platform "$native" -t "$REGISTRY/git/app:1" "http://127.0.0.1:$http/often")
    has_let_go () { cat "$farm"/coordinator/git/work-*/tree/Dockerfile && flock -n "$(lock_of often)" true; }
    wait_for 8 has_let_go
    exec 8>&-
    run 0 farmctl wait "$id"
}
check "what waits for a submodule's mirror holds no other" one_mirror_at_a_time

# Each of them is within git/size and git/entries, as are two
all_modules_count ()
{
    local kind path
    restart git/entries 30
    for kind in big many; do
        repo $kind
    done
    head -c 900000 /dev/zero > "$work/away/big/zeros"
    (cd "$work/away/many" && seq 10 | xargs touch)
    for kind in big many; do
        commit $kind files
        repo two-$kind
        for path in one two; do
            module two-$kind $kind $path
        done
        commit two-$kind 'two of them'
        fetches "http://127.0.0.1:$http/two-$kind"
        module two-$kind $kind three
        commit two-$kind 'three of them'
    done
    refuses 2 'git/size' "http://127.0.0.1:$http/two-big"
    refuses 2 'git/entries' "http://127.0.0.1:$http/two-many"
}
check "submodules count together with the repository that has them" all_modules_count

# What git/entries lets pass; an archive too
as_large_as_any_context ()
{
    local pin
    git -C "$work/away/many" archive --prefix=many/ -o "$repos/files/many.tar" HEAD
    pin=$(sha256sum "$repos/files/many.tar" | cut -d ' ' -f 1)
    restart git/entries 2000 context/entries 12
    refuses 2 'may have 12 (context/entries of the coordinator)' "http://127.0.0.1:$http/many"
    refuses 2 'may have 12 (context/entries of the coordinator)' "http://127.0.0.1:$http/files/many.tar#sha256=$pin:many"
    restart context/entries 13
    fetches "http://127.0.0.1:$http/many"
    restart context/entries 1000000 context/size 512K
    refuses 2 '(context/size of the coordinator)' "http://127.0.0.1:$http/big"
    restart context/size 64G
    fetches "http://127.0.0.1:$http/big"
}
check "what was fetched may come to no more than other contexts" as_large_as_any_context

hostile ()
{
    local blob tree
    repo bad
    ln -s /etc/passwd "$work/away/bad/Linked"
    ln -s "$farm/coordinator/coordinator.key" "$work/away/bad/key"
    commit bad links
    refuses 2 'no file Linked' -f Linked "http://127.0.0.1:$http/bad"
    ln -s /etc/passwd "$work/away/bad/.dockerignore"
    commit bad ignore
    refuses 2 'is no file of its own' "http://127.0.0.1:$http/bad"
    git -C "$work/away/bad" rm -q .dockerignore key Linked
    dd if=/dev/zero of="$work/away/bad/zeros" bs=1M count=3 status=none
    commit bad zeros
    refuses 2 'git/size' "http://127.0.0.1:$http/bad"
    git -C "$work/away/bad" rm -q zeros
    dd if=/dev/urandom of="$work/away/bad/noise" bs=1M count=3 status=none
    commit bad noise
    refuses 2 'too large' "http://127.0.0.1:$http/bad"
    git -C "$work/away/bad" rm -q noise
    blob=$(echo x | git -C "$repos/bad" hash-object -w --stdin)
    tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\tf%s\n' "$blob" "$i"; done | git -C "$repos/bad" mktree)
    for _ in 1 2 3 4 5 6 7; do
        tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\tt%s\n' "$tree" "$i"; done | git -C "$repos/bad" mktree)
    done
    git -C "$repos/bad" update-ref refs/heads/bomb "$(git -C "$repos/bad" commit-tree -m bomb "$tree")"
    refuses 2 'git/entries' "http://127.0.0.1:$http/bad#bomb"
    tree=$(printf '100644 %s\0' .git | cat - <(printf '%s' "$blob" | xxd -r -p) | git -C "$repos/bad" hash-object -w -t tree --literally --stdin)
    git -C "$repos/bad" update-ref refs/heads/dotgit "$(git -C "$repos/bad" commit-tree -m dotgit "$tree")"
    refuses 2 "git's checks refuse" "http://127.0.0.1:$http/bad#dotgit"
    git -C "$work/away/bad" commit -q --allow-empty -m last
    git -C "$work/away/bad" push -q --all
    fetches "http://127.0.0.1:$http/bad"
}
check "what means ill is refused, and the next one is fetched" hostile

# A repository may name a folder where more of its objects are
kept_to_its_folders ()
{
    python3 -c 'import ctypes, sys; sys.exit (ctypes.CDLL (None).syscall (444, None, 0, 1) < 1)' || skip "this kernel has no Landlock"
    git clone -q --bare --shared "$work/away/app" "$repos/elsewhere"
    run 2 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" "file://$repos/elsewhere"
    git -C "$repos/elsewhere" repack -qad
    rm "$repos/elsewhere/objects/info/alternates"
    fetches "file://$repos/elsewhere"
    grep -q 'has no Landlock' "$farm/coordinator.log" && return 1
    return 0
}
check "what fetches can read nothing beside its own folders" kept_to_its_folders

large_files ()
{
    command -v git-lfs > /dev/null || skip "git-lfs is not installed"
    repo large
    (cd "$work/away/large" && git lfs install --local && git lfs track '*.bin') > /dev/null
    head -c 100000 /dev/urandom > "$work/away/large/a.bin"
    printf 'FROM %s\nCOPY . /app\nRUN test $(wc -c < /app/a.bin) = 100000\n' "$base" > "$work/away/large/Dockerfile"
    commit large 'what git-lfs keeps'
    fetches "file://$repos/large"
}
check "what git-lfs keeps comes too" large_files

# pinned FILE: an archive's address
pinned ()
{
    echo "http://127.0.0.1:$http/files/$1#sha256=$(sha256sum "$repos/files/$1" | cut -d ' ' -f 1)"
}

archives ()
{
    local pin
    mkdir -p "$work/tar/app-1/src"
    printf 'FROM %s\nCOPY . /app\n' "$base" > "$work/tar/app-1/Dockerfile"
    echo word > "$work/tar/app-1/src/word"
    tar -C "$work/tar" -czf "$repos/files/app.tar.gz" app-1
    pin=$(sha256sum "$repos/files/app.tar.gz" | cut -d ' ' -f 1)
    fetches "http://127.0.0.1:$http/files/app.tar.gz#sha256=$pin:app-1"
    fetches "https://127.0.0.1:$https/files/app.tar.gz#sha256=$pin:app-1"
    expect "source" "$(field "$build" .source.url)" "https://127.0.0.1:$https/files/app.tar.gz"
    refuses 2 'answers' "https://127.0.0.1:$https/files/none.tar.gz#sha256=$pin"
    refuses 1 'certificate' "https://127.0.0.1:$other/files/app.tar.gz#sha256=$pin:app-1"
    refuses 2 'pinned' "http://127.0.0.1:$http/files/app.tar.gz"
    refuses 2 'another archive' "http://127.0.0.1:$http/files/app.tar.gz#sha256=$(echo | sha256sum | cut -d ' ' -f 1):app-1"
    refuses 2 'answers 404' "http://127.0.0.1:$http/files/none.tar.gz#sha256=$pin"
    refuses 1 'an address inside' "http://10.0.0.2/app.tar.gz#sha256=$pin"
    is_denied '10.0.0.2 is 10.0.0.2'
    mkdir "$work/outside"
    python3 - "$repos/files" "$work/outside" "$base" <<'END'
import io, sys, tarfile
_, files, outside, base = sys.argv
def make(name, *members):
    with tarfile.open(f"{files}/{name}", "w") as tar:
        for path, kind, link, data in members:
            info = tarfile.TarInfo(path)
            info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o6755
            tar.addfile(info, io.BytesIO(data))
F, L, H, D = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
make("up.tar", ("../out", F, "", b"x"))
make("root.tar", (f"{outside}/b", F, "", b"x"))
make("link.tar", ("a", L, outside, b""), ("a/b", F, "", b"x"), ("Dockerfile", F, "", f"FROM {base}\nCOPY . /app\nRUN test -f /app/a/b\n".encode()))
make("hard.tar", ("a", H, "/etc/passwd", b""))
make("device.tar", ("a", D, "", b""))
make("zeros.tar", ("Dockerfile", F, "", bytes(3000000)))
END
    gzip -k "$repos/files/zeros.tar"
    refuses 2 'which leads out of its folder' "$(pinned up.tar)"
    refuses 2 'which begins with /' "$(pinned root.tar)"
    refuses 2 '"/etc/passwd", which begins with /' "$(pinned hard.tar)"
    refuses 2 'a is a device, a pipe or a socket' "$(pinned device.tar)"
    refuses 2 'unpacked (git/size' "$(pinned zeros.tar.gz)"
    fetches "$(pinned link.tar)"
    expect "what came of it outside" "$(ls "$work/outside")" ""
}
check "archives are what they are pinned to, and stay in their folder" archives

# from_private INSIDE: what came of an archive of a host at 10.9.9.9, which nobody else has, where git/inside is that
from_private ()
{
    rm -rf "$work/private"
    mkdir -p "$work/private/files" "$work/private/work" "$work/private/mirrors"
    tar -C "$work/tar/app-1" -cf "$work/private/files/app.tar" .
    unshare --net -- bash -c 'ip link set lo up && ip address add 10.9.9.9/32 dev lo && exec python3 - "$@"' - "$top_builddir/coordinator/farm-coordinator-fetch" "$work/private" "$1" <<'END'
import hashlib, http.server, json, os, struct, subprocess, sys, threading
program, top, inside = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
os.chdir(f"{top}/files")
server = http.server.ThreadingHTTPServer(("10.9.9.9", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
source = {"url": f"http://10.9.9.9:{server.server_port}/app.tar", "sha256": hashlib.sha256(open("app.tar", "rb").read()).hexdigest()}
rules = {"hosts": ["*"], "transports": ["http"], "inside": [inside], "folders": [], "keys": [], "helpers": []}
job = json.dumps({"source": source, "rules": rules, "dockerfile": "Dockerfile", "mirrors": f"{top}/mirrors", "work": f"{top}/work", "size_max": 1000000,
                  "entries_max": 100}).encode()
said = subprocess.run([program], input=b"J" + struct.pack(">I", len(job)) + job, stdout=subprocess.PIPE).stdout
while said[:1] == b"P":
    said = said[5 + struct.unpack(">I", said[1:5])[0]:]
outcome = json.loads(said[5:])
print(outcome.get("code", "fetched"), outcome.get("text", ""))
END
}

private ()
{
    unshare --net -- ip link set lo up 2> /dev/null || skip "network namespaces are not to be had here"
    expect "what became of it" "$(from_private 10.9.9.9)" "fetched "
    expect_text <(from_private elsewhere.lan) "denied 10.9.9.9 is 10.9.9.9, an address inside"
}
check "an archive comes from a private address where git/inside lists it" private

from_standard_input ()
{
    local first
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" --json - < <(git -C "$work/away/app" archive feature/x)
    first=$(jq -r .context "$work/out")
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" --json -f sub/Other - < <(git -C "$work/away/app" archive feature/x | gzip)
    expect "context" "$(jq -r .context "$work/out")" "$first"
    run 2 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" - < <(echo no archive)
    expect_text "$work/err" 'no archive that can be read'
    run 2 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" -f none - < <(git -C "$work/away/app" archive feature/x)
    expect_text "$work/err" 'there is no none in the archive'
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" - < "$repos/files/link.tar"
    expect "what came of it outside" "$(ls "$work/outside")" ""
    ln -s /etc/passwd "$work/tar/Dockerfile"
    run 2 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" - < <(tar -C "$work/tar" -c .)
    expect_text "$work/err" 'no file of its own'
    expect "folders left behind" "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'farmctl-??????' -newer "$work/hold" | wc -l)" 0
}
check "an archive on standard input is a context" from_standard_input

killed ()
{
    local before
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/git/app:1" --detach -q "http://127.0.0.1:$http/slow/app"
    build=$(cat "$work/out")
    sleepers () { pgrep -f "http://127.0.0.1:$http/slow/app"; }
    wait_for 10 sleepers
    farm_kill coordinator
    no_sleepers () { ! sleepers; }
    wait_for 10 no_sleepers
    before=$(grep -c slow "$repos/asked.log")
    devfarm start coordinator
    wait_for 20 farm_is_up
    asked_again () { [ "$(grep -c slow "$repos/asked.log")" -gt "$before" ]; }
    wait_for 20 asked_again
    run 0 farmctl cancel "$build"
    wait_for 5 no_sleepers
    expect "its state" "$(field "$build" .state)" cancelled
    expect "left behind" "$(ls "$farm/coordinator/git" | grep -v mirrors | wc -l)" 0
    wait_for 20 has_worker "worker-$native_name"
    fetches "http://127.0.0.1:$http/app"
}
check "what a killed coordinator was fetching ends with it, and is fetched after its start" killed

last ()
{
    [ "$(farmctl schedule inspect nightly --json | jq -r ".last.outcome")" = "$1" ]
}

nightly ()
{
    run 0 farmctl schedule add nightly --cron @yearly --if-changed --platform "$native" -t "$REGISTRY/git/n:new" "http://127.0.0.1:$http/app#main"
    schedule_is_due nightly
    wait_for 60 last built
    expect "tags" "$(registry_tags | tr ' ' '\n' | grep -c '^git/n:new$')" 1
    schedule_is_due nightly
    wait_for 60 last unchanged
    expect_text <(farmctl schedule ls) 'unchanged since'
    echo changed > "$work/away/app/word"
    commit app changed
    run 0 farmctl schedule add nightly --replace --cron @yearly --if-changed --platform "$native" -t "$REGISTRY/git/n:{commit}" "http://127.0.0.1:$http/app#main"
    schedule_is_due nightly
    wait_for 60 last built
    expect "tags" "$(registry_tags | tr ' ' '\n' | grep -c "^git/n:$(head_of app)$")" 1
}
check "a schedule builds where a commit has changed, and names it" nightly
exec 9>&-
farm_end
