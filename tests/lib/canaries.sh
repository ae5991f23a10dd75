# canaries.sh - a farm in which each secret is a word or a key that nothing else has, with all servers to which it shows one. Needs farm.sh, registries.sh,
# mails.sh, agents.sh and sshd.sh.
#
# canaries_start: the secrets are files of the folder $secrets, for lib/canary. TOKEN_REGISTRY has private/base:1. `ann` is a farmctl of hers: it submits with
# ENV_SECRET in its environment; $laptop has her files. $repos is served at ports $http and $https and, over ssh, at $ssh_port; $hook receives hooks.
# shellcheck shell=bash
# shellcheck disable=SC2034

# -- the canaries ------------------------------------------------------------------------------------------------------

# word NAME: one that does not look the same percent-encoded, in JSON and in a shell
word ()
{
    printf '%s:"%s"/&+' "$1" "$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')" > "$secrets/$1"
    cat "$secrets/$1"
}

# bytes NAME < hex digits
bytes ()
{
    python3 -c 'import sys; sys.stdout.buffer.write (bytes.fromhex (sys.stdin.read ()))' > "$secrets/$1"
    expect "bytes of $1" "$(stat -c %s "$secrets/$1")" 32
}

# key_of NAME FILE: the secret half of a key file of the farm
key_of ()
{
    grep -oE '\b[0-9a-f]{64}$' "$2" | tail -n 1 | bytes "$1"
}

# ssh_key_of NAME FILE: the seed of an ed25519 key, which stands behind its public half
ssh_key_of ()
{
    python3 -c '
import base64, sys
lines = open (sys.argv [1]).read ().split ("\n")
data = base64.b64decode ("".join (line for line in lines if not line.startswith ("-")))
public = base64.b64decode (open (sys.argv [1] + ".pub").read ().split () [1]) [-32:]
at = data.rindex (public)
print (data [at - 32 : at].hex ())' "$2" | bytes "$1"
}

# -- the farm ----------------------------------------------------------------------------------------------------------

# What a helper of docker's knows
credential_helper ()
{
    (umask 077; printf '#!/bin/sh\ncat > /dev/null\ncat <<"END"\n%s\nEND\n' \
        "$(jq -nc --arg secret "$LOGIN_PASSWORD" '{ServerURL: "x", Username: "ann", Secret: $secret}')" > "$work/bin/docker-credential-canary")
    chmod 700 "$work/bin/docker-credential-canary"
}

docker_config ()
{
    (umask 077; jq -n --arg tokens "$TOKEN_REGISTRY" --arg login "$LOGIN_REGISTRY" --arg auth "$(printf 'ann:%s' "$TOKEN_PASSWORD" | base64 -w 0)" \
        '{auths: {($tokens): {auth: $auth}}, credHelpers: {($login): "canary"}}' > "$work/config.json")
}

git_start ()
{
    export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
    git config --global init.defaultBranch main
    word git-password > "$repos/password"
    mkfifo "$work/hold"
    background host bash -c 'exec "$@" <> "$0"' "$work/hold" python3 -B "$top_srcdir/tests/lib/git_host.py" "$repos" "$work/tls/server.pem"
    wait_for 10 grep -q . "$work/host.log"
    read -r http _ https < "$work/host.log"
    (umask 077; python3 -c 'import sys, urllib.parse; print ("https://ann:" + urllib.parse.quote (open (sys.argv [1]).read (), safe = "") + "@127.0.0.1%3a" + sys.argv [2])' \
        "$repos/password" "$https" > "$work/git-credentials")
    sshd_start "$work/git-key"
    ssh_key_of git-key "$work/git-key"
}

hooks_start ()
{
    mkdir "$work/hooks"
    background hooks python3 -B "$top_srcdir/tests/lib/hook_receiver.py" "$work/hooks" "$work/tls/server.pem"
    wait_for 20 test -e "$work/hooks/port"
    hook=127.0.0.1:$(cat "$work/hooks/port")
}

# worker_begin: the worker has a canary in its own environment, which is not to reach what it starts
worker_begin ()
{
    SURROUNDINGS=$(cat "$secrets/surroundings") devfarm start "worker-$native_name"
}

