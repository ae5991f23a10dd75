# farm.sh - how the programs of a farm in the folder dir are configured and started. They listen on loopback, or on FARM_ADDRESS, an
# address of this host. Ports: each takes a free one the first time, by binding port 0, and what it got is written into its
# configuration, so that it comes back there. Needs
# say.sh, process.sh, emulation.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154

start_seconds=$((60 * ${FARM_PATIENCE:-1}))
address=${FARM_ADDRESS:-127.0.0.1}

# -- the registry ------------------------------------------------------------------------------------------------------

registry_configure ()
{
    cat > "$dir/registry.yml" <<END
version: 0.1
log: {accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: '$dir/registry'}
  delete: {enabled: true}
http:
  addr: $address:0
  secret: $(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
END
}

registry_address ()
{
    sed -n 's/^  addr: //p' "$dir/registry.yml"
}

registry_start ()
{
    local line
    [ -e "$dir/registry.yml" ] || registry_configure
    process_start "$dir" registry docker-registry serve "$dir/registry.yml"
    line=$(process_wait_log "$dir" registry $start_seconds "listening on ${address//./\\.}:[0-9]+") || return
    line=${line##*listening on }
    sed -i "s/^  addr: $address:0$/  addr: ${line%%[!0-9.:]*}/" "$dir/registry.yml"
}

# -- the coordinator ---------------------------------------------------------------------------------------------------

coordinator_configure ()
{
    cat > "$dir/coordinator.conf" <<END
state = "$dir/coordinator"
stop-ms = 5000
join
    standing = yes
control
    bind = "tcp://$address:*"
objects
    bind = "tcp://$address:*"
http
    bind = "$address:0"
registry
    plain-http = "$(registry_address)"
END
}

coordinator_http ()
{
    sed -n '/^http/,/bind/ s/^    bind = "\(.*\)"/\1/p' "$dir/coordinator.conf"
}

# It writes into admin.conf where it listens.
coordinator_start ()
{
    local socket endpoint
    [ -e "$dir/coordinator.conf" ] || coordinator_configure
    process_start "$dir" coordinator farm-coordinator -c "$dir/coordinator.conf"
    process_wait_log "$dir" coordinator $start_seconds ' main: ready$' > /dev/null || return
    endpoint=$(process_wait_log "$dir" coordinator $start_seconds ' main: http://[0-9.:]+/ ') || return
    endpoint=${endpoint##* http://}
    sed -i "/^http/,/bind/ s|bind = \"$address:0\"|bind = \"${endpoint%%/*}\"|" "$dir/coordinator.conf"
    for socket in control objects; do
        endpoint=$(sed -n "s/^    $socket = \"\(.*\)\"/\1/p" "$dir/coordinator/admin.conf")
        sed -i "/^$socket/,/bind/ s|tcp://[0-9.]*:\*|$endpoint|" "$dir/coordinator.conf"
    done
}

# -- the workers -------------------------------------------------------------------------------------------------------

# Can this host run what the worker builds, with its CPU or through qemu?
worker_can_run ()
{
    [ "${1#worker-}" = "$(host_architecture)" ] || emulation_prepare "${1#worker-}"
}

worker_is_online ()
{
    farmctl worker ls --json 2> /dev/null \
        | jq -e --arg name "$1" 'any(.workers[]; .name == $name and .state == "online")' > /dev/null
}

# join writes DIR/NAME.conf, with the coordinator and what is said here, and in FARM_WORKER_OPTIONS (words). A stop waits for no long build.
worker_start ()
{
    if [ ! -e "$dir/$1.conf" ]; then
        # shellcheck disable=SC2086
        farm-worker join "$(< "$dir/coordinator/join")" -c "$dir/$1.conf" --state="$dir/$1" --name="$1" \
            --platforms="linux/${1#worker-}" --stop-ms=3000 --registry-plain-http="$(registry_address)" ${FARM_WORKER_OPTIONS:-} >> "$dir/$1.log" 2>&1 || return
    fi
    process_start "$dir" "$1" farm-worker -c "$dir/$1.conf"
    process_wait_log "$dir" "$1" $start_seconds ' takes this worker as ' > /dev/null && worker_is_online "$1"
}
