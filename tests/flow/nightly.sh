#!/bin/bash
# nightly.sh - what README.md promises a new user, by its own words: one command has a repository built by night for two platforms; it breaks on one of them,
# the mail tells which, in which step and with which words; and it tells when it is fixed.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/mails.sh"
command -v git > /dev/null || skip_all "git is not installed"
farm_up
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=ann GIT_AUTHOR_EMAIL=ann@example.com GIT_COMMITTER_NAME=ann GIT_COMMITTER_EMAIL=ann@example.com
git config --global init.defaultBranch main
repos=$work/repos clone=$work/app
mkdir -p "$repos/team"
mkfifo "$work/hold"
python3 -B "$top_srcdir/tests/lib/git_host.py" "$repos" < "$work/hold" > "$work/host.log" 2> "$work/host.err" &
echo $! > "$work/pids/host"
exec 9> "$work/hold"
wait_for 10 grep -q . "$work/host.log"
read -r http _ < "$work/host.log"
mails_start
coordinator_restart "${mail_settings[@]}" git/transports https,http git/inside 127.0.0.1
for name in $native_name $foreign_name; do
    [ ! -e "$farm/worker-$name.pid" ] || wait_for 30 has_worker "worker-$name"
done

# commit WORDS < test.sh
commit ()
{
    cat > "$clone/test.sh"
    git -C "$clone" add -A
    git -C "$clone" commit -q -m "$1"
    git -C "$clone" push -q origin main
}

git init -q --bare "$repos/team/app.git"
git clone -q "$repos/team/app.git" "$clone" 2> "$work/clone.log"
printf 'FROM %s\nWORKDIR /src\nCOPY . .\nRUN sh test.sh\n' "$base" > "$clone/Dockerfile"
commit "a program" <<< 'echo "all is well on $(uname -m)"'

# The command, with the names of this farm, which has no board for the other platform
command_of_readme ()
{
    sed -n "/^    farmctl schedule add nightly/,/[^\\\\]\$/p" "$top_srcdir/README.md" \
        | sed -e 's/ # .*//' -e "s|registry\.lan|$REGISTRY|" -e "s|https://git\.lan|http://127.0.0.1:$http|" -e 's/--platform/--emulation allow --platform/'
}

last ()
{
    [ "$(farmctl schedule inspect nightly --json | jq -r ".last | \"\(.outcome) \(.build_state)\"")" = "$1" ]
}

goes ()
{
    need_both
    command_of_readme > "$work/command"
    expect_text "$work/command" "schedule add nightly" "--mail ann@example.com" "--platform linux/amd64,linux/arm64" "/team/app.git#main"
    run 0 bash -c ". '$work/command'"
    expect_text "$work/err" "due next at" "T02:30" "Europe/Berlin"
    run 0 farmctl schedule inspect nightly
    expect_text "$work/out" "nightly-mail to ann@example.com"
    schedule_is_due nightly
    wait_for 120 last "built published"
    expect "platforms" "$(platforms_of team/app nightly)" "linux/amd64 linux/arm64"
    expect "mails" "$(mails)" 0
}
check "one command of the README has a repository built for two platforms" goes

breaks ()
{
    need_both
    commit "a mistake" <<'END'
case $(uname -m) in aarch64) echo "checking bytes: $((40 + 2)) wrong" >&2; exit 2 ;; *) echo fine ;; esac
END
    schedule_is_due nightly
    wait_for 120 last "built failed"
    wait_for 20 has_mails 1
    mail 1 body > "$work/text"
    expect "title" "$(mail 1 subject | sed 's|/[0-9]*: RUN|: RUN|')" "[archfarm] nightly failed: linux/arm64, STEP 4: RUN sh test.sh: checking bytes: 42 wrong"
    expect "first lines" "$(head -2 "$work/text" | sed 's|/[0-9]*: RUN|: RUN|')" $'linux/arm64, STEP 4: RUN sh test.sh\nchecking bytes: 42 wrong'
    expect_text "$work/text" "farmctl logs" "$REGISTRY/team/app:nightly" "worker     worker-arm64" "The end of the log of linux/arm64"
    expect "to" "$(jq -r '.to[0]' "$work/mail/mail-1.json")" "TO:<ann@example.com>"
    expect "platforms" "$(platforms_of team/app nightly)" "linux/amd64 linux/arm64"
}
check "it fails on one of them, and the mail says on which, in which step and why" breaks

