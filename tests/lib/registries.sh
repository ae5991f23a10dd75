# registries.sh - other registries than the farm's own. Needs farm.sh.
# shellcheck shell=bash

# farm_set PROGRAM SECTION/NAME VALUE: in its settings file, in place of what stands there; counts when it starts again
farm_set ()
{
    python3 - "$farm/$1.conf" "$2" "$3" <<'END'
import sys
path, setting, value = sys.argv[1:]
section, name = setting.split("/")
with open(path, encoding="utf-8") as file:
    lines = file.read().splitlines()
if section not in lines:
    lines.append(section)
at = lines.index(section) + 1
while at < len(lines) and lines[at].startswith(" "):
    if lines[at].split()[0] == name:
        del lines[at]
    else:
        at += 1
lines.insert(lines.index(section) + 1, f'    {name} = "{value}"')
with open(path, "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
END
}

# coordinator_restart [SETTING VALUE]…: with other settings
coordinator_restart ()
{
    devfarm stop coordinator
    while [ $# -gt 0 ]; do
        farm_set coordinator "$1" "$2"
        shift 2
    done
    devfarm start coordinator
    wait_for 30 farm_is_up
}

# farm_trust HOST...: coordinator and workers speak to these and the farm's own without TLS; they are started again
farm_trust ()
{
    local name hosts
    hosts=$(IFS=,; echo "$REGISTRY,$*")
    for name in coordinator worker-amd64 worker-arm64; do
        [ -e "$farm/$name.pid" ] || continue
        devfarm stop "$name"
        farm_set "$name" registry/plain-http "$hosts"
        devfarm start "$name"
    done
}

# registry_talking_start: TALKING keeps a log of what it is asked, $work/talking.log
registry_talking_start ()
{
    cat > "$work/talking.yml" <<END
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: '$work/talking'}}
http: {addr: '127.0.0.1:0'}
END
    background talking docker-registry serve "$work/talking.yml"
    wait_for 20 grep -q 'listening on 127' "$work/talking.log"
    TALKING=$(sed -n 's/.*listening on \(127[0-9.:]*\).*/\1/p' "$work/talking.log")
}

# requests METHOD PATTERN: how many of them TALKING has been asked since `mark`
mark () { mark=$(($(wc -l < "$work/talking.log") + 1)); }
requests () { tail -n +"$mark" "$work/talking.log" | grep '"[A-Z]* /v2/' | grep -c "\"$1 [^ ]*$2" || true; }

# registry_with_login_start: LOGIN_REGISTRY wants ann with the password in LOGIN_PASSWORD, which the test may have chosen
registry_with_login_start ()
{
    LOGIN_PASSWORD=${LOGIN_PASSWORD:-s3cret:with colon}
    printf %s "$LOGIN_PASSWORD" | perl -e 'print "ann:", crypt (<STDIN>, "\$2y\$05\$abcdefghijklmnopqrstuu"), "\n"' > "$work/htpasswd"
    cat > "$work/login.yml" <<END
version: 0.1
log: {accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: '$work/login'}}
auth: {htpasswd: {realm: here, path: '$work/htpasswd'}}
http: {addr: '127.0.0.1:0'}
END
    background login-registry docker-registry serve "$work/login.yml"
    wait_for 20 grep -q 'listening on 127' "$work/login-registry.log"
    LOGIN_REGISTRY=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' "$work/login-registry.log")
}

# coordinator_has_login: the coordinator knows that password from $work/config.json once it is started again; its forms, one a line: $work/secrets; encoded: LOGIN_BASE64
coordinator_has_login ()
{
    LOGIN_BASE64=$(printf 'ann:%s' "$LOGIN_PASSWORD" | base64)
    printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$LOGIN_REGISTRY" "$LOGIN_BASE64" > "$work/config.json"
    chmod 600 "$work/config.json"
    printf '%s\n' "$LOGIN_PASSWORD" "$LOGIN_BASE64" > "$work/secrets"
    farm_set coordinator registry/auth-file "$work/config.json"
}

# registry_with_tokens_start: TOKEN_REGISTRY speaks TLS under an authority of our own ($work/tls/ca.crt), and wants tokens of a service that does too; ann with
# the password s3, or TOKEN_PASSWORD, may do everything. $work/certs.d is what clients need. What tokens are asked for stands in $work/tls/token.log;
# TOKEN_ID is in each of them.
registry_with_tokens_start ()
{
    local service host
    mkdir "$work/tls"
    sh "$top_srcdir/tests/lib/certificates.sh" "$work/tls" > "$work/certificates.log" 2>&1
    printf %s "${TOKEN_PASSWORD:-s3}" > "$work/tls/password"
    printf %s "${TOKEN_ID:-1}" > "$work/tls/id"
    mkfifo "$work/token-input"
    background token-service bash -c 'exec "$@" <> "$0"' "$work/token-input" python3 "$top_srcdir/tests/lib/token_service.py" "$work/tls" "$work/tls/server.pem"
    wait_for 20 test -s "$work/token-service.log"
    service=127.0.0.1:$(head -n 1 "$work/token-service.log")
    cat > "$work/tokens.yml" <<END
version: 0.1
log: {accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: '$work/tokens'}}
auth: {token: {realm: 'https://$service/token', service: farm-test, issuer: tester, rootcertbundle: '$work/tls/token.crt'}}
http: {addr: '127.0.0.1:0', tls: {certificate: '$work/tls/server.crt', key: '$work/tls/server.key'}}
END
    background token-registry docker-registry serve "$work/tokens.yml"
    wait_for 20 grep -q 'listening on 127' "$work/token-registry.log"
    TOKEN_REGISTRY=$(sed -n 's/.*listening on \([0-9.:]*\).*/\1/p' "$work/token-registry.log")
    for host in "$TOKEN_REGISTRY" "$service"; do
        mkdir -p "$work/certs.d/$host"
        cp "$work/tls/ca.crt" "$work/certs.d/$host/ca.crt"
    done
}

# fake_registry_start SCRIPT: FAKE_REGISTRY does as the script says, see fake_registry.py
fake_registry_start ()
{
    [ ! -e "$work/pids/fake-registry" ] || background_end fake-registry
    printf '%s\n' "$1" > "$work/fake.json"
    rm -f "$work/fake-registry.log"
    mkfifo "$work/fake-input" 2> /dev/null || true
    # It ends with its standard input; open for both, that has no end.
    background fake-registry bash -c 'exec "$@" <> "$0"' "$work/fake-input" "$top_srcdir/tests/lib/fake_registry.py" \
        --script "$work/fake.json" --log "$work/fake-requests.log"
    wait_for 10 test -s "$work/fake-registry.log"
    FAKE_REGISTRY=127.0.0.1:$(head -n 1 "$work/fake-registry.log")
}