# One worker goes on; all that it may say it says.
settings_change ()
{
    devfarm stop "worker-$native_name"
    [ ! -e "$farm/worker-$foreign_name.pid" ] || devfarm stop "worker-$foreign_name"
    farm_set "worker-$native_name" registry/certs "$work/certs.d"
    farm_set "worker-$native_name" registry/plain-http "$REGISTRY,$LOGIN_REGISTRY"
    farm_set "worker-$native_name" registry/inside "$TOKEN_REGISTRY"
    farm_set "worker-$native_name" log/level debug
    coordinator_restart "${mail_settings[@]}" hook/ca-file "$work/tls/ca.crt" hook/inside "$hook" registry/auth-file "$work/config.json" \
        registry/certs "$work/certs.d" registry/plain-http "$REGISTRY,$LOGIN_REGISTRY" registry/inside "$TOKEN_REGISTRY" git/transports https,ssh git/inside 127.0.0.1 \
        git/ca-file "$work/tls/ca.crt" git/keys "127.0.0.1=$work/git-key" git/known-hosts "$work/known" git/helpers "127.0.0.1/private=$work/git-credentials" \
        retry/delay-ms 200 log/level debug
    word surroundings > /dev/null
    worker_begin
    wait_for 60 has_worker "worker-$native_name"
}

# Her laptop has folders of its own, and one of her secrets is a variable.
laptop_make ()
{
    cat > "$work/bin/ann" <<END
#!/bin/bash
export HOME=$laptop XDG_CONFIG_HOME=$laptop/config XDG_CACHE_HOME=$laptop/cache XDG_RUNTIME_DIR=$laptop/run FARM_CONFIG=$laptop/farmctl.conf
if [ "\$1" = submit ]; then ENV_SECRET=\$(cat "$secrets/env-secret"); export ENV_SECRET; fi
exec farmctl "\$@"
END
    chmod 755 "$work/bin/ann"
}

invitation_of ()
{
    python3 -c 'import base64, json, sys; print (json.loads (base64.urlsafe_b64decode (sys.stdin.read ().strip ().split (".") [1] + "==")) ["invitation"])'
}

enrol ()
{
    local string
    string=$(farmctl user add ann 2> "$work/added")
    invitation_of <<< "$string" | bytes invitation
    ann join "$string" 2> "$work/joined"
    invitation_of < "$state/join" | bytes standing-invitation
    key_of ann-key "$laptop/farmctl.key"
    key_of worker-key "$farm/worker-$native_name/worker.key"
    key_of admin-key "$state/admin.key"
    key_of coordinator-key "$state/coordinator.key"
    key_of seal-key "$state/secrets.key"
    key_of news-key "$state/news.key"
    word env-secret > /dev/null
    (umask 077; { word file-secret; echo; } > "$laptop/npmrc")
    head -c 32 /dev/urandom > "$secrets/hook-secret"
    (umask 077; echo "whsec_$(base64 -w 0 "$secrets/hook-secret")" > "$laptop/hook-secret")
    skopeo --insecure-policy copy -q --src-tls-verify=false --dest-cert-dir "$work/certs.d/$TOKEN_REGISTRY" --dest-authfile "$work/config.json" "docker://$base" \
        "docker://$TOKEN_REGISTRY/private/base:1"
    sed -n "s|.*realm: '\([^']*\)'.*|url = \"\1?service=farm-test\"|p" "$work/tokens.yml" | { cat; printf 'user = "ann:%s"\n' "$(sed 's/"/\\"/g' "$work/tls/password")"; } \
        | curl -sSf --cacert "$work/tls/ca.crt" -K - | jq -er .token > "$work/token"
}

# -- all of them -------------------------------------------------------------------------------------------------------

# What the farm writes beside its folders goes into here, home and tmp; and it may leave core files, as far as it lets itself.
canaries_start ()
{
    local program
    for program in git ssh-keygen perl openssl setpriv "$sshd"; do
        command -v "$program" > /dev/null || skip_all "$program is not installed"
    done
    secrets=$work/secrets repos=$work/repos state=$farm/coordinator laptop=$work/laptop
    mkdir -p "$secrets" "$repos/files" "$work/bin" "$work/here" "$work/home" "$work/tmp" "$laptop"
    cd "$work/here" || exit
    ulimit -c unlimited 2> /dev/null
    export HOME=$work/home TMPDIR=$work/tmp PATH=$work/bin:$PATH
    LOGIN_PASSWORD=$(word login-password) TOKEN_PASSWORD=$(word registry-password) TOKEN_ID=$(word bearer-token) MAIL_PASSWORD=$(word mail-password)
    farm_up
    registry_with_tokens_start
    registry_with_login_start
    credential_helper
    docker_config
    mails_start
    git_start
    agent_start
    ssh_key_of agent-key "$work/key"
    hooks_start
    settings_change
    laptop_make
    enrol > "$work/enrol.log" 2>&1 || { echo "Bail out! the canaries cannot be made"; tap_diagnose "$work/enrol.log"; exit 1; }
    vault=$(vault_of "$farm/worker-$native_name")
}