is_fixed ()
{
    need_both
    commit "without it" <<< 'echo "all is well again on $(uname -m)"'
    schedule_is_due nightly
    wait_for 120 last "built published"
    wait_for 20 has_mails 2
    mail 2 subject > "$work/subject"
    expect_text "$work/subject" "nightly is fixed: build" "published, after 1 that failed"
    expect "the answer" "$(mail 2 in-reply-to)" "$(mail 1 message-id)"
    expect "revision" "$(skopeo inspect --tls-verify=false "docker://$REGISTRY/team/app:nightly" | jq -r '.Labels ["org.opencontainers.image.revision"]')" \
        "$(git -C "$clone" rev-parse HEAD)"
    schedule_is_due nightly
    wait_for 60 last "unchanged published"
}
check "it is fixed, the mail says so, and then there is nothing to do" is_fixed

# -- what cannot be fetched ------------------------------------------------------------------------------------------

# A time whose commit is asked for: there is no build yet
goes_away ()
{
    local before
    run 0 farmctl schedule rm nightly
    run 0 farmctl schedule add lonely --cron @yearly --if-changed --mail ann@example.com --platform "$native" -t "$REGISTRY/team/app:{commit}" \
        "http://127.0.0.1:$http/team/app.git#main"
    before=$(mails)
    mv "$repos/team/app.git" "$repos/team/away.git"
    schedule_is_due lonely
    wait_for 60 is_missed "refused"
    wait_for 20 has_mails $((before + 1))
    expect_text <(mail $((before + 1)) subject) "lonely did not run: the context cannot be fetched: there is no such repository"
    schedule_is_due lonely
    wait_for 60 is_missed "refused refused"
    mv "$repos/team/away.git" "$repos/team/app.git"
    schedule_is_due lonely
    wait_for 20 has_mails $((before + 2))
    expect_text <(mail $((before + 2)) subject) "lonely is fixed: build"
    expect "the answer" "$(mail $((before + 2)) in-reply-to)" "$(mail $((before + 1)) message-id)"
}
is_missed () { [ "$(farmctl schedule inspect lonely --json | jq -r '[.firings[].outcome] | join (" ")')" = "$1" ]; }
check "a repository that is gone is told once, and when it is back" goes_away

# By hand, when the commit is to be known before there is a build; and a push, as Gitea signs it: the commit is there already, and its credentials are not
by_hook ()
{
    local secret body='{"ref": "refs/heads/main", "after": "1"}' before
    run 0 farmctl schedule run lonely
    expect_text "$work/err" "its commit is being looked up"
    run 0 farmctl wait "$(cat "$work/out")"
    secret=$(farmctl schedule hook lonely --branch main)
    commit "pushed" <<< 'echo pushed'
    call "$secret" "$body" > "$work/answer"
    expect "status" "$(cat "$work/status")" 202
    wait_for 60 has_tag team/app "$(git -C "$clone" rev-parse HEAD)"
    run 0 farmctl schedule rm lonely
    run 0 farmctl schedule add lonely --cron @yearly --mail ann@example.com --platform "$native" -t "$REGISTRY/team/app:hook" "http://127.0.0.1:$http/private/team/app.git#main"
    secret=$(farmctl schedule hook lonely)
    before=$(mails)
    call "$secret" '{"ref": "refs/heads/main", "after": "2"}' > "$work/answer"
    expect "status" "$(cat "$work/status")" 202
    wait_for 60 is_state "$(jq .build "$work/answer")" failed
    expect_text <(field "$(jq .build "$work/answer")" .reason) "git/helpers"
    wait_for 20 has_mails $((before + 1))
    mail $((before + 1)) subject > "$work/subject"
    expect_text "$work/subject" "lonely failed" "the context cannot be fetched"
    expect_no_text "$farm/coordinator.log" "$secret"
}

# call SECRET BODY
call ()
{
    curl -sS --max-time 30 -o "$work/body" -w '%{http_code}' -H "X-Gitea-Signature: $(printf '%s' "$2" | openssl dgst -sha256 -hmac "$1" -r | cut -d ' ' -f 1)" \
        --data-binary "$2" "$FARM_HTTP/hooks/lonely" > "$work/status"
    cat "$work/body"
}
check "one by hand and a push have a repository built, and one without credentials is told" by_hook
exec 9>&-
farm_end
